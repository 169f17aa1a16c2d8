//! The mean squared error.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::Tensor;

/// Mean squared error on [-1, 1], over all pixels and channels.
pub(super) const TERM: TermKind = TermKind {
    name: "l2",
    param: weight("l2", "weight of the squared error on [-1, 1]"),
    weight: 1.0,
    automatic: false,
    pictures: true,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Squares)))
}

struct Squares;

impl Term for Squares {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok(at.difference()?.sqr()?.mean(1)?)
    }
}
