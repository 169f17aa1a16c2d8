//! Attributes that are text, or lists of texts.

use super::block::Block;
use super::file::File;
use super::header::Message;
use super::types::{Type, dataspace, datatype};
use crate::error::Result;

const ATTRIBUTE: u64 = 0x0c;
/// Texts of one attribute at most.
const TEXTS: u64 = 20_000;

/// An attribute of text.
pub(super) struct Attribute {
    pub(super) name: String,
    /// Offset of its value, for errors.
    pub(super) at: u64,
    /// One text, or those of a list.
    pub(super) texts: Vec<String>,
}

/// The attributes of an object that are text.
pub(super) fn texts(file: &File<'_>, messages: Vec<Message>) -> Result<Vec<Attribute>> {
    let mut found = Vec::new();
    for message in messages.into_iter().filter(|m| m.kind == ATTRIBUTE) {
        found.extend(attribute(file, &mut message.body()?)?);
    }
    Ok(found)
}

fn attribute(file: &File<'_>, b: &mut Block) -> Result<Option<Attribute>> {
    let (version, flags) = (b.byte()?, b.byte()?);
    if !(1..=3).contains(&version) || (version > 1 && flags != 0) {
        return Err(b.fail("an attribute has version 1 to 3, and a type of its own"));
    }
    let [name, kind, space] = [b.size(2)?, b.size(2)?, b.size(2)?];
    if version == 3 {
        b.skip(1)?;
    }
    let padded = |n: usize| if version == 1 { n.next_multiple_of(8) } else { n };
    let mut part = |n: usize| b.part(padded(n));
    let (mut words, mut kind, mut space) = (part(name)?, part(kind)?, part(space)?);
    let name = words.take(words.left())?;
    let name = String::from_utf8_lossy(name.split(|&c| c == 0).next().unwrap_or(name)).into_owned();
    let (kind, shape) = (datatype(&mut kind)?, dataspace(file, &mut space)?);
    let count = shape.map_or(Some(0), |s| super::super::array::elements(&s));
    let Some(count) = count.filter(|n| *n <= TEXTS) else { return Ok(None) };
    let at = b.place();
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(match kind {
            Type::Text(size) => text(b.take(size)?),
            Type::Anywhere(size) if size == 8 + file.offsets => from_heap(file, b)?,
            _ => return Ok(None),
        });
    }
    Ok(Some(Attribute { name, at, texts }))
}

/// Text that ends with its first zero, as HDF5 pads it.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Text in the global heap, of which the file tells where.
fn from_heap(file: &File<'_>, b: &mut Block) -> Result<String> {
    let len = b.size(4)?;
    let (at, index) = (file.address(b)?, b.number(4)?);
    let Some(at) = at.filter(|_| len > 0) else { return Ok(String::new()) };
    let mut head = file.block(at, 8 + file.lengths as u64)?;
    head.expect(b"GCOL\x01")?;
    head.skip(3)?;
    let size = head.number(file.lengths)?.saturating_sub(8 + file.lengths as u64);
    let mut heap = file.block(head.place(), size)?;
    while heap.left() >= 8 + file.lengths {
        let found = heap.number(2)?;
        heap.skip(6)?;
        let size = heap.size(file.lengths)?;
        if found == 0 {
            break;
        }
        if found == index {
            return Ok(text(heap.take(len.min(size))?));
        }
        heap.skip(size.checked_next_multiple_of(8).unwrap_or(size).min(heap.left()))?;
    }
    Err(heap.fail(format_args!("the heap at byte {at} has no object {index}")))
}
