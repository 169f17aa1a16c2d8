//! The file as a whole: its superblock, and the budget of its structure.

use super::super::source::Source;
use super::block::Block;
use crate::error::Result;
use std::cell::Cell;

/// First bytes.
pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Bytes of structure that are read of one file. Those of a checkpoint of 1000 layers are 2 MiB.
const STRUCTURE: u64 = 64 << 20;
/// What a piece of structure costs at least, so that empty ones end too.
const LEAST: u64 = 64;
/// Bytes of the longest superblock.
const SUPERBLOCK: u64 = 128;

/// A file with its sizes of addresses and lengths.
pub(super) struct File<'a> {
    pub(super) source: &'a Source,
    /// Bytes of an address.
    pub(super) offsets: usize,
    /// Bytes of a length.
    pub(super) lengths: usize,
    /// Address of the root group's header.
    pub(super) root: u64,
    left: Cell<u64>,
}

impl<'a> File<'a> {
    /// Reads the superblock, of version 0 to 3.
    pub(super) fn open(source: &'a Source) -> Result<Self> {
        let head = source.read(0, source.len().min(SUPERBLOCK))?;
        let mut b = Block::new(source.clone(), 0, head);
        b.expect(MAGIC)?;
        let version = b.byte()?;
        match version {
            0 | 1 => b.skip(4)?,
            2 | 3 => {}
            _ => return Err(b.fail(format_args!("a superblock of version 0 to 3, not {version}"))),
        }
        let (offsets, lengths) = (b.size(1)?, b.size(1)?);
        if ![2, 4, 8].contains(&offsets) || ![2, 4, 8].contains(&lengths) {
            return Err(b.fail("addresses and lengths have 2, 4 or 8 bytes"));
        }
        b.skip(match version {
            0 => 9,
            1 => 13,
            _ => 1,
        })?;
        let base = b.number(offsets)?;
        b.skip(offsets)?;
        let end = b.number(offsets)?;
        if version < 2 {
            // The driver's address, and the offset of the root's name.
            b.skip(2 * offsets)?;
        }
        let root = b.number(offsets)?;
        if base != 0 {
            return Err(b.fail("files within other files are not read"));
        }
        if end > source.len() {
            return Err(source
                .fail(
                    source.len(),
                    format_args!("HDF5: the file says that it has {end} bytes, it is cut"),
                )
                .hint("download or copy it again"));
        }
        Ok(Self { source, offsets, lengths, root, left: Cell::new(STRUCTURE) })
    }

    /// The `len` bytes of structure at an address.
    pub(super) fn block(&self, at: u64, len: u64) -> Result<Block> {
        self.charge(at, len)?;
        Ok(Block::new(self.source.clone(), at, self.source.read(at, len)?))
    }

    /// Up to `len` bytes of structure at an address, fewer at the end of the file.
    pub(super) fn block_within(&self, at: u64, len: u64) -> Result<Block> {
        self.block(at, len.min(self.source.len().saturating_sub(at)))
    }

    /// Takes bytes of the budget.
    pub(super) fn charge(&self, at: u64, len: u64) -> Result<()> {
        match self.left.get().checked_sub(len.max(LEAST)) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self
                .source
                .fail(at, format_args!("HDF5: at most {STRUCTURE} bytes of structure are read"))),
        }
    }

    /// The address in a block; `None` for one that is not defined.
    pub(super) fn address(&self, b: &mut Block) -> Result<Option<u64>> {
        let at = b.number(self.offsets)?;
        let undefined = u64::MAX >> (64 - 8 * self.offsets);
        Ok((at != undefined).then_some(at))
    }

    /// As [`File::address`], where one is needed.
    pub(super) fn defined(&self, b: &mut Block) -> Result<u64> {
        self.address(b)?.ok_or_else(|| b.fail("an address is defined here"))
    }
}
