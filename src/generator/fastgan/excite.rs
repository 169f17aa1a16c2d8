//! Skip-layer excitation: a small map multiplies the channels of a large one.

use crate::error::Result;
use crate::generator::layers::{Reader, Spectral, swish};
use crate::tensor::{linear, scale};
use candle_core::Tensor;
use candle_nn::ops::sigmoid;

/// Skip-layer excitation: a small map gives one factor a channel of a large one.
pub(super) struct Excite {
    first: Spectral,
    second: Spectral,
}

/// Side of the map that an excitation is computed from; larger maps are averaged down to it.
const POOLED: usize = 4;

impl Excite {
    /// Reads `name.main.1` and `name.main.3`.
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self> {
        let first = [outputs, inputs, POOLED, POOLED];
        let second = [outputs, outputs, 1, 1];
        Ok(Self {
            first: Spectral::read(r, &format!("{name}.main.1"), &first, 0)?,
            second: Spectral::read(r, &format!("{name}.main.3"), &second, 0)?,
        })
    }

    /// `large` with its channels multiplied: small `[N, I, S, S]`, large `[N, C, H, W]`.
    pub(super) fn forward(&self, small: &Tensor, large: &Tensor) -> Result<Tensor> {
        let (n, c, side, _) = small.dims4()?;
        let factor = side / POOLED;
        let pooled = small.reshape((n, c, POOLED, factor, POOLED, factor))?.mean((3, 5))?;
        // The whole of a pooled map is one window.
        let windows = linear(&pooled.flatten_from(1)?, &self.first.tensor()?.flatten_from(1)?)?;
        let second = self.second.tensor()?.flatten_from(1)?;
        let factors = sigmoid(&linear(&swish(&windows)?, &second)?)?;
        Ok(scale(large, &factors)?)
    }
}
