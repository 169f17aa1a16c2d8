//! Huber's error.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::Tensor;

/// The difference of two values on [-1, 1], δ, from which on the error grows linearly: about 13 of
/// 255 levels. A larger one is an outlier, such as glasses that the generator cannot draw.
const DELTA: f64 = 0.1;

/// Mean of Huber's error on [-1, 1] (Huber 1964): `d²/2` for a difference `|d| ≤ δ`, beyond it
/// `δ · (|d| − δ/2)`, with δ = 0.1.
pub(super) const TERM: TermKind = TermKind {
    name: "huber",
    param: weight(
        "huber",
        "weight of Huber's error on [-1, 1]: d²/2 up to δ = 0.1, then linear, so outliers pull less",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Huber)))
}

struct Huber;

impl Term for Huber {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let size = at.difference()?.abs()?;
        // With c = min(|d|, δ) both branches are c · (|d| − c/2).
        let capped = size.minimum(DELTA)?;
        Ok((&capped * (&size - (&capped / 2.0)?)?)?.mean(1)?)
    }
}
