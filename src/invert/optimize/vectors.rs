//! Vectors in double precision for optimizers that work on all parameters at once.
//!
//! Sums go from the first to the last, so they do not depend on the number of threads.

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The scalar product.
pub(in crate::invert) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Adds `share · other`.
pub(super) fn add(to: &mut [f64], other: &[f64], share: f64) {
    to.iter_mut().zip(other).for_each(|(t, o)| *t += share * o);
}

/// `from + step · direction`
pub(super) fn along(from: &[f64], direction: &[f64], step: f64) -> Vec<f64> {
    from.iter().zip(direction).map(|(x, d)| x + step * d).collect()
}

/// All values of some tensors, one after the other.
pub(super) fn flat(all: &[Tensor]) -> Result<Vec<f64>> {
    let mut out = Vec::new();
    for t in all {
        let t = t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        out.extend(t.flatten_all()?.to_vec1::<f64>()?);
    }
    Ok(out)
}

/// The values as tensors like these.
///
/// # Errors
/// When there are fewer values than the tensors hold.
pub(super) fn shaped(values: &[f64], like: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut rest = values;
    let mut one = |t: &Tensor| -> Result<Tensor> {
        let (now, later) = rest
            .split_at_checked(t.elem_count())
            .ok_or_else(|| Error::runtime("an optimizer began with other parameters"))?;
        rest = later;
        let own = Tensor::from_vec(now.to_vec(), t.dims(), &Device::Cpu)?;
        Ok(own.to_dtype(t.dtype())?.to_device(t.device())?)
    };
    like.iter().map(&mut one).collect()
}
