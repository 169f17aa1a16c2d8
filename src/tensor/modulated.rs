//! StyleGAN2's modulated convolution in its ungrouped form (Karras et al. 2020, section 2.2 and
//! appendix B).
//!
//! The style scales the input channels, one convolution with shared weights follows, and the
//! demodulation `1/√(Σ (w·s)² + 1e-8)` scales the output channels. It equals scaling the weights of
//! each sample, without a set of weights a sample.

use super::act::scale;
use super::conv::{conv_transpose2d, conv2d};
use super::engine::StyledWeight;
use super::fir::{Filter, Resample, fir};
use super::matmul::linear;
use candle_core::{Device, Result, Tensor};
use std::sync::{Arc, OnceLock};

/// A convolution weight `[O, I, k, k]`.
///
/// What can be computed from a frozen one beforehand is computed at the first use and kept. The
/// operators of this crate need other forms of it than the engine, and most weights are used by one
/// of the two.
#[derive(Clone, Debug)]
pub struct Weight {
    /// The weight itself, unless it is in the engine's form alone and was not needed yet.
    w: OnceLock<Tensor>,
    /// The engine's form, if that is what the weight was made for.
    styled: Option<Arc<StyledWeight>>,
    squares: OnceLock<Tensor>,
    transposed: OnceLock<Tensor>,
}

impl Weight {
    /// A weight.
    pub fn new(w: Tensor) -> Self {
        Self { w: w.into(), styled: None, squares: OnceLock::new(), transposed: OnceLock::new() }
    }

    /// A weight in the engine's form alone, `up` for a layer that doubles the size, where the
    /// engine can run it: 3×3, frozen and on the CPU. Other weights are kept as they are.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn styled_only(w: Tensor, up: bool) -> Result<Self> {
        match StyledWeight::new(&w, up)? {
            Some(styled) => Ok(Self {
                w: OnceLock::new(),
                styled: Some(Arc::new(styled)),
                squares: OnceLock::new(),
                transposed: OnceLock::new(),
            }),
            None => Ok(Self::new(w)),
        }
    }

    /// Whether it is in the engine's form alone.
    pub fn is_styled(&self) -> bool {
        self.styled.is_some()
    }

    /// Its shape.
    pub fn dims(&self) -> Vec<usize> {
        match (self.w.get(), &self.styled) {
            (Some(w), _) => w.dims().to_vec(),
            (None, Some(styled)) => styled.dims().to_vec(),
            (None, None) => Vec::new(),
        }
    }

    /// The weight itself. One in the engine's form alone is put in order again at each call.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn tensor(&self) -> Result<Tensor> {
        match (self.w.get(), &self.styled) {
            (Some(w), _) => Ok(w.clone()),
            (None, Some(styled)) => {
                Tensor::from_vec(styled.numbers(), &styled.dims(), &Device::Cpu)
            }
            (None, None) => candle_core::bail!("a weight without numbers"),
        }
    }

    /// As [`Self::tensor`], and kept.
    fn planar(&self) -> Result<Tensor> {
        kept(&self.w, true, || self.tensor())
    }

    /// The engine's form, for a layer that doubles the size or does not; `None` when the engine
    /// cannot run it: another kernel, a trained weight, another device.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn styled(&self, up: bool) -> Result<Option<Arc<StyledWeight>>> {
        match &self.styled {
            Some(styled) if styled.doubles() == up => Ok(Some(styled.clone())),
            _ => Ok(StyledWeight::new(&self.tensor()?, up)?.map(Arc::new)),
        }
    }

    /// The demodulation coefficients of styles `[N, I]`: `[N, O]`.
    pub(super) fn demodulation(&self, style: &Tensor) -> Result<Tensor> {
        let w = self.planar()?;
        demodulation(style, &kept(&self.squares, !w.track_op(), || squares(&w))?)
    }

    /// The weight with the input channels first.
    fn transposed(&self) -> Result<Tensor> {
        let w = self.planar()?;
        kept(&self.transposed, !w.track_op(), || transposed(&w))
    }
}

/// What is in a place, else what `make` gives, which stays there if `keep`. Made outside the lock:
/// a thread that waits for its share of the work may run a job that needs the same.
fn kept(
    place: &OnceLock<Tensor>,
    keep: bool,
    make: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    match place.get() {
        Some(made) => Ok(made.clone()),
        None => make().map(|made| if keep { place.get_or_init(|| made).clone() } else { made }),
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
    let w = weight.planar()?;
    let y = conv2d(&scale(x, style)?, &w, 1, w.dim(2)? / 2)?;
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
    let y = conv_up2(&scale(x, style)?, &weight.transposed()?, filter)?;
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
