//! Distance between the rows of a W+ code.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::space::Space;
use candle_core::Tensor;

/// Mean squared distance of the rows of a W+ or PN+ code from their mean, in units of σ_w², in PN+
/// of the number of dimensions, which is σ² of v (after e4e's delta regularisation, Tov et al.
/// 2021).
pub(super) const TERM: TermKind = TermKind {
    name: "offset",
    param: weight("offset", "weight that keeps the layers of a W+ or PN+ code together"),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

fn check(_: &Job<'_>, space: Space) -> Result<()> {
    if space != Space::S {
        return Ok(());
    }
    Err(Error::runtime("a style code has no offsets from W: it has no rows of w")
        .hint("use offset: 0, or space: W+"))
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let variance = match setup.space {
        Space::WPlus => (setup.sigma)()?.powi(2).max(f64::MIN_POSITIVE),
        Space::PNPlus => setup.job.generator.spec().w_dim as f64,
        // All rows of a code of Z, W or PN are alike.
        _ => return Ok(None),
    };
    Ok(Some(Box::new(Offsets { variance })))
}

struct Offsets {
    /// The spread of the rows of codes of the prior.
    variance: f64,
}

impl Term for Offsets {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let rows = at.code.broadcast_sub(&at.code.mean_keepdim(1)?)?; // [NLD]
        Ok(rows.sqr()?.sum(2)?.mean(1)?)
    }

    fn unit(&self) -> f64 {
        self.variance
    }
}
