//! Feature maps composed of those of several codes: mGANprior (Gu et al. 2020), equation 2.

use super::{Generator, Input, Start, Tap, spaces};
use crate::error::{Error, Result};
use crate::latent::{Part, Parts};
use crate::space::Space;
use candle_core::Tensor;

/// The map of a layer with those of the further codes: `Σₙ mapₙ ⊙ sharesₙ`, where map 0 is the one
/// that is given. The layers behind it read the point alone. A layer without shares keeps its map.
///
/// # Shapes
/// map `[N, C, h, w]` → the same
///
/// # Errors
/// When the parts do not fit the generator.
pub(super) fn composed(
    g: &dyn Generator,
    parts: &Parts,
    (space, input): (Space, &Input),
    (layer, map): (usize, Tensor),
) -> Result<Tensor> {
    let Some(shares) = parts.get(Part::Shares(layer)) else { return Ok(map) };
    let further = parts.get(Part::Codes);
    let (count, channels) = (further.map_or(Ok(0), |c| c.dim(1))? + 1, map.dim(1)?);
    if shares.dims().get(1..) != Some(&[count, channels][..]) {
        let given = shares.dims();
        let message = format!("shares of {given:?} for {count} maps of {channels} channels");
        return Err(Error::runtime(message).hint("use a code that was found with this generator"));
    }
    let weighed = |map: &Tensor, n: usize| -> Result<Tensor> {
        let share = shares.narrow(1, n, 1)?.reshape(((), channels, 1, 1))?;
        Ok(map.broadcast_mul(&share)?)
    };
    let mut sum = weighed(&map, 0)?;
    for n in 1..count {
        let Some(all) = further else { break };
        let code = all.narrow(1, n - 1, 1)?.squeeze(1)?;
        let (space, data) = spaces::synthesised(g, &code, space, input)?;
        let start = Start::Code { space, data: &data };
        sum = (sum + weighed(&g.run(&start, input, &[Tap::Layer(layer)])?.feature()?.map, n)?)?;
    }
    Ok(sum)
}
