//! Types of elements, and sizes.

use super::super::array::DType;
use super::block::Block;
use super::file::File;
use crate::error::Result;

/// Dimensions of a dataspace at most, as in HDF5.
const RANK: u8 = 32;

/// The type of a dataset's or an attribute's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Numbers that are read; the high byte first or not.
    Numbers(DType, bool),
    /// Text of so many bytes.
    Text(usize),
    /// Text of any length, in the file's heap; an element has so many bytes.
    Anywhere(usize),
    /// Anything else, with the number of its class.
    Other(u8),
}

impl Type {
    /// In words, for a type that is not read as numbers.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Numbers(..) => "numbers",
            Self::Text(_) | Self::Anywhere(_) => "text",
            Self::Other(0) => "whole numbers of a type that is not read",
            Self::Other(1) => "floating-point numbers of a type that is not read",
            Self::Other(6) => "records",
            Self::Other(7) => "references",
            Self::Other(_) => "values of another type",
        }
    }
}

/// Reads a datatype message.
pub(super) fn datatype(b: &mut Block) -> Result<Type> {
    let class = b.byte()? & 15;
    let bits = b.number(3)?;
    let size = b.size(4)?;
    Ok(match class {
        0 => {
            let whole = b.number(2)? == 0 && b.size(2)? == 8 * size;
            match (size, bits & 8 != 0) {
                _ if !whole => Type::Other(0),
                (1, true) => Type::Numbers(DType::I8, false),
                (1, false) => Type::Numbers(DType::U8, false),
                (2, true) => Type::Numbers(DType::I16, bits & 1 != 0),
                (4, true) => Type::Numbers(DType::I32, bits & 1 != 0),
                (8, true) => Type::Numbers(DType::I64, bits & 1 != 0),
                _ => Type::Other(0),
            }
        }
        1 => {
            let offset = b.number(2)?;
            let precision = b.size(2)?;
            b.skip(1)?;
            let exponent = b.byte()?;
            // The order of VAX has two bits.
            let plain = offset == 0 && precision == 8 * size && bits & 0x40 == 0;
            let dtype = match (size, exponent) {
                (2, 5) => DType::F16,
                (2, 8) => DType::BF16,
                (4, 8) => DType::F32,
                (8, 11) => DType::F64,
                _ => return Ok(Type::Other(1)),
            };
            if plain { Type::Numbers(dtype, bits & 1 != 0) } else { Type::Other(1) }
        }
        3 => Type::Text(size),
        9 if bits & 15 == 1 => Type::Anywhere(size),
        // NumPy's bool: an enumeration of two bytes, FALSE and TRUE.
        8 if size == 1 => Type::Numbers(DType::U8, false),
        other => Type::Other(other),
    })
}

/// Reads a dataspace message: the sizes of the dimensions; `None` for one without elements.
pub(super) fn dataspace(file: &File<'_>, b: &mut Block) -> Result<Option<Vec<u64>>> {
    let (version, rank) = (b.byte()?, b.byte()?);
    if ![1, 2].contains(&version) || rank > RANK {
        return Err(b.fail("a dataspace has version 1 or 2, and 32 dimensions at most"));
    }
    b.skip(1)?;
    let kind = b.byte()?;
    if version == 1 {
        b.skip(4)?;
    }
    if version == 2 && kind == 2 {
        return Ok(None);
    }
    (0..rank).map(|_| b.number(file.lengths)).collect::<Result<Vec<u64>>>().map(Some)
}
