//! W: the output space of the mapping network.

use super::LatentSpace;
use crate::error::Result;
use crate::generator::{Generator, Input};
use crate::space::Space;
use candle_core::Tensor;

/// W (Karras et al. 2019).
pub(super) struct W;

impl LatentSpace for W {
    fn kind(&self) -> Space {
        Space::W
    }

    fn enter(&self, g: &dyn Generator, parent: &Tensor, input: &Input) -> Result<Tensor> {
        g.enter(Space::W, parent, input)
    }
}
