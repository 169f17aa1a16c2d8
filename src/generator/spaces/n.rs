//! N: the noise maps of the layers.

use super::LatentSpace;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input};
use crate::space::Space;
use candle_core::Tensor;

/// N: one map of standard normal noise a noisy layer.
pub(super) struct N;

impl LatentSpace for N {
    fn kind(&self) -> Space {
        Space::N
    }

    fn enter(&self, _: &dyn Generator, _: &Tensor, _: &Input) -> Result<Tensor> {
        Err(Error::runtime("no space leads to N: noise maps are drawn or stored"))
    }

    /// ‖n‖² / 2.
    fn prior(&self, code: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some((code.flatten_from(1)?.sqr()?.sum(1)? * 0.5)?))
    }
}
