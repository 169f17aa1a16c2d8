//! Sums, multiples, layers and angles.

use crate::error::{Error, Result};
use crate::latent::{Direction, ModelId, told};
use crate::safe::Safe;
use crate::space::Space;
use std::ops::Range;

/// Two directions brought to one shape: W is lifted to W+ when the other is W+.
///
/// # Errors
/// When they belong to different generators, other spaces, or differ in size.
pub fn fit(a: &Direction, b: &Direction) -> Result<(Direction, Direction)> {
    same_model(a.model.as_ref(), b.model.as_ref())?;
    let (x, y) = if a.space.layered() == Some(b.space) {
        (lift(a, b.rows)?, b.clone())
    } else if b.space.layered() == Some(a.space) {
        (a.clone(), lift(b, a.rows)?)
    } else {
        (a.clone(), b.clone())
    };
    if x.space != y.space {
        return Err(mismatch(a, b).hint("find or load both directions in the same space"));
    }
    if (x.rows, x.dim) != (y.rows, y.dim) {
        return Err(mismatch(a, b).hint("both must come from generators of the same size"));
    }
    Ok((x, y))
}

fn mismatch(a: &Direction, b: &Direction) -> Error {
    let shape = |d: &Direction| format!("`{}` ({} {}×{})", Safe(&d.name), d.space, d.rows, d.dim);
    Error::runtime(format!("the directions {} and {} do not fit each other", shape(a), shape(b)))
}

/// Checks that two things belong to one generator; one without an identity passes.
pub(super) fn same_model(a: Option<&ModelId>, b: Option<&ModelId>) -> Result<()> {
    match (a, b) {
        (Some(x), Some(y)) if x.fingerprint != y.fingerprint => {
            let label = |m: &ModelId| {
                format!("{} ({}…)", Safe(&m.name), m.fingerprint.get(..4).unwrap_or(""))
            };
            Err(Error::runtime(format!(
                "these belong to different generators: {} and {}",
                label(x),
                label(y)
            ))
            .hint("take both from the same generator"))
        }
        _ => Ok(()),
    }
}

/// A W direction as W+, one of PN as PN+: the same row in all `num_ws` layers, zero in the layers
/// it was restricted away from. A W+ or PN+ direction of that many layers stays as it is.
///
/// # Errors
/// When its space has no layered version, or it already has another number of layers.
pub fn lift(d: &Direction, num_ws: usize) -> Result<Direction> {
    match (d.space.has_rows(), d.space.layered()) {
        (true, _) if d.rows == num_ws => Ok(d.clone()),
        (true, _) => Err(Error::runtime(format!(
            "the direction `{}` has {} layers, {num_ws} are needed",
            Safe(&d.name),
            d.rows
        ))
        .hint("use a direction of this generator, or one in W")),
        (false, Some(layered)) if d.rows == 1 => {
            Ok(Direction { space: layered, rows: num_ws, data: d.data.repeat(num_ws), ..d.clone() })
        }
        _ => Err(Error::runtime(format!("a {} direction cannot become W+", d.space))
            .hint("only W directions lift to W+; find this one in W")),
    }
}

/// The direction in the layers `range` only (half open); W becomes W+ with zero rows outside, S
/// keeps the styles that these rows of w control: `styles` says how many each row has.
///
/// # Errors
/// When the range is empty or reaches beyond `num_ws`, and when an S direction has not the styles
/// of the generator.
pub fn at_layers(
    d: &Direction,
    range: Range<usize>,
    num_ws: usize,
    styles: &[usize],
) -> Result<Direction> {
    if range.start >= range.end || range.end > num_ws {
        return Err(Error::runtime(format!("layers {}..{} do not exist", range.start, range.end))
            .hint(format!(
                "layers count from 0 and end before {num_ws}: 0..{num_ws} is all of them"
            )));
    }
    let mut out = if d.space == Space::S { d.clone() } else { lift(d, num_ws)? };
    let sizes = if d.space == Space::S { styles.to_vec() } else { vec![out.dim; num_ws] };
    if sizes.iter().sum::<usize>() != out.data.len() {
        return Err(Error::runtime(format!(
            "the direction `{}` has {} styles, the generator's layers {}",
            Safe(&d.name),
            out.data.len(),
            sizes.iter().sum::<usize>()
        ))
        .hint("use a direction of this generator"));
    }
    let mut rest = out.data.as_mut_slice();
    for (i, size) in sizes.into_iter().enumerate() {
        let (row, after) = rest.split_at_mut(size);
        if !range.contains(&i) {
            row.fill(0.0);
        }
        rest = after;
    }
    out.about = None;
    out.origin = format!("{} @ {}..{}", d.origin, range.start, range.end);
    // Restricting twice keeps what both allow.
    out.layers = Some(match &d.layers {
        Some(before) => {
            before.start.max(range.start)
                ..before.end.min(range.end).max(before.start.max(range.start))
        }
        None => range,
    });
    Ok(out)
}

