//! The mean absolute error.

use super::{Forward, Setup, Term, TermKind, always};
use crate::error::Result;
use crate::lang::types::{Kind, Param};
use candle_core::Tensor;

/// Mean absolute error on [-1, 1], over all pixels and channels.
pub(super) const TERM: TermKind = TermKind {
    name: "l1",
    param: Param::optional("l1", &[Kind::Number], "-", "weight of the absolute error on [-1, 1]")
        .named(),
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
