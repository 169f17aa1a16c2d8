//! Object headers, of versions 1 and 2: the messages that make up a group or a dataset.

use super::block::Block;
use super::file::File;
use crate::error::Result;

/// A message that leads to more messages.
const CONTINUED: u64 = 0x10;
/// Bytes that hold the beginning of every header.
const HEAD: u64 = 64;

/// One message.
pub(super) struct Message {
    /// Its type.
    pub(super) kind: u64,
    /// Whether it lies elsewhere, and here is only where.
    shared: bool,
    body: Block,
}

impl Message {
    /// Its content.
    pub(super) fn body(self) -> Result<Block> {
        if self.shared {
            return Err(self.body.fail("messages that objects share are not read"));
        }
        Ok(self.body)
    }
}

/// All messages of the object at an address.
pub(super) fn messages(file: &File<'_>, at: u64) -> Result<Vec<Message>> {
    let mut head = file.block_within(at, HEAD)?;
    let mut found = Vec::new();
    // Blocks of messages that are still to be read: address, length.
    let mut more = Vec::new();
    let order = if head.left() > 0 && head.byte()? == 1 {
        head.skip(7)?;
        let size = head.number(4)?;
        let mut block = file.block(at.saturating_add(16), size)?;
        version1(file, &mut block, &mut found, &mut more)?;
        None
    } else {
        Some(version2(file, at, &mut found, &mut more)?)
    };
    while let Some((at, len)) = more.pop() {
        let mut block = file.block(at, len)?;
        match order {
            None => version1(file, &mut block, &mut found, &mut more)?,
            Some(order) => {
                block.expect(b"OCHK")?;
                of_version2(file, &mut block, order, &mut found, &mut more)?;
            }
        }
    }
    Ok(found)
}

type More = Vec<(u64, u64)>;

fn version1(
    file: &File<'_>,
    block: &mut Block,
    found: &mut Vec<Message>,
    more: &mut More,
) -> Result<()> {
    while block.left() >= 8 {
        let (kind, size, flags) = (block.number(2)?, block.size(2)?, block.byte()?);
        block.skip(3)?;
        add(file, (kind, flags), block.part(size)?, found, more)?;
    }
    Ok(())
}

/// Reads the first block of a header of version 2; whether its messages have an order of creation.
fn version2(file: &File<'_>, at: u64, found: &mut Vec<Message>, more: &mut More) -> Result<bool> {
    let mut head = file.block_within(at, HEAD)?;
    head.expect(b"OHDR")?;
    let (version, flags) = (head.byte()?, head.byte()?);
    if version != 2 {
        return Err(head.fail(format_args!("an object header of version 1 or 2, not {version}")));
    }
    head.skip(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
    let size = head.number(1 << (flags & 3))?;
    let order = flags & 4 != 0;
    // The checksum behind it is not needed: what is read is checked.
    let mut block = file.block(head.place(), size)?;
    in_version2(file, &mut block, (order, 0), found, more)?;
    Ok(order)
}

fn of_version2(
    file: &File<'_>,
    block: &mut Block,
    order: bool,
    found: &mut Vec<Message>,
    more: &mut More,
) -> Result<()> {
    in_version2(file, block, (order, 4), found, more)
}

/// Messages of version 2, with so many bytes of a checksum behind them.
fn in_version2(
    file: &File<'_>,
    block: &mut Block,
    (order, end): (bool, usize),
    found: &mut Vec<Message>,
    more: &mut More,
) -> Result<()> {
    let head = if order { 6 } else { 4 };
    while block.left() >= head + end {
        let (kind, size, flags) = (block.number(1)?, block.size(2)?, block.byte()?);
        block.skip(head - 4)?;
        add(file, (kind, flags), block.part(size)?, found, more)?;
    }
    Ok(())
}

fn add(
    file: &File<'_>,
    (kind, flags): (u64, u8),
    mut body: Block,
    found: &mut Vec<Message>,
    more: &mut More,
) -> Result<()> {
    if kind == CONTINUED {
        more.push((file.defined(&mut body)?, body.number(file.lengths)?));
    } else if kind != 0 {
        found.push(Message { kind, shared: flags & 2 != 0, body });
    }
    Ok(())
}
