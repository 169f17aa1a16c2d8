//! Weights under spectral normalisation (Miyato et al. 2018): a matrix over its largest singular
//! value, estimated by one step of the power method.

use super::refuse::refuse;
use crate::error::Result;
use crate::generator::layers::Reader;
use candle_core::Tensor;

/// Smallest length that a vector is divided by, as PyTorch's `normalize`.
const LEAST: f64 = 1e-12;

/// The suffixes under which a weight can be stored.
const NAMES: [&str; 2] = ["weight", "weight_orig"];

/// The suffix of a stored weight: `weight`, or `weight_orig` as PyTorch's `spectral_norm` has it.
pub(super) fn stored<'a>(name: &str, has: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    NAMES.into_iter().find(|end| has(&format!("{name}.{end}")))
}

/// Estimate of the largest singular value σ of the weight as a matrix, one row an output.
enum Norm {
    /// No normalisation.
    None,
    /// `σ = uᵀ · W · v` of stored vectors: PyTorch's `spectral_norm` at rest.
    Stored { u: Tensor, v: Tensor },
    /// A step from a stored u: `v = uᵀW/‖·‖`, `u' = Wv/‖·‖`, `σ = u'ᵀ · W · v` (BigGAN-PyTorch at
    /// rest). Gradients do not flow through u' and v.
    Step { u: Tensor },
}

/// A weight, normalised when it is used.
pub(super) struct Weight {
    raw: Tensor,
    norm: Norm,
    /// The axis that counts its outputs: 1 of a transposed convolution.
    outputs: usize,
    /// The normalised weight, where nothing of it is searched.
    ready: Option<Tensor>,
}

impl Weight {
    /// Reads `name.weight`, or `name.weight_orig` with its vectors, of that shape.
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        shape: &[usize],
        outputs: usize,
    ) -> Result<Self> {
        let full = |end: &str| format!("{name}.{end}");
        let rows = shape.get(outputs).copied().unwrap_or(0);
        let columns = shape.iter().product::<usize>() / rows.max(1);
        let end = stored(name, &|n| r.has(n)).unwrap_or("weight");
        let raw = r.parameter(&full(end), shape)?;
        let norm = if r.has(&full("weight_u")) || end == "weight_orig" {
            let u = r.buffer(&full("weight_u"), &[rows])?;
            Norm::Stored { u, v: r.buffer(&full("weight_v"), &[columns])? }
        } else if r.has(&full("u0")) {
            Norm::Step { u: r.buffer(&full("u0"), &[1, rows])?.squeeze(0)? }
        } else {
            Norm::None
        };
        let mut weight = Self { raw, norm, outputs, ready: None };
        if !weight.raw.track_op() {
            let ready = weight.normalised()?.contiguous()?;
            let first = ready.flatten_all()?.narrow(0, 0, 1)?.to_vec1::<f32>()?;
            if first.iter().any(|v| !v.is_finite()) {
                return Err(refuse(format!("the spectral norm of `{name}` is zero"))
                    .hint("the file is not whole, or was never trained"));
            }
            weight.ready = Some(ready);
        }
        Ok(weight)
    }

    /// Whether it is searched.
    pub(super) fn searched(&self) -> bool {
        self.ready.is_none()
    }

    /// The normalised weight, with gradients where it is searched.
    pub(super) fn tensor(&self) -> Result<Tensor> {
        match &self.ready {
            Some(ready) => Ok(ready.clone()),
            None => self.normalised(),
        }
    }

    fn normalised(&self) -> Result<Tensor> {
        if matches!(self.norm, Norm::None) {
            return Ok(self.raw.clone());
        }
        let matrix = if self.outputs == 0 {
            self.raw.flatten_from(1)?
        } else {
            self.raw.transpose(0, self.outputs)?.flatten_from(1)?
        };
        let (u, v) = match &self.norm {
            Norm::Stored { u, v } => (u.clone(), v.clone()),
            Norm::Step { u } => step(&matrix.detach(), u)?,
            Norm::None => return Ok(self.raw.clone()),
        };
        let sigma = (matrix.matmul(&v.unsqueeze(1)?)?.squeeze(1)? * u)?.sum_all()?;
        Ok(self.raw.broadcast_div(&sigma)?)
    }
}

/// One step of the power method on a matrix `[O, I]` from u `[O]`: the next u and its v.
fn step(matrix: &Tensor, u: &Tensor) -> Result<(Tensor, Tensor)> {
    let v = unit(&u.unsqueeze(0)?.matmul(matrix)?.squeeze(0)?)?;
    let u = unit(&matrix.matmul(&v.unsqueeze(1)?)?.squeeze(1)?)?;
    Ok((u, v))
}

fn unit(v: &Tensor) -> Result<Tensor> {
    Ok(v.broadcast_div(&v.sqr()?.sum_all()?.sqrt()?.maximum(LEAST)?)?)
}
