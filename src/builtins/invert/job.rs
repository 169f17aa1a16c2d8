//! What a search is given: pictures, and the networks that the generator brings.

use super::check::{degraded, fits};
use super::shared;
use crate::builtin::{Args, Context, all_images};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::image::Photograph;
use crate::invert::methods::OPTIMIZE;
use crate::invert::{self, Config, Job};
use crate::metric::{Lpips, Perceptual, Recognition};
use crate::network::{Encoder, discriminator};
use crate::space::Space;
use crate::value::{Image, Loaded};
use candle_core::Tensor;

/// All pictures of an argument in one batch, `[N, C, R, R]`, and the photographs that they were cut
/// from.
pub(in crate::builtins) fn pictures(
    args: &Args,
    name: &str,
    ctx: &Context<'_>,
) -> Result<(Tensor, Vec<Option<Photograph>>)> {
    whole_pictures(args, name, (ctx, &Config::new(Space::W, &OPTIMIZE)))
}

/// As [`pictures`]; those that are degraded as the configuration says are enlarged.
pub(super) fn whole_pictures(
    args: &Args,
    name: &str,
    (ctx, config): (&Context<'_>, &Config),
) -> Result<(Tensor, Vec<Option<Photograph>>)> {
    let facts = &ctx.model()?.facts;
    let mut images = all_images(&args.many(name), ctx)?;
    let down = config.degrade.get("down").map_or(1, |k| k as usize);
    let grey = config.degrade.get("grey") == Some(1.0);
    for image in &mut images {
        let [_, c, h, w] = image.dims();
        if fits([c, h, w], facts).is_err() && degraded([c, h, w], facts, (down, grey)) {
            let data = invert::enlarge(&image.data, down)?;
            let all = [data.dim(0)?, facts.channels, facts.height, facts.width];
            *image = Image::new(data.broadcast_as(&all)?.contiguous()?, image.origin.clone());
        }
    }
    for image in &images {
        let [_, c, h, w] = image.dims();
        fits([c, h, w], facts).map_err(|e| e.at(args.span(name)))?;
    }
    let each = |i: &Image| (0..i.dims()[0]).map(|k| i.photograph(k).cloned()).collect::<Vec<_>>();
    let mut photographs: Vec<_> = images.iter().flat_map(each).collect();
    if photographs.iter().all(Option::is_none) {
        photographs.clear();
    }
    let data = match &images[..] {
        [] => return Err(Error::runtime("there is no picture to invert").at(args.span(name))),
        [one] => one.data.clone(),
        several => Tensor::cat(&several.iter().map(|i| &i.data).collect::<Vec<_>>(), 0)?,
    };
    Ok((data, photographs))
}

/// The labels of the pictures of a conditional generator, `[N, c_dim]`: those that the call gives,
/// otherwise those that its encoder tells.
///
/// # Errors
/// As [`shared::needed_labels`], and when the encoder cannot be loaded.
pub(in crate::builtins) fn labels(
    args: &Args,
    model: &Loaded,
    (config, pictures): (&Config, &Tensor),
) -> Result<Option<Tensor>> {
    let n = pictures.dim(0)?;
    let given = shared::labels(args, model, n)?;
    if given.is_some() || model.facts.c_dim == 0 {
        return Ok(given);
    }
    let named = named_encoder(model, config)?;
    let encoder = named.as_deref().map_or_else(|| model.encoder(), |named| Ok(Some(named)))?;
    match encoder.map(|encoder| encoder.labels(pictures)).transpose()?.flatten() {
        Some(told) => Ok(Some(told)),
        None => shared::needed_labels(args, model, n),
    }
}

/// The encoder in the file that the configuration names.
fn named_encoder(model: &Loaded, config: &Config) -> Result<Option<Box<dyn Encoder>>> {
    let first = config.w_encoder.as_deref();
    config.encoder.as_deref().map(|path| model.encoder_in(path, first)).transpose()
}

/// Calls `search` with the generator of a model, the networks that it brings and the labels.
///
/// # Errors
/// Those of `search`, and when a network of the model cannot be loaded.
pub(in crate::builtins) fn with_job<T>(
    model: &Loaded,
    (config, labels): (&Config, Option<&Tensor>),
    control: &Control,
    search: impl FnOnce(&Job<'_>) -> Result<T>,
) -> Result<T> {
    // A network that does not count is not read.
    let device = model.generator()?.device();
    let lpips = match &config.lpips {
        Some((network, heads)) if config.weighs("lpips") => {
            Some(Lpips::open(network, heads.as_deref(), device)?)
        }
        _ => None,
    };
    let recognition = match &config.recogniser {
        Some(path) if config.weighs("identity") => Some(Recognition::open(path, device)?),
        _ => None,
    };
    let named = if config.reads_encoder() { named_encoder(model, config)? } else { None };
    let encoder = match &named {
        Some(named) => Some(&**named),
        None if config.reads_encoder() => model.encoder()?,
        None => None,
    };
    let judged = config.reads_discriminator();
    let given = match &config.discriminator {
        Some(file) if judged => Some(discriminator::open(file, device)?),
        _ => None,
    };
    let discriminator = match &given {
        Some(given) => Some(&**given),
        None if judged => model.discriminator()?,
        None => None,
    };
    let perceptual = match model.features()? {
        Some(own) => Some(Perceptual::new(own.clone())),
        // Without a discriminator a perceptual distance is compared instead of its features.
        None if config.borrows_features(model.spec()) || (judged && discriminator.is_none()) => {
            model.general_features()?.map(Perceptual::borrowed)
        }
        None => None,
    };
    search(&Job {
        perceptual: perceptual.as_ref(),
        lpips: lpips.as_ref(),
        recognition: recognition.as_ref(),
        discriminator,
        labels,
        encoder,
        companion: model.companion(config.companion())?,
        stats: Some(&|| model.stats()),
        ..Job::new(&**model.generator()?, control)
    })
}
