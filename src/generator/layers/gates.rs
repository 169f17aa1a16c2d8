//! Gates: products with numbers in (0, 1).

use crate::error::Result;
use candle_core::Tensor;
use candle_nn::ops::sigmoid;

/// The gated linear unit (Dauphin et al. 2017): the first half of the channels times the logistic
/// function of the second.
///
/// # Shapes
/// `[N, 2C, …]` → `[N, C, …]`.
///
/// # Errors
/// For an odd number of channels.
pub(in crate::generator) fn glu(x: &Tensor) -> Result<Tensor> {
    let half = x.dim(1)? / 2;
    if x.dim(1)? != 2 * half {
        return Err(crate::error::Error::runtime("a gated unit halves an odd number of channels")
            .hint("the layer before it has an even number of outputs"));
    }
    let part = |from: usize| x.narrow(1, from, half)?.contiguous();
    Ok((part(0)? * sigmoid(&part(half)?)?)?)
}

/// x times the logistic function of x (SiLU, swish), of any shape.
///
/// # Errors
/// When a tensor operation fails.
pub(in crate::generator) fn swish(x: &Tensor) -> Result<Tensor> {
    Ok((x * sigmoid(x)?)?)
}
