//! The binary cross-entropy.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::Tensor;

/// One level of 8 bits: logarithms continue along their tangent below it, so values outside [0, 1]
/// have a finite loss and a slope that leads back.
const LEVEL: f64 = 1.0 / 255.0;

/// Mean of `−t·log p − (1 − t)·log(1 − p)` for the values p of the picture and t of the target,
/// brought to [0, 1], less what the target has with itself (Creswell and Bharath 2016). The target
/// is kept one level away from 0 and 1. So the term is convex in p, and 0 at p = t alone: the
/// Kullback-Leibler divergence of the two.
pub(super) const TERM: TermKind = TermKind {
    name: "bce",
    param: weight(
        "bce",
        "weight of the binary cross-entropy of the picture's values in [0, 1], less that of the \
         target with itself",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Entropy)))
}

struct Entropy;

impl Term for Entropy {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let share = |t: &Tensor| -> Result<Tensor> { Ok(((t.flatten_from(1)? + 1.0)? * 0.5)?) };
        let target = share(at.targets)?.clamp(LEVEL, 1.0 - LEVEL)?;
        let own = crossed(&target, &target)?;
        Ok((crossed(&share(at.pictures)?, &target)? - own)?)
    }
}

/// The mean cross-entropy of values p with t, `[N]`.
fn crossed(p: &Tensor, t: &Tensor) -> Result<Tensor> {
    let on = (t * log(p)?)?;
    let off = ((1.0 - t)? * log(&(1.0 - p)?)?)?;
    Ok((on + off)?.mean(1)?.neg()?)
}

/// The logarithm, below one level its tangent there.
fn log(x: &Tensor) -> Result<Tensor> {
    let tangent = ((x.minimum(LEVEL)? - LEVEL)? / LEVEL)?;
    Ok((x.maximum(LEVEL)?.log()? + tangent)?)
}
