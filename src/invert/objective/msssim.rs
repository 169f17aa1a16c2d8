//! Structural similarity over several scales.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::Result;
use crate::invert::job::Job;
use crate::metric::Multiscale;
use crate::space::Space;
use candle_core::Tensor;

/// `1 − MS-SSIM`, see [`Multiscale`]: over as many of the five scales as the pictures are large
/// enough for.
pub(super) const TERM: TermKind = TermKind {
    name: "msssim",
    param: weight(
        "msssim",
        "weight of 1 - MS-SSIM (Wang 2003): five scales from 176 pixels a side on, fewer below",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

fn check(job: &Job<'_>, _: Space) -> Result<()> {
    let spec = job.generator.spec();
    Multiscale::check((spec.height, spec.width))
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Dissimilarity(Multiscale::to(setup.targets)?))))
}

struct Dissimilarity(Multiscale);

impl Term for Dissimilarity {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok((1.0 - self.0.similarity(at.pictures)?)?)
    }
}
