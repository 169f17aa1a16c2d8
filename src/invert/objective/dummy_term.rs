//! A term for tests alone.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::Tensor;

/// Mean of `√(1 + d²) - 1`, `d` the difference on [-1, 1].
pub(super) const TERM: TermKind = TermKind {
    name: "dummy_term",
    param: weight("dummy_term", "weight of the rounded error"),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Rounded)))
}

struct Rounded;

impl Term for Rounded {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok(((at.difference()?.sqr()? + 1.0)?.sqrt()? - 1.0)?.mean(1)?)
    }
}
