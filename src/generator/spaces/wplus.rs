//! W+: a w for every layer.

use super::LatentSpace;
use crate::error::Result;
use crate::generator::{Generator, Input};
use crate::space::Space;
use candle_core::Tensor;

/// W+ (Abdal et al. 2019, Image2StyleGAN).
pub(super) struct WPlus;

impl LatentSpace for WPlus {
    fn kind(&self) -> Space {
        Space::WPlus
    }

    /// The same row in every layer: w `[N, D]` → `[N, L, D]`.
    fn enter(&self, g: &dyn Generator, parent: &Tensor, _: &Input) -> Result<Tensor> {
        let (n, d) = parent.dims2()?;
        Ok(parent.unsqueeze(1)?.broadcast_as((n, g.spec().num_ws, d))?.contiguous()?)
    }
}
