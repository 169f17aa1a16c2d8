//! What tuned weights change of other pictures.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use crate::metric::{Lpips, Perceptual};
use candle_core::{DType, Tensor};

/// Squared error and perceptual distance of the tuned from the untouched generator in a picture of
/// a code far from the one that is tuned, a fresh one at every step (PTI, Roich et al. 2021, who
/// weigh both 0.1 and leave it out by default). The perceptual distance is LPIPS where that is
/// weighed, else that of the feature network; without either the squared error counts alone. It is
/// 0 in phases that tune no weights.
pub(super) const TERM: TermKind = TermKind {
    name: "locality",
    param: weight(
        "locality",
        "of methods that tune weights: weight of what they change of pictures far from this one \
         (PTI, who use 0.1); one more picture a step",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check: always,
    make,
};

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let (lpips, perceptual) = (setup.job.lpips, setup.job.perceptual);
    Ok(Some(Box::new(Locality { lpips, perceptual })))
}

struct Locality<'a> {
    lpips: Option<&'a Lpips>,
    perceptual: Option<&'a Perceptual>,
}

impl Term for Locality<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let Some([tuned, own]) = at.far else {
            return Ok(Tensor::zeros(at.pictures.dim(0)?, DType::F32, at.pictures.device())?);
        };
        let pixels = (tuned - own)?.flatten_from(1)?.sqr()?.mean(1)?;
        Ok(match (self.lpips, self.perceptual) {
            (Some(lpips), _) => (pixels + lpips.to(tuned, &lpips.taps(own)?)?)?,
            (None, Some(network)) => (pixels + network.to(tuned, &network.taps(own)?)?)?,
            (None, None) => pixels,
        })
    }
}
