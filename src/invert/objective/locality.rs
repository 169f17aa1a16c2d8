//! What tuned weights change of other pictures.

use super::{Aside, Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use crate::metric::{Lpips, Perceptual};
use candle_core::{DType, Tensor};

/// Squared error and perceptual distance of the tuned from the untouched generator in a picture of
/// a code far from the one that is tuned, a fresh one at every fourth step (PTI, Roich et al. 2021,
/// who weigh both 0.1 and leave it out by default). The perceptual distance is LPIPS where that is
/// weighed, else that of the feature network; without either the squared error counts alone. It is
/// 0 in phases that tune no weights.
pub(super) const TERM: TermKind = TermKind {
    name: "locality",
    param: weight(
        "locality",
        "of methods that tune weights: weight of what they change of pictures far from this one \
         (PTI, who use 0.1); two more pictures at every fourth step",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check: always,
    make,
};

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Changed::new(setup, TERM.name, |aside| aside.far))))
}

/// How far pictures by the tuned generators are from what they should be.
pub(super) struct Changed<'a> {
    name: &'static str,
    /// The pictures, where a step has drawn some.
    pictures: for<'t> fn(&Aside<'t>) -> Option<&'t [Tensor; 2]>,
    lpips: Option<&'a Lpips>,
    perceptual: Option<&'a Perceptual>,
}

impl<'a> Changed<'a> {
    /// The term of that name for these pictures.
    pub fn new(
        setup: &Setup<'_, 'a>,
        name: &'static str,
        pictures: for<'t> fn(&Aside<'t>) -> Option<&'t [Tensor; 2]>,
    ) -> Self {
        Self { name, pictures, lpips: setup.job.lpips, perceptual: setup.job.perceptual }
    }
}

impl Term for Changed<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// `[N]`: the squared error, with LPIPS or else the perceptual distance; 0 without pictures.
    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let Some([tuned, wanted]) = (self.pictures)(&at.aside) else {
            return Ok(Tensor::zeros(at.pictures.dim(0)?, DType::F32, at.pictures.device())?);
        };
        let pixels = (tuned - wanted)?.flatten_from(1)?.sqr()?.mean(1)?;
        let apart = match (self.lpips, self.perceptual) {
            (Some(lpips), _) => (pixels + lpips.to(tuned, &lpips.taps(wanted)?)?)?,
            (None, Some(network)) => (pixels + network.to(tuned, &network.taps(wanted)?)?)?,
            (None, None) => pixels,
        };
        Ok((apart * at.aside.times)?)
    }
}
