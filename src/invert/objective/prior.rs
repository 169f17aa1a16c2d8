//! Gaussian prior on codes of Z and W.

use super::{Forward, Setup, Term, TermKind, codes_of, weight};
use crate::error::{Error, Result};
use crate::generator::whitening::Whitening;
use crate::invert::job::Job;
use crate::space::Space;
use candle_core::Tensor;

/// `(x − μ)ᵀ Σ⁻¹ (x − μ) / D` of the code, in W+ the mean over its rows, with the mean μ and the
/// covariance Σ of the prior: of z those are 0 and 1, of w those of 10,000 samples, with variances
/// below 1e-5 of the largest raised to that. A typical sample has 1. Up to factors it is −log of the
/// Gaussian's density.
pub(super) const TERM: TermKind = TermKind {
    name: "prior",
    param: weight(
        "prior",
        "weight that keeps codes near the prior: the squared distance from the mean of z or w, by \
         their covariance; a typical sample has 1",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

fn check(job: &Job<'_>, searched: Space) -> Result<()> {
    match codes_of(job, searched) {
        Space::Z | Space::W | Space::WPlus => Ok(()),
        Space::PN | Space::PNPlus => {
            Err(Error::runtime("the prior of PN is `prior_pn`")
                .hint("use prior_pn instead of prior"))
        }
        other => {
            let text = format!("a search in {other} has no Gaussian prior");
            Err(Error::runtime(text).hint("use prior: 0, or space: Z, W or W+"))
        }
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    check(setup.job, setup.space)?;
    let whitening = match codes_of(setup.job, setup.space) {
        Space::Z => None,
        _ => Some((setup.gaussian)()?),
    };
    Ok(Some(Box::new(Gaussian { whitening })))
}

struct Gaussian {
    /// That of w; `None` for z.
    whitening: Option<Whitening>,
}

impl Term for Gaussian {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let v = match &self.whitening {
            Some(whitening) => whitening.whiten(at.code)?,
            None => at.code.clone(),
        };
        Ok(v.flatten_from(1)?.sqr()?.mean(1)?)
    }
}
