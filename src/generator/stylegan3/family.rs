//! StyleGAN3 as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, Given, SPACES, StyleGan3};
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// Suffixes of the names of buffers, which training does not change.
const BUFFERS: [&str; 7] = [
    "up_filter",
    "down_filter",
    "magnitude_ema",
    "w_avg",
    "input.freqs",
    "input.phases",
    "input.transform",
];

/// StyleGAN3-T, StyleGAN3-R and StyleGAN-XL.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "StyleGAN3-T and StyleGAN3-R (Karras et al. 2021), with or without labels, and \
            StyleGAN-XL (Sauer et al. 2022); pictures can be turned and moved",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe: |listing, config| {
        let c = Given::parse(&config.named())?.complete(listing)?;
        Ok(spec(&c, listing, &config.fingerprint))
    },
    read: |weights, config, device| {
        let g =
            StyleGan3::new(weights, &Given::parse(&config.named())?, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.img_resolution / c.aspect,
        height: c.img_resolution,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.num_ws(),
        spaces: SPACES.to_vec(),
        styles: c.styles(),
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { class: c.c_dim > 0, transform: true, ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes: Vec::new(),
        fingerprint: fingerprint.into(),
    }
}
