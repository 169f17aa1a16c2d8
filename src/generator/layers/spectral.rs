//! Weights with spectral norm (Miyato et al. 2018), as PyTorch's `spectral_norm` stores them.

use super::Reader;
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::tensor::linear;
use candle_core::Tensor;

/// A weight that is divided by its largest singular value σ, or a plain one.
///
/// σ is `uᵀ · W · v` with the two stored vectors, W a matrix whose rows are the outputs. The
/// vectors are constants; gradients flow through σ to the weight, as in PyTorch's evaluation mode.
pub(in crate::generator) struct Spectral {
    weight: Tensor,
    /// u `[1, outputs]` and v `[1, inputs · k · k]`.
    vectors: Option<[Tensor; 2]>,
    /// The axis that counts the outputs.
    outputs: usize,
}

impl Spectral {
    /// The shape of `name.weight_orig`, else of `name.weight`.
    ///
    /// # Errors
    /// When both are missing.
    pub(in crate::generator) fn shape(r: &Reader<'_>, name: &str) -> Result<Vec<usize>> {
        r.shape(&format!("{name}.weight_orig")).or_else(|_| r.shape(&format!("{name}.weight")))
    }

    /// Reads `name.weight_orig`, `name.weight_u` and `name.weight_v`, or `name.weight` where there
    /// is no norm. `outputs` is the axis that counts the outputs: 0 of a convolution and a fully
    /// connected layer, 1 of a transposed convolution.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, and for a σ that is not above zero.
    pub(in crate::generator) fn read(
        r: &mut Reader<'_>,
        name: &str,
        shape: &[usize],
        outputs: usize,
    ) -> Result<Self> {
        let original = format!("{name}.weight_orig");
        if !r.has(&original) {
            let weight = r.parameter(&format!("{name}.weight"), shape)?;
            return Ok(Self { weight, vectors: None, outputs });
        }
        let rows = shape.get(outputs).copied().unwrap_or(1);
        let columns = shape.iter().product::<usize>() / rows.max(1);
        let mut vector = |part: &str, size: usize| -> Result<Tensor> {
            Ok(r.buffer(&format!("{name}.{part}"), &[size])?.unsqueeze(0)?)
        };
        let vectors = [vector("weight_u", rows)?, vector("weight_v", columns)?];
        let weight = r.parameter(&original, shape)?;
        let read = Self { weight, vectors: Some(vectors), outputs };
        let sigma = read.sigma()?.map(|s| s.detach().to_scalar::<f32>()).transpose()?;
        if let Some(sigma) = sigma
            && !(sigma.is_finite() && sigma != 0.0)
        {
            let message = format!("the spectral norm of `{}` is {sigma}", Safe(name));
            return Err(Error::new(Kind::Format, message)
                .hint("the file is damaged: its weight is divided by that number"));
        }
        Ok(read)
    }

    /// Whether the weight is one of a search.
    pub(in crate::generator) fn searched(&self) -> bool {
        self.weight.track_op()
    }

    /// `uᵀ · W · v`; `None` without a norm.
    fn sigma(&self) -> Result<Option<Tensor>> {
        let Some([u, v]) = &self.vectors else { return Ok(None) };
        let matrix = match self.outputs {
            0 => self.weight.flatten_from(1)?,
            axis => self.weight.transpose(0, axis)?.contiguous()?.flatten_from(1)?,
        };
        Ok(Some((linear(v, &matrix)? * u)?.sum_all()?))
    }

    /// The weight as it runs, in its own shape.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn tensor(&self) -> Result<Tensor> {
        Ok(match self.sigma()? {
            Some(sigma) => self.weight.broadcast_div(&sigma)?,
            None => self.weight.clone(),
        })
    }
}
