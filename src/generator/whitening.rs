//! The spaces P, PN and PN+ of a generator with a W (Zhu et al. 2020, "Improved StyleGAN Embedding:
//! Where are the Good Latents?").
//!
//! P undoes the last activation of the mapping network, a leaky ReLU of slope 0.2: `x = w` where w
//! is positive, elsewhere `5 w`. There the samples of the prior are nearly Gaussian. PN is P,
//! whitened: `v = Λ^-½ Cᵀ (x − μ)` with mean μ, principal axes C and variances Λ of x over the
//! prior, so each number of a sample has mean 0 and variance 1. PN+ is the same for every row of a
//! W+ code.
//!
//! StyleGAN2 multiplies that activation by √2. A leaky ReLU commutes with positive factors, so P is
//! √2 times the input of the activation, and PN does not change. Where W is not the output of a
//! leaky ReLU (BigGAN), P is only another coordinate of it, and PN still whitens it.

use super::Generator;
use crate::eigen::{self, covariance, pointing};
use crate::error::{Error, Result};
use crate::space::Space;
use crate::tensor::linear;
use candle_core::{D, DType, Device, Tensor};

/// Slope of the mapping network's last leaky ReLU.
pub const SLOPE: f64 = 0.2;
/// The least variance, as a part of the largest: the last variances of FFHQ's generator are 1e-8 of
/// the largest, and dividing by these would amplify rounding alone.
const FLOOR: f64 = 1e-5;

/// Codes of P from those of W, any shape, with gradients.
///
/// # Errors
/// When a tensor operation fails.
pub fn before_activation(w: &Tensor) -> Result<Tensor> {
    Ok(w.minimum(&(w / SLOPE)?)?)
}

/// Codes of W from those of P, any shape, with gradients: the leaky ReLU.
///
/// # Errors
/// When a tensor operation fails.
pub fn activated(x: &Tensor) -> Result<Tensor> {
    Ok(x.maximum(&(x * SLOPE)?)?)
}

/// The whitening of P.
#[derive(Clone, Debug)]
pub struct Whitening {
    /// μ, `[D]`.
    mean: Tensor,
    /// Cᵀ, `[D, D]`: a row is an axis, the widest first.
    axes: Tensor,
    /// C, `[D, D]`.
    back: Tensor,
    /// √Λ, `[D]`.
    sigma: Tensor,
    /// Axes whose variance is raised to the floor.
    floored: usize,
}

impl Whitening {
    /// The whitening of the rows of `points`, `[n, dim]` row-major; tensors on `device`. Variances
    /// below 1e-5 of the largest are raised to that, so these axes have less than variance 1 in PN.
    ///
    /// # Errors
    /// When the points are not finite or all alike; `Interrupted` when it is stopped.
    pub fn of(points: &[f32], dim: usize, device: &Device) -> Result<Self> {
        let (mean, covariance) = covariance(points, dim)?;
        let found = eigen::symmetric(&covariance, dim)?;
        let largest = found.values.last().copied().unwrap_or(0.0);
        if largest <= 0.0 {
            return Err(Error::runtime("all samples of w are alike, so PN does not exist")
                .hint("search in W or W+"));
        }
        let least = FLOOR * largest;
        let axes = found.vectors.chunks_exact(dim).rev();
        let axes: Vec<f32> =
            axes.flat_map(|axis| pointing(axis.to_vec())).map(|v| v as f32).collect();
        let sigma = found.values.iter().rev().map(|v| v.max(least).sqrt() as f32);
        let tensor = |data: Vec<f32>, shape: &[usize]| -> Result<Tensor> {
            Ok(Tensor::from_vec(data, shape, &Device::Cpu)?.to_device(device)?)
        };
        let axes = tensor(axes, &[dim, dim])?;
        Ok(Self {
            mean: tensor(mean.iter().map(|v| *v as f32).collect(), &[dim])?,
            back: axes.t()?.contiguous()?,
            axes,
            sigma: tensor(sigma.collect(), &[dim])?,
            floored: found.values.iter().filter(|v| **v < least).count(),
        })
    }

    /// Number of axes whose variance is raised to the floor.
    pub fn floored(&self) -> usize {
        self.floored
    }

    /// Codes of PN from those of P, with gradients.
    ///
    /// # Shapes
    /// `[N, D]` or `[N, L, D]` → the same
    ///
    /// # Errors
    /// For codes of another size.
    pub fn whiten(&self, x: &Tensor) -> Result<Tensor> {
        let turned = turned(&x.broadcast_sub(&self.mean)?, &self.axes)?;
        Ok(turned.broadcast_div(&self.sigma)?)
    }

    /// Codes of P from those of PN, with gradients: undoes [`Whitening::whiten`].
    ///
    /// # Shapes
    /// `[N, D]` or `[N, L, D]` → the same
    ///
    /// # Errors
    /// For codes of another size.
    pub fn colour(&self, v: &Tensor) -> Result<Tensor> {
        let back = turned(&v.broadcast_mul(&self.sigma)?, &self.back)?;
        Ok(back.broadcast_add(&self.mean)?)
    }
}

/// Every row multiplied by a matrix, `x · mᵀ`; the same bits in any batch.
fn turned(x: &Tensor, m: &Tensor) -> Result<Tensor> {
    let rows = x.reshape(((), x.dim(D::Minus1)?))?;
    Ok(linear(&rows, m)?.reshape(x.dims())?)
}

/// The norm of codes of PN or PN+ for each: √(mean v²), about 1 for a typical sample of the prior.
///
/// # Shapes
/// `[N, D]` or `[N, L, D]` → N numbers
///
/// # Errors
/// When a tensor operation fails.
pub fn norms(v: &Tensor) -> Result<Vec<f64>> {
    let v = v.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(v.flatten_from(1)?.sqr()?.mean(1)?.sqrt()?.to_vec1()?)
}

/// One step between W, P and PN, or between W+ and PN+; `None` where it is no such step.
///
/// # Errors
/// When the statistics cannot be computed, and for codes of another size.
pub(super) fn step(
    g: &dyn Generator,
    code: &Tensor,
    (from, to): (Space, Space),
) -> Result<Option<Tensor>> {
    Ok(Some(match (from, to) {
        (Space::W, Space::P) => before_activation(code)?,
        (Space::P, Space::W) => activated(code)?,
        (Space::P, Space::PN) => g.whitening()?.whiten(code)?,
        (Space::PN, Space::P) => g.whitening()?.colour(code)?,
        (Space::WPlus, Space::PNPlus) => g.whitening()?.whiten(&before_activation(code)?)?,
        (Space::PNPlus, Space::WPlus) => activated(&g.whitening()?.colour(code)?)?,
        _ => return Ok(None),
    }))
}
