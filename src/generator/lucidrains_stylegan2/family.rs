//! StyleGAN2 by lucidrains as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, Given, LucidrainsStyleGan2};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::layers::COMPUTED;
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::space::Space;
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// stylegan2-pytorch by lucidrains.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "stylegan2-pytorch by lucidrains, after StyleGAN2 (Karras et al. 2020): RGB or RGBA",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe: |listing, config| Ok(spec(&complete(listing, config)?, listing, &config.fingerprint)),
    read: |weights, config, device| {
        let c = complete(weights.list(), config)?;
        let g = LucidrainsStyleGan2::new(weights, c, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

fn complete(listing: &Listing, config: &family::Config) -> Result<Config> {
    Given::parse(&config.named())?.complete(listing)
}

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let styles = c.styles();
    let mut spaces = vec![Space::Z, Space::W, Space::WPlus];
    spaces.extend((!styles.is_empty()).then_some(Space::S));
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.side(),
        height: c.side(),
        channels: c.img_channels,
        z_dim: c.dim,
        w_dim: c.dim,
        c_dim: 0,
        num_ws: c.blocks.len(),
        spaces,
        styles,
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { noise: true, ..Inputs::default() },
        parameters: family::parameters(listing, &[".f", COMPUTED]),
        noise_sizes: vec![[c.side(); 2]],
        fingerprint: fingerprint.into(),
    }
}
