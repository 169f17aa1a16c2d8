//! `render(code, layer: …)`: the feature maps of a layer in place of the picture.

use super::super::shared;
use crate::builtin::{Args, CheckedCall, Const, Context, ModelFacts, as_check, range_within};
use crate::error::{Error, Result};
use crate::generator::{self, Input};
use crate::latent::Code;
use crate::value::{Loaded, pictures};
use candle_core::Tensor;

/// Channels that are shown when the call does not say which.
const SHOWN: usize = 16;

/// Refuses a constant layer that the generator lacks.
pub(super) fn check(call: &CheckedCall<'_>, model: &ModelFacts) -> Result<()> {
    if let (Some(Const::Text(name)), Some(arg)) = (call.value("layer"), call.arg("layer")) {
        let found = shared::layer(model, name, |l| l.maps);
        found.map_err(|e| as_check(e).at(arg.span))?;
    }
    Ok(())
}

/// The maps of the requested channels, each from black to white, `[N·C, 1, h, w]`, with their
/// captions.
pub(super) fn maps(
    args: &Args,
    model: &Loaded,
    (code, input): (&Code, &Input),
    ctx: &Context<'_>,
) -> Result<(Tensor, Vec<String>)> {
    let name = args.text("layer")?;
    let found = shared::layer(&model.facts, name, |l| l.maps);
    let count = found.map_err(|e| e.at(args.span("layer")))?.maps;
    let channels = match args.get("channels") {
        None => 0..SHOWN.min(count),
        Some(v) => range_within(v, count, "channels").map_err(|e| e.at(args.span("channels")))?,
    };
    let g = &**model.generator()?;
    let lost = || Error::runtime("this layer cannot be tapped").at(args.span("layer"));
    let layer = g.spec().layers.iter().position(|l| l.name == name).ok_or_else(lost)?;
    let size = &g.spec().layers[layer];
    let all = code.count() * channels.len();
    pictures::room((all * size.width * size.height) as u64)?;
    let watch = (&ctx.control, "feature maps");
    let maps = generator::maps(g, code, input, (layer, &channels), watch)?;
    let caption = |k: usize| (channels.start + k % channels.len()).to_string();
    Ok((stretched(&maps.flatten(0, 1)?.unsqueeze(1)?)?, (0..all).map(caption).collect()))
}

/// Maps with their smallest value at −1 and their largest at 1, each for itself; a map of one value
/// is grey.
pub(super) fn stretched(maps: &Tensor) -> Result<Tensor> {
    let flat = maps.flatten_from(1)?;
    let (low, high) = (flat.min_keepdim(1)?, flat.max_keepdim(1)?);
    let span = ((&high - &low)? + f64::from(f32::MIN_POSITIVE))?;
    let middle = ((low + high)? * 0.5)?;
    let shown = flat.broadcast_sub(&middle)?.broadcast_div(&span)?;
    Ok((shown * 2.0)?.reshape(maps.shape())?)
}
