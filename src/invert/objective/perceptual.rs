//! The perceptual distance, in the layers of a feature network.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::Perceptual;
use crate::space::Space;
use candle_core::Tensor;

/// See [`Perceptual`]. By default it counts where the generator brings a feature network; the caller
/// may offer another network where the weight was asked for.
pub(super) const TERM: TermKind = TermKind {
    name: "perceptual",
    param: weight(
        "perceptual",
        "weight of the perceptual distance; by default 0.8 where the generator brings a feature \
         network. Others use the built-in generator's when a weight is given",
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
    Ok(Some(Box::new(Distance { network, taps: network.taps(setup.targets)? })))
}

struct Distance<'a> {
    network: &'a Perceptual,
    /// The targets' activations.
    taps: Vec<Tensor>,
}

impl Term for Distance<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        self.network.to(at.pictures, &self.taps)
    }
}
