//! A direction with others projected out, jointly.

#[cfg(test)]
use super::arithmetic::cosine;
use super::arithmetic::{fit, lift, norm, unit};
use super::linalg::{basis, length, remove};
use crate::error::{Error, Result};
use crate::latent::{Direction, told};
use crate::safe::Safe;
use crate::space::Space;

/// Less than this part of the base outside the span is rounding noise of single-precision files,
/// not a direction.
const NOTHING_LEFT: f64 = 1e-7;

/// A conditioned direction and what it took.
#[derive(Clone, Debug)]
pub struct Conditioned {
    /// The base without the conditions' span: the least-squares residual.
    pub direction: Direction,
    /// Cosine of the base with every condition, before.
    #[cfg(test)]
    pub before: Vec<f64>,
    /// Largest |cosine| of the result with a condition, after.
    #[cfg(test)]
    pub after: f64,
    /// The part of the base's length that lay outside the span, in (0, 1].
    pub left: f64,
    /// Independent conditions; fewer than given when some depend on others.
    #[cfg(test)]
    pub rank: usize,
}

/// `base | [conditions]`: the base with the span of all conditions projected out by least squares
/// (InterFaceGAN, Shen et al. 2020, section 3.2). The result is the residual itself, not scaled
/// back: a step along it is the part of the base's step that the conditions do not share.
///
/// Joint, never chained: taking out one condition after the other brings parts of the first back
/// when they are not orthogonal. If any is W+, the W ones are lifted.
///
/// # Errors
/// When a condition does not fit the base, is zero, or when the base lies in the span of the
/// conditions.
pub fn conditional(base: &Direction, conditions: &[Direction]) -> Result<Conditioned> {
    let rows =
        conditions.iter().chain([base]).filter(|d| d.space == Space::WPlus).map(|d| d.rows).next();
    let lifted = match rows {
        Some(rows) if base.space == Space::W => lift(base, rows)?,
        _ => base.clone(),
    };
    let mut fitted = Vec::with_capacity(conditions.len());
    for c in conditions {
        let (_, c) = fit(&lifted, c)?;
        unit(&c)?;
        fitted.push(c);
    }
    let start = unit(&lifted)?;
    let span = basis(&fitted.iter().map(|c| c.data.as_slice()).collect::<Vec<_>>());
    let mut rest = start.data;
    remove(&mut rest, &span);
    let left = length(&rest);
    if left <= NOTHING_LEFT {
        return Err(in_span(base, conditions));
    }
    let length = norm(&lifted);
    rest.iter_mut().for_each(|v| *v *= length);
    let names = list(conditions, |d| &d.name);
    let direction = Direction {
        data: rest,
        layers: None,
        about: None,
        name: told(format!("{} | [{names}]", base.name)),
        origin: told(format!("({}) | [{}]", base.origin, list(conditions, |d| &d.origin))),
        model: lifted.model.clone().or_else(|| conditions.iter().find_map(|c| c.model.clone())),
        ..lifted.clone()
    };
    #[cfg(test)]
    let cosines = |d: &Direction| fitted.iter().map(|c| cosine(d, c)).collect::<Result<Vec<f64>>>();
    Ok(Conditioned {
        #[cfg(test)]
        before: cosines(&lifted)?,
        #[cfg(test)]
        after: cosines(&direction)?.into_iter().map(f64::abs).fold(0.0, f64::max),
        #[cfg(test)]
        rank: span.len(),
        direction,
        left,
    })
}

fn list<'a>(all: &'a [Direction], f: impl Fn(&'a Direction) -> &'a String) -> String {
    all.iter().map(|d| f(d).as_str()).collect::<Vec<_>>().join(", ")
}

fn in_span(base: &Direction, conditions: &[Direction]) -> Error {
    Error::runtime(format!(
        "nothing of `{}` is left: it lies in the span of [{}]",
        Safe(&base.name),
        Safe(&list(conditions, |d| &d.name))
    ))
    .hint("leave out the condition that is the same direction, or condition on fewer")
}
