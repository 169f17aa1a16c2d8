//! The lightweight GAN as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, Given, LightweightGan};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::space::Space;
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// The lightweight GAN of lucidrains.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "lightweight-gan by lucidrains, after FastGAN (Liu et al. 2021): RGB, RGBA or grey",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe: |listing, config| Ok(spec(&complete(listing, config)?, listing, &config.fingerprint)),
    read: |weights, config, device| {
        let c = complete(weights.list(), config)?;
        let g = LightweightGan::new(weights, c, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

fn complete(listing: &Listing, config: &family::Config) -> Result<Config> {
    Given::parse(&config.named())?.complete(listing)
}

/// Tensors that training does not change by gradients, by the ends of their names.
const BUFFERS: [&str; 4] = ["running_mean", "running_var", ".f", "dct_weights"];

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
        c_dim: 0,
        num_ws: 0,
        spaces: vec![Space::Z],
        styles: Vec::new(),
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { noise: !noise_sizes.is_empty(), ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}
