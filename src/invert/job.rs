//! Inputs of an inversion.

use super::stats::WStats;
use crate::control::Control;
use crate::error::Result;
use crate::generator::Generator;
use crate::metric::{Lpips, Perceptual, Recognition};
use crate::network::{Discriminator, Encoder};
use candle_core::Tensor;

/// Asked for the statistics of w when something first needs them; `None` when the caller has none,
/// and they are drawn.
pub type Statistics<'a> = &'a (dyn Fn() -> Result<Option<WStats>> + Sync + 'a);

/// Inputs of an inversion: generator, networks and control.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The generator.
    pub generator: &'a dyn Generator,
    /// The feature network of the perceptual term.
    pub perceptual: Option<&'a Perceptual>,
    /// The network of the LPIPS term.
    pub lpips: Option<&'a Lpips>,
    /// The recogniser of the identity term; without one it is the generator's own network.
    pub recognition: Option<&'a Recognition>,
    /// The discriminator of its terms.
    pub discriminator: Option<&'a dyn Discriminator>,
    /// The encoder: the one that the generator brings, or another for it.
    pub encoder: Option<&'a dyn Encoder>,
    /// The network that the method runs after the encoder, where the generator brings it.
    pub companion: Option<&'a dyn Encoder>,
    /// Labels of a conditional generator, `[1 or N, c_dim]`.
    pub labels: Option<&'a Tensor>,
    /// Statistics of w that the caller may know already ([`WStats::of`]).
    pub stats: Option<Statistics<'a>>,
    /// A key an image for its random numbers; empty uses the hash of each image's content.
    pub keys: &'a [String],
    /// Stop signal and progress.
    pub control: &'a Control,
}

impl<'a> Job<'a> {
    /// A job with a generator only.
    pub fn new(generator: &'a dyn Generator, control: &'a Control) -> Self {
        Self {
            generator,
            perceptual: None,
            lpips: None,
            recognition: None,
            discriminator: None,
            encoder: None,
            companion: None,
            labels: None,
            stats: None,
            keys: &[],
            control,
        }
    }

    /// The labels of image `i`, `[1, c_dim]`.
    ///
    /// # Errors
    /// When the row does not exist.
    pub(super) fn labels_of(&self, i: usize) -> Result<Option<Tensor>> {
        let Some(labels) = self.labels else { return Ok(None) };
        let row = if labels.dims().first() == Some(&1) { 0 } else { i };
        Ok(Some(labels.narrow(0, row, 1)?.contiguous()?))
    }
}
