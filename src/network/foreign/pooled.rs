//! A head that reads a map at 7×7 places: a normalisation, then one fully connected layer.

use crate::error::{Error, Kind, Result};
use crate::network::layers::{Dense, Taker};
use crate::network::pool_to;
use crate::tensor::{Activation, Affine};
use candle_core::Tensor;

/// Side to which the map is pooled.
const SIDE: usize = 7;

/// Such a head.
pub(super) struct Pooled {
    before: Affine,
    linear: Dense,
}

impl Pooled {
    /// Takes the head `name` of a map of so many channels.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, name: &str, channels: usize) -> Result<Self> {
        let before = t.norm(&format!("{name}.0"), channels)?;
        let linear = t.dense(&format!("{name}.3"), channels * SIDE * SIDE, 1.0)?;
        Ok(Self { before, linear })
    }

    /// Numbers that it finds.
    pub fn outputs(&self) -> usize {
        self.linear.outputs()
    }

    /// `[N, C, H, W]` → `[N, outputs]`, with gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, map: &Tensor) -> Result<Tensor> {
        let map = self.before.apply(map, Activation::LINEAR)?;
        self.linear.forward(&pool_to(&map, SIDE, SIDE)?.flatten_from(1)?)
    }
}

/// The dimensions of a code of so many rows that `numbers` make up.
///
/// # Errors
/// When they are no such rows.
pub(super) fn dimensions(file: &str, numbers: usize, rows: usize) -> Result<usize> {
    if rows > 0 && numbers > 0 && numbers.is_multiple_of(rows) {
        return Ok(numbers / rows);
    }
    let text = format!("{file}: {numbers} numbers are no {rows} rows of a code");
    Err(Error::new(Kind::Format, text).hint("use the unchanged file"))
}
