//! The generator as an inversion sees it: codes rise through their spaces and become pictures.

use crate::error::{Error, Result};
use crate::generator::{Generator, Noise};
use crate::space::Space;
use candle_core::Tensor;

/// Noise maps as the synthesis reads them: the generator's own where there are none.
pub(super) fn noise_of(maps: &[Tensor]) -> Noise {
    if maps.is_empty() { Noise::Const } else { Noise::Maps(maps.to_vec()) }
}

/// A code of `from` in `to`, along Z → W → W+ → S; with gradients.
pub(super) fn rise(
    g: &dyn Generator,
    code: &Tensor,
    (from, to): (Space, Space),
    labels: Option<&Tensor>,
) -> Result<Tensor> {
    Ok(match (from, to) {
        (a, b) if a == b => code.clone(),
        (Space::Z, Space::W) => g.map(code, labels)?,
        (Space::Z, _) => {
            rise(g, &rise(g, code, (from, Space::W), labels)?, (Space::W, to), labels)?
        }
        (Space::W, Space::WPlus) => layered(code, g.spec().num_ws)?,
        (Space::W, Space::S) => g.styles(&layered(code, g.spec().num_ws)?)?,
        (Space::WPlus, Space::S) => g.styles(code)?,
        _ => return Err(Error::runtime(format!("a code in {from} cannot be turned into {to}"))),
    })
}

/// The pictures of codes; with gradients.
pub(super) fn picture(
    g: &dyn Generator,
    code: &Tensor,
    space: Space,
    (maps, labels): (&[Tensor], Option<&Tensor>),
) -> Result<Tensor> {
    let noise = noise_of(maps);
    match space {
        Space::S => g.synthesize_styles(code, &noise),
        _ => g.synthesize(&rise(g, code, (space, Space::WPlus), labels)?, &noise),
    }
}

/// The mean of w over the prior that the generator brings, `[1, w_dim]`.
pub(super) fn own_mean(g: &dyn Generator) -> Result<Tensor> {
    Ok(g.mean_w().detach().unsqueeze(0)?)
}

/// The same w in every layer, `[N, D]` → `[N, L, D]`.
pub(super) fn layered(w: &Tensor, layers: usize) -> Result<Tensor> {
    let (n, d) = w.dims2()?;
    Ok(w.unsqueeze(1)?.broadcast_as((n, layers, d))?.contiguous()?)
}
