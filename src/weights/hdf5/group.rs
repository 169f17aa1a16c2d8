//! Groups: the names in them and the objects that they lead to.

use super::block::Block;
use super::file::File;
use super::header::Message;
use crate::error::Result;

/// Message of a group of the old kind: a tree of names.
const TABLE: u64 = 0x11;
/// Message about the links of a group of the new kind.
const ABOUT: u64 = 0x02;
/// Message of one link.
const LINK: u64 = 0x06;

/// Whether these are the messages of a group.
pub(super) fn is_group(messages: &[Message]) -> bool {
    messages.iter().any(|m| [TABLE, ABOUT, LINK].contains(&m.kind))
}

/// The hard links of a group, as names and addresses, in the order of the file; and how many other
/// links it has, which lead to other places of this file or of others.
pub(super) fn links(
    file: &File<'_>,
    messages: Vec<Message>,
) -> Result<(Vec<(String, u64)>, usize)> {
    let (mut found, mut other) = (Vec::new(), 0);
    for message in messages {
        match message.kind {
            TABLE => {
                let mut body = message.body()?;
                let (tree, heap) = (file.defined(&mut body)?, file.defined(&mut body)?);
                let names = local_heap(file, heap)?;
                nodes(file, tree, None, &mut |leaf| {
                    symbols(file, leaf, &names, &mut found, &mut other)
                })?;
            }
            ABOUT => dense(file, &mut message.body()?)?,
            LINK => match link(file, &mut message.body()?)? {
                Some(link) => found.push(link),
                None => other += 1,
            },
            _ => {}
        }
    }
    Ok((found, other))
}

/// Refuses a group whose links are kept outside of its header.
fn dense(file: &File<'_>, body: &mut Block) -> Result<()> {
    body.skip(1)?;
    let flags = body.byte()?;
    body.skip(if flags & 1 != 0 { 8 } else { 0 })?;
    match file.address(body)? {
        None => Ok(()),
        Some(_) => Err(body
            .fail("groups with their names in a fractal heap are not read")
            .hint("save it again as h5py does by default, without libver='latest'")),
    }
}

/// One link; `None` for one that is not to an object of this file.
fn link(file: &File<'_>, body: &mut Block) -> Result<Option<(String, u64)>> {
    let version = body.byte()?;
    if version != 1 {
        return Err(body.fail(format_args!("a link of version 1, not {version}")));
    }
    let flags = body.byte()?;
    let hard = flags & 8 == 0 || body.byte()? == 0;
    body.skip(if flags & 4 != 0 { 8 } else { 0 } + if flags & 16 != 0 { 1 } else { 0 })?;
    let len = body.size(1 << (flags & 3))?;
    let name = String::from_utf8_lossy(body.take(len)?).into_owned();
    if hard { Ok(Some((name, file.defined(body)?))) } else { Ok(None) }
}

/// The names of a group of the old kind.
fn local_heap(file: &File<'_>, at: u64) -> Result<Vec<u8>> {
    let mut head = file.block(at, 8 + 2 * file.lengths as u64 + file.offsets as u64)?;
    head.expect(b"HEAP\0")?;
    head.skip(3)?;
    let size = head.number(file.lengths)?;
    head.skip(file.lengths)?;
    let data = file.defined(&mut head)?;
    let mut block = file.block(data, size)?;
    Ok(block.take(size as usize)?.to_vec())
}

/// Calls `leaf` with the address of every leaf of a tree of names.
///
/// A node's children are one level below it, so a tree cannot lead back to itself.
fn nodes(
    file: &File<'_>,
    at: u64,
    level: Option<u8>,
    leaf: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut node = file.block(at, 8 + 2 * file.offsets as u64)?;
    node.expect(b"TREE\0")?;
    let (found, count) = (node.byte()?, node.number(2)?);
    if level.is_some_and(|level| found != level) {
        return Err(node.fail("a tree goes down by one level"));
    }
    let entry = (file.lengths + file.offsets) as u64;
    let mut entries = file.block(at + 8 + 2 * file.offsets as u64, count * entry)?;
    for _ in 0..count {
        entries.skip(file.lengths)?;
        let child = file.defined(&mut entries)?;
        match found.checked_sub(1) {
            Some(below) => nodes(file, child, Some(below), leaf)?,
            None => leaf(child)?,
        }
    }
    Ok(())
}

/// The entries of a leaf.
fn symbols(
    file: &File<'_>,
    at: u64,
    names: &[u8],
    found: &mut Vec<(String, u64)>,
    other: &mut usize,
) -> Result<()> {
    let mut head = file.block(at, 8)?;
    head.expect(b"SNOD\x01")?;
    head.skip(1)?;
    let count = head.number(2)?;
    let mut entries = file.block(at + 8, count * (2 * file.offsets as u64 + 24))?;
    for _ in 0..count {
        let place = entries.size(file.offsets)?;
        let name = names.get(place..).and_then(|rest| rest.split(|&b| b == 0).next());
        let name = name.ok_or_else(|| entries.fail("a name lies within its heap"))?;
        let header = file.address(&mut entries)?;
        let cached = entries.number(4)?;
        entries.skip(20)?;
        match header.filter(|_| cached != 2) {
            Some(header) => {
                found.push((String::from_utf8_lossy(name).into_owned(), header));
                file.charge(at, name.len() as u64)?;
            }
            None => *other += 1,
        }
    }
    Ok(())
}
