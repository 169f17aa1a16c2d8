//! Norms over the channels.

use super::Reader;
use crate::error::Result;
use candle_core::{D, Tensor};

/// Added to the variance in the norm over channels.
const EPS: f64 = 1e-5;
/// Least length of a vector that is brought to length 1: PyTorch's.
const LEAST: f64 = 1e-12;

/// The number that keeps a norm from dividing by zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::generator) enum Epsilon {
    /// Added to the mean square; 1e-8 in the official code.
    Inside(f64),
    /// Added to its root.
    Outside(f64),
}

impl Epsilon {
    /// That of the official code.
    pub(in crate::generator) const USUAL: Self = Self::Inside(1e-8);
}

/// `x / √(mean x² + ε)` or `x / (√(mean x²) + ε)` over the channels.
///
/// # Shapes
/// x `[N, C, …]` → as x.
pub(in crate::generator) fn pixel_norm(x: &Tensor, epsilon: Epsilon) -> Result<Tensor> {
    // So small a number keeps the slope of the root at zero a number.
    let (inside, outside) = match epsilon {
        Epsilon::Inside(e) => (e, 0.0),
        Epsilon::Outside(e) => (1e-30, e),
    };
    let size = x.sqr()?.mean_keepdim(1)?.affine(1.0, inside)?.sqrt()?;
    let size = if outside == 0.0 { size } else { (size + outside)? };
    Ok(x.broadcast_div(&size)?)
}

/// `x / √(mean x² + 1e-8)` over the last dimension, as mapping networks of StyleGAN2 read z.
///
/// # Errors
/// When a tensor operation fails.
pub(in crate::generator) fn normalize(x: &Tensor) -> Result<Tensor> {
    let scale = x.sqr()?.mean_keepdim(D::Minus1)?.affine(1.0, 1e-8)?.sqrt()?.recip()?;
    Ok(x.broadcast_mul(&scale)?)
}

/// Vectors along the channels, brought to length 1: x `[N, C, …]` → as x.
///
/// # Errors
/// When a tensor operation fails.
pub(in crate::generator) fn unit_length(x: &Tensor) -> Result<Tensor> {
    let length = x.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(LEAST)?;
    Ok(x.broadcast_div(&length)?)
}

/// A norm of every pixel over its channels, with a gain and a bias for each channel.
pub(in crate::generator) struct ChannelNorm {
    gain: Tensor,
    bias: Tensor,
}

impl ChannelNorm {
    /// Reads `name.g` and `name.b`, `[1, C, 1, 1]`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub(in crate::generator) fn read(r: &mut Reader<'_>, name: &str, c: usize) -> Result<Self> {
        let gain = r.parameter(&format!("{name}.g"), &[1, c, 1, 1])?;
        let bias = r.parameter(&format!("{name}.b"), &[1, c, 1, 1])?;
        Ok(Self { gain, bias })
    }

    /// `gain · (x − mean)/√(var + eps) + bias`, x `[N, C, H, W]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let spread = centred.sqr()?.mean_keepdim(1)?.affine(1.0, EPS)?.sqrt()?;
        let unit = centred.broadcast_div(&spread)?;
        Ok(unit.broadcast_mul(&self.gain)?.broadcast_add(&self.bias)?)
    }
}
