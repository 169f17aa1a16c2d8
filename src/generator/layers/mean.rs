//! The mean of w where a checkpoint does not store it.

use super::Reader;
use crate::error::Result;
use crate::rng::Rng;
use crate::weights::layout::Rule;
use candle_core::{Device, Tensor};

/// Draws of z that are averaged.
const DRAWS: usize = 10_000;
/// Draws that are mapped at once: what bounds the memory.
const MAPPED: usize = 1000;

/// The mean of w as files store it.
pub(in crate::generator) const W_AVG: &str = "mapping.w_avg";

/// The mean of w in our own files, `[w_dim]`, where the file that was converted has none.
pub(in crate::generator) const COMPUTED: &str = "computed.w_avg";

/// The rule for it in our own layouts. A generator is the same with it and without, so it does not
/// count towards the fingerprint.
pub(in crate::generator) const COMPUTED_MEAN: Rule =
    Rule::spare(COMPUTED, "it follows from the mapping network");

/// The mean of w of a file without [`W_AVG`]: that of [`COMPUTED`], else what `compute` gives.
///
/// # Errors
/// For a stored mean of another size, and those of `compute`.
pub(in crate::generator) fn mean_or(
    r: &mut Reader<'_>,
    w_dim: usize,
    compute: impl FnOnce() -> Result<Tensor>,
) -> Result<Tensor> {
    if r.has(COMPUTED) { r.buffer(COMPUTED, &[w_dim]) } else { compute() }
}

/// The mean of `map(z, first)` over 10,000 draws of z, `[w_dim]`: the same for every run. `first`
/// is the number of the first draw, so that classes can take turns.
///
/// # Shapes
/// `map` reads `[n, z_dim]` and gives `[n, w_dim]`.
///
/// # Errors
/// Those of `map`, and on Ctrl-C.
pub(in crate::generator) fn mean_of_mapping(
    z_dim: usize,
    device: &Device,
    map: &dyn Fn(&Tensor, usize) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut rng = Rng::derive(0, "mean of w");
    let mut sum: Option<Tensor> = None;
    for first in (0..DRAWS).step_by(MAPPED) {
        crate::control::check()?;
        let z = Tensor::from_vec(rng.normals(MAPPED * z_dim), (MAPPED, z_dim), device)?;
        let part = map(&z, first)?.detach().sum(0)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    let sum = sum.map_or_else(|| Tensor::zeros(0, candle_core::DType::F32, device), Ok)?;
    Ok((sum / DRAWS as f64)?)
}
