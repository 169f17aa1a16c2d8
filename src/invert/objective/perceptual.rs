//! The perceptual distance, in the layers of a feature network.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::Perceptual;
use crate::space::Space;
use candle_core::Tensor;

/// See [`Perceptual`]. It counts wherever the caller offers a network: the generator's own, or another
/// one. Pixels alone lead to codes with blurred features and closed eyes.
pub(super) const TERM: TermKind = TermKind {
    name: "perceptual",
    param: weight(
        "perceptual",
        "weight of the perceptual distance; by default 0.8. A generator that brings no feature \
         network uses the built-in one's, below 64 × 64 only when a weight is given",
    ),
    weight: 0.8,
    automatic: true,
    pictures: true,
    check,
    make,
};

fn check(job: &Job<'_>, _: Space) -> Result<()> {
    match job.perceptual {
        Some(_) => Ok(()),
        None => Err(Error::runtime("a perceptual loss needs a feature network, and there is none")
            .hint("use perceptual: 0, or a generator that has one")),
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let Some(network) = setup.job.perceptual else { return Ok(None) };
    let network = if setup.early { network.of_small() } else { network.clone() };
    let taps = network.taps(setup.targets)?;
    Ok(Some(Box::new(Distance { network, taps })))
}

struct Distance {
    network: Perceptual,
    /// The targets' activations.
    taps: Vec<Tensor>,
}

impl Term for Distance {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        self.network.to(at.pictures, &self.taps)
    }
}
