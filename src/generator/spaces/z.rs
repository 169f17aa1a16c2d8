//! Z: the prior's space, what the mapping network or a plain generator reads.

use super::LatentSpace;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input};
use crate::space::Space;
use candle_core::Tensor;

/// Z, with a standard normal prior.
pub(super) struct Z;

impl LatentSpace for Z {
    fn kind(&self) -> Space {
        Space::Z
    }

    fn enter(&self, _: &dyn Generator, _: &Tensor, _: &Input) -> Result<Tensor> {
        Err(Error::runtime("no space leads to Z: it is where codes are drawn"))
    }

    /// ‖z‖² / 2.
    fn prior(&self, code: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some((code.flatten_from(1)?.sqr()?.sum(1)? * 0.5)?))
    }
}
