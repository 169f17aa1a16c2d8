//! Moving codes along directions, and directions between codes.

use super::arithmetic::{lift, same_model};
use crate::error::{Error, Result};
use crate::latent::{Code, Direction, Part, told};
use crate::safe::Safe;
use crate::space::lattice::{self, Repair};
use candle_core::{DType, Device, Tensor};

/// `code + k · direction`, for every code of the batch.
///
/// W with a W+ direction becomes W+; a W direction moves every layer of a W+ code. The sum is
/// formed in double precision and rounded once. The other parts of the code stay.
///
/// # Errors
/// When space, size or generator do not fit.
pub fn apply(code: &Code, k: f64, direction: &Direction) -> Result<Code> {
    same_model(code.model.as_ref(), direction.model.as_ref())?;
    let space = lattice::moved(code.space, direction.space)
        .map_err(|refusal| unfit(code, direction, Some(refusal.repair)))?;
    let point =
        if space == code.space { code.point().clone() } else { rows_of(code, direction.rows)? };
    let along =
        if space == direction.space { direction.clone() } else { lift(direction, code.layers())? };
    let layered = point.rank() == 3;
    if along.dim != code.dim()
        || (layered && along.rows != point.dims()[1])
        || (!layered && along.rows != 1)
    {
        return Err(unfit(code, direction, None));
    }
    let shape = if layered { vec![1, along.rows, along.dim] } else { vec![1, along.dim] };
    let step = Tensor::from_vec(
        along.data.iter().map(|v| v * k).collect::<Vec<f64>>(),
        shape,
        &Device::Cpu,
    )?;
    let step = step.to_device(point.device())?;
    let point = point.to_dtype(DType::F64)?.broadcast_add(&step)?.to_dtype(DType::F32)?;
    Ok(Code {
        space,
        parts: code.parts.clone().with(Part::Point, point),
        model: code.model.clone().or_else(|| direction.model.clone()),
        origin: told(format!("{} + {k} * ({})", code.origin, direction.origin)),
    })
}

fn unfit(code: &Code, direction: &Direction, repair: Option<Repair>) -> Error {
    Error::runtime(format!(
        "the {} direction `{}` ({}×{}) does not fit a {} code ({}×{})",
        direction.space,
        Safe(&direction.name),
        direction.rows,
        direction.dim,
        code.space,
        code.layers(),
        code.dim()
    ))
    .hint(match repair {
        Some(Repair::Lift(to)) => format!("bring the code there first: to({to}, code)"),
        _ => format!("use a direction found in {} of the same generator", code.space),
    })
}

/// A W code as `[N, rows, D]`.
fn rows_of(code: &Code, rows: usize) -> Result<Tensor> {
    let (n, d) = code.point().dims2()?;
    Ok(code.point().unsqueeze(1)?.broadcast_as((n, rows, d))?.contiguous()?)
}

/// `a - b`, exact: both are single precision, the difference is double.
///
/// # Errors
/// When they hold more than one code, or differ in space, size or generator (W lifts to W+).
pub fn difference(a: &Code, b: &Code) -> Result<Direction> {
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
    let (s, t) = (a.space, b.space);
    let (x, y, space) = if s == t {
        (a.point().clone(), b.point().clone(), s)
    } else if s.layered() == Some(t) {
        (rows_of(a, b.layers())?, b.point().clone(), t)
    } else if t.layered() == Some(s) {
        (a.point().clone(), rows_of(b, a.layers())?, s)
    } else {
        return Err(Error::runtime(format!("cannot subtract a {t} code from a {s} code"))
            .hint("invert or sample both in the same space"));
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