/// The sum.
///
/// # Errors
/// As [`fit`].
pub fn add(a: &Direction, b: &Direction) -> Result<Direction> {
    combine(a, b, '+', |x, y| x + y)
}

/// The difference.
///
/// # Errors
/// As [`fit`].
pub fn sub(a: &Direction, b: &Direction) -> Result<Direction> {
    combine(a, b, '-', |x, y| x - y)
}

fn combine(
    a: &Direction,
    b: &Direction,
    sign: char,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Direction> {
    let (x, y) = fit(a, b)?;
    Ok(Direction {
        data: x.data.iter().zip(&y.data).map(|(&p, &q)| f(p, q)).collect(),
        name: told(format!("{} {sign} {}", a.name, b.name)),
        origin: told(format!("({}) {sign} ({})", a.origin, b.origin)),
        layers: if x.layers == y.layers { x.layers.clone() } else { None },
        model: a.model.clone().or_else(|| b.model.clone()),
        about: None,
        ..x
    })
}

/// The multiple `k · d`.
pub fn scale(d: &Direction, k: f64) -> Direction {
    Direction {
        data: d.data.iter().map(|v| v * k).collect(),
        name: told(format!("{k}*{}", d.name)),
        origin: told(format!("{k} * ({})", d.origin)),
        about: None,
        ..d.clone()
    }
}

/// The direction at length 1.
///
/// # Errors
/// When it is zero or not finite.
pub fn unit(d: &Direction) -> Result<Direction> {
    let length = norm(d);
    if !(length.is_finite() && length > 0.0) {
        return Err(Error::runtime(format!(
            "the direction `{}` has length {length}",
            Safe(&d.name)
        ))
        .hint("a direction needs a length above zero"));
    }
    Ok(Direction { data: d.data.iter().map(|v| v / length).collect(), about: None, ..d.clone() })
}

/// The scalar product, as stored (no lifting).
pub fn dot(a: &Direction, b: &Direction) -> f64 {
    a.data.iter().zip(&b.data).map(|(x, y)| x * y).sum()
}

/// The Euclidean length over all rows. A W direction has the length of its one row, not of its
/// lift.
pub fn norm(d: &Direction) -> f64 {
    // Scaled by the largest entry, so tiny and huge entries keep the length exact.
    let top = d.data.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if top == 0.0 || !top.is_finite() {
        return top;
    }
    top * d.data.iter().map(|v| (v / top).powi(2)).sum::<f64>().sqrt()
}

/// The cosine of the angle between two directions, after lifting.
///
/// # Errors
/// As [`fit`], or when one is zero.
pub fn cosine(a: &Direction, b: &Direction) -> Result<f64> {
    let (x, y) = fit(a, b)?;
    Ok(dot(&unit(&x)?, &unit(&y)?).clamp(-1.0, 1.0))
}

/// All cosines: row i, column j is that of direction i with direction j.
///
/// # Errors
/// As [`cosine`].
pub fn cosines(all: &[Direction]) -> Result<Vec<Vec<f64>>> {
    all.iter().map(|a| all.iter().map(|b| cosine(a, b)).collect()).collect()
}
