//! S: the styles that the layers' affine maps make of their rows.

use super::LatentSpace;
use crate::error::Result;
use crate::generator::{Generator, Input};
use crate::space::Space;
use candle_core::Tensor;

/// S (Wu et al. 2021, StyleSpace): all layers' styles one after the other as in
/// [`crate::generator::Spec::styles`], unscaled.
pub(super) struct S;

impl LatentSpace for S {
    fn kind(&self) -> Space {
        Space::S
    }

    fn enter(&self, g: &dyn Generator, parent: &Tensor, input: &Input) -> Result<Tensor> {
        g.enter(Space::S, parent, input)
    }
}
