//! StyleGAN2's modulated convolution in its ungrouped form (Karras et al. 2020, section 2.2 and
//! appendix B).
//!
//! The style scales the input channels, one convolution with shared weights follows, and the
//! demodulation `1/√(Σ (w·s)² + 1e-8)` scales the output channels. It equals scaling the weights of
//! each sample, without a set of weights a sample.

use super::act::scale;
use super::conv::{conv_transpose2d, conv2d};
use super::fir::{Filter, Resample, fir};
use super::matmul::linear;
use candle_core::{Result, Tensor};

/// A convolution weight `[O, I, k, k]` with what can be computed from it beforehand when it is
/// frozen.
#[derive(Clone, Debug)]
pub struct Weight {
    w: Tensor,
    squares: Option<Tensor>,
    transposed: Option<Tensor>,
}

impl Weight {
    /// A weight; `up` when it is used by [`modulated_conv_up2`].
    pub fn new(w: Tensor, up: bool) -> Result<Self> {
        let frozen = !w.track_op();
        let squares = if frozen { Some(squares(&w)?) } else { None };
        let transposed = if frozen && up { Some(transposed(&w)?) } else { None };
        Ok(Self { w, squares, transposed })
    }

    /// The weight itself.
    pub fn tensor(&self) -> &Tensor {
        &self.w
    }

    /// The demodulation coefficients of styles `[N, I]`: `[N, O]`.
    pub(super) fn demodulation(&self, style: &Tensor) -> Result<Tensor> {
        demodulation(style, &self.squares.clone().map_or_else(|| squares(&self.w), Ok)?)
    }
}

/// `1/√(Σ s² Σ_k w² + 1e-8)` of styles `[N, I]` and squares `[O, I]`: `[N, O]`.
pub(super) fn demodulation(style: &Tensor, squares: &Tensor) -> Result<Tensor> {
    linear(&style.sqr()?, squares)?.affine(1.0, 1e-8)?.sqrt()?.recip()
}

/// `Σ_k w²`: `[O, I]`.
pub(super) fn squares(w: &Tensor) -> Result<Tensor> {
    w.sqr()?.flatten_from(2)?.sum(2)
}

fn transposed(w: &Tensor) -> Result<Tensor> {
    w.transpose(0, 1)?.contiguous()
}

/// A modulated convolution of the same size: kernel 1 or 3, zero padded.
///
/// # Shapes
/// x `[N, I, H, W]`, style `[N, I]` → `[N, O, H, W]`.
pub fn modulated_conv(
    x: &Tensor,
    weight: &Weight,
    style: &Tensor,
    demodulate: bool,
) -> Result<Tensor> {
    let padding = weight.w.dim(2)? / 2;
    let y = conv2d(&scale(x, style)?, &weight.w, 1, padding)?;
    if demodulate { scale(&y, &weight.demodulation(style)?) } else { Ok(y) }
}

/// A demodulated convolution that doubles the size: transposed convolution of stride 2, then the
/// filter.
///
/// # Shapes
/// x `[N, I, H, W]`, style `[N, I]`, kernel 3 → `[N, O, 2H, 2W]`.
pub fn modulated_conv_up2(
    x: &Tensor,
    weight: &Weight,
    style: &Tensor,
    filter: &Filter,
) -> Result<Tensor> {
    let w = weight.transposed.clone().map_or_else(|| transposed(&weight.w), Ok)?;
    let y = conv_up2(&scale(x, style)?, &w, filter)?;
    scale(&y, &weight.demodulation(style)?)
}

/// A convolution that doubles the size, filtered against aliasing.
///
/// # Shapes
/// x `[N, I, H, W]`, w `[I, O, k, k]` (input channels first) → `[N, O, 2H, 2W]`.
pub fn conv_up2(x: &Tensor, w: &Tensor, filter: &Filter) -> Result<Tensor> {
    let (k, t) = (w.dim(2)? as isize, filter.size().0 as isize);
    let y = conv_transpose2d(x, w, 2, 0)?;
    // The padding of an image of 2H around kernel and filter, less what the transposed convolution
    // has added.
    let before = k / 2 + (t + 1) / 2 - (k - 1);
    let after = k / 2 + (t - 2).div_euclid(2) - (k - 2);
    fir(&y, filter, Resample { up: 1, down: 1, before, after, gain: 4.0 })
}
