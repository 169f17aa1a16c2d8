//! Moving codes along directions, and directions between codes.

use super::arithmetic::{lift, same_model};
use crate::error::{Error, Result};
use crate::latent::{Direction, Latent, told};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use std::ops::Range;

/// `latent + k · direction`, for every code of the batch.
///
/// W with a W+ direction becomes W+; a W direction moves every layer of a W+ code. The sum is
/// formed in double precision and rounded once. Noise maps and labels stay.
///
/// # Errors
/// When space, size or generator do not fit.
pub fn apply(latent: &Latent, k: f64, direction: &Direction) -> Result<Latent> {
    same_model(latent.model.as_ref(), direction.model.as_ref())?;
    let (code, along) = match (latent.space, direction.space) {
        (Space::W, Space::WPlus) => (rows_of(latent, direction.rows)?, direction.clone()),
        (Space::WPlus, Space::W) => (latent.data.clone(), lift(direction, latent.layers())?),
        (a, b) if a == b => (latent.data.clone(), direction.clone()),
        _ => return Err(unfit(latent, direction)),
    };
    let layered = code.rank() == 3;
    if along.dim != latent.dim()
        || (layered && along.rows != code.dims()[1])
        || (!layered && along.rows != 1)
    {
        return Err(unfit(latent, direction));
    }
    let shape = if layered { vec![1, along.rows, along.dim] } else { vec![1, along.dim] };
    let step = Tensor::from_vec(
        along.data.iter().map(|v| v * k).collect::<Vec<f64>>(),
        shape,
        &Device::Cpu,
    )?;
    let step = step.to_device(code.device())?;
    let data = code.to_dtype(DType::F64)?.broadcast_add(&step)?.to_dtype(DType::F32)?;
    Ok(Latent {
        space: if layered { Space::WPlus } else { latent.space },
        data,
        model: latent.model.clone().or_else(|| direction.model.clone()),
        noise: latent.noise.clone(),
        labels: latent.labels.clone(),
        origin: told(format!("{} + {k} * ({})", latent.origin, direction.origin)),
    })
}

fn unfit(latent: &Latent, direction: &Direction) -> Error {
    Error::runtime(format!(
        "the {} direction `{}` ({}×{}) does not fit a {} code ({}×{})",
        direction.space,
        Safe(&direction.name),
        direction.rows,
        direction.dim,
        latent.space,
        latent.layers(),
        latent.dim()
    ))
    .hint(match direction.space {
        Space::S if latent.space != Space::S => "bring the code there first: to(S, code)".into(),
        _ => format!("use a direction found in {} of the same generator", latent.space),
    })
}

/// A W code as `[N, rows, D]`.
fn rows_of(latent: &Latent, rows: usize) -> Result<Tensor> {
    let (n, d) = latent.data.dims2()?;
    Ok(latent.data.unsqueeze(1)?.broadcast_as((n, rows, d))?.contiguous()?)
}

/// `a - b`, exact: both are single precision, the difference is double.
///
/// # Errors
/// When they hold more than one code, or differ in space, size or generator (W lifts to W+).
pub fn difference(a: &Latent, b: &Latent) -> Result<Direction> {
    same_model(a.model.as_ref(), b.model.as_ref())?;
    for l in [a, b] {
        if l.count() != 1 {
            return Err(Error::runtime(format!(
                "a direction between {} codes is not one direction",
                l.count()
            ))
            .hint("take one code of each batch"));
        }
    }
    let (x, y, space) = match (a.space, b.space) {
        (Space::W, Space::WPlus) => (rows_of(a, b.layers())?, b.data.clone(), Space::WPlus),
        (Space::WPlus, Space::W) => (a.data.clone(), rows_of(b, a.layers())?, Space::WPlus),
        (s, t) if s == t => (a.data.clone(), b.data.clone(), s),
        (s, t) => {
            return Err(Error::runtime(format!("cannot subtract a {t} code from a {s} code"))
                .hint("invert or sample both in the same space"));
        }
    };
    if x.dims() != y.dims() {
        return Err(Error::runtime(format!(
            "codes of shape {:?} and {:?} cannot be subtracted",
            x.dims(),
            y.dims()
        ))
        .hint("both must come from the same generator"));
    }
    let flat = |t: &Tensor| -> Result<Vec<f64>> {
        Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    };
    let origin = format!("({}) - ({})", a.origin, b.origin);
    Ok(Direction {
        space,
        data: flat(&x)?.iter().zip(flat(&y)?).map(|(p, q)| p - q).collect(),
        rows: if x.rank() == 3 { x.dims()[1] } else { 1 },
        dim: a.dim(),
        layers: None,
        model: a.model.clone().or_else(|| b.model.clone()),
        name: origin.clone(),
        origin,
        about: None,
    })
}

/// The layers in which a direction is not zero, `None` when it is zero everywhere.
pub fn layers_of(d: &Direction) -> Option<Range<usize>> {
    let moves = |row: &[f64]| row.iter().any(|&v| v != 0.0);
    let rows: Vec<bool> = d.data.chunks_exact(d.dim.max(1)).map(moves).collect();
    Some(rows.iter().position(|&b| b)?..rows.iter().rposition(|&b| b)? + 1)
}
