//! The mean absolute error.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::Tensor;

/// Mean absolute error on [-1, 1], over all pixels and channels.
pub(super) const TERM: TermKind = TermKind {
    name: "l1",
    param: weight("l1", "weight of the absolute error on [-1, 1]"),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Sizes)))
}

struct Sizes;

impl Term for Sizes {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok(at.difference()?.abs()?.mean(1)?)
    }
}
