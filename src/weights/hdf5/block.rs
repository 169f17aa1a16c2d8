//! Pieces of a file's structure in memory, read from front to back.

use super::super::source::Source;
use crate::error::Result;

/// Bytes of a file with their offset.
pub(super) struct Block {
    source: Source,
    /// Offset of the first byte.
    start: u64,
    bytes: Vec<u8>,
    at: usize,
}

impl Block {
    /// Bytes that were read at `start` of a source.
    pub(super) fn new(source: Source, start: u64, bytes: Vec<u8>) -> Self {
        Self { source, start, bytes, at: 0 }
    }

    /// Offset in the file of the next byte.
    pub(super) fn place(&self) -> u64 {
        self.start.saturating_add(self.at as u64)
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// A broken rule at the next byte.
    pub(super) fn fail(&self, rule: impl std::fmt::Display) -> crate::error::Error {
        self.source.fail(self.place(), format_args!("HDF5: {rule}"))
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Result<&[u8]> {
        match self.at.checked_add(n).filter(|&end| end <= self.bytes.len()) {
            Some(end) => {
                let part = &self.bytes[self.at..end];
                self.at = end;
                Ok(part)
            }
            None => Err(self.fail(format_args!("{n} bytes are needed, {} follow", self.left()))),
        }
    }

    /// The next `n` bytes as a block of their own.
    pub(super) fn part(&mut self, n: usize) -> Result<Self> {
        let start = self.place();
        let bytes = self.take(n)?.to_vec();
        Ok(Self::new(self.source.clone(), start, bytes))
    }

    /// Passes over `n` bytes.
    pub(super) fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(|_| ())
    }

    /// Refuses other bytes than these.
    pub(super) fn expect(&mut self, mark: &[u8]) -> Result<()> {
        let start = self.place();
        if self.take(mark.len())? == mark {
            return Ok(());
        }
        let mark = String::from_utf8_lossy(mark);
        Err(self.source.fail(start, format_args!("HDF5: `{mark}` begins the structure here")))
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8> {
        self.number(1).map(|n| n as u8)
    }

    /// An unsigned number of `n` bytes, 8 at most, the low byte first.
    pub(super) fn number(&mut self, n: usize) -> Result<u64> {
        let mut all = [0; 8];
        all[..n.min(8)].copy_from_slice(self.take(n.min(8))?);
        Ok(u64::from_le_bytes(all))
    }

    /// As [`Block::number`], for sizes of things in memory.
    pub(super) fn size(&mut self, n: usize) -> Result<usize> {
        let number = self.number(n)?;
        usize::try_from(number).map_err(|_| self.fail(format_args!("a size of {number}")))
    }
}
