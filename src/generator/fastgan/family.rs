//! FastGAN as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, FastGan, Given};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::space::Space;
use crate::weights::{Listing, Weights, layout};
use serde_json::Value as Json;
use std::sync::Arc;

/// FastGAN and the generator of projected GAN.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "FastGAN (Liu et al. 2021) and projected GAN (Sauer et al. 2021), with or without \
            labels",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: Some(prepare),
    describe: |listing, config| Ok(spec(&complete(listing, config)?, listing, &config.fingerprint)),
    read: |weights, config, device| {
        let c = complete(weights.list(), config)?;
        let g = FastGan::new(weights, c, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

fn complete(listing: &Listing, config: &family::Config) -> Result<Config> {
    Given::parse(&config.named())?.complete(listing)
}

/// Leaves out the blocks beyond the picture, which the code makes and never runs.
fn prepare(weights: Weights, settings: Json) -> Result<(Weights, Json)> {
    let given = if settings.is_null() { Given::default() } else { Given::parse(&settings)? };
    let c = given.complete(weights.list())?;
    Ok((weights.chosen(|name| c.runs(name).then(|| name.to_owned()))?, settings))
}

/// Tensors that training does not change by gradients, by the ends of their names.
const BUFFERS: [&str; 6] =
    ["weight_u", "weight_v", "running_mean", "running_var", "stored_mean", "stored_var"];

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let noise_sizes = c.noise_sizes();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.side(),
        height: c.side(),
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.z_dim,
        c_dim: c.c_dim,
        num_ws: 0,
        spaces: vec![Space::Z],
        styles: Vec::new(),
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { noise: !noise_sizes.is_empty(), class: c.c_dim > 0, ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}
