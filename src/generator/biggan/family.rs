//! BigGAN as the registry knows it.

use super::BigGan;
use super::config::{Config, Given};
use super::layouts::{LAYOUTS, NAME};
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::space::Space;
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// Suffixes of the names of buffers, which training does not change.
const BUFFERS: [&str; 6] = ["weight_u", "weight_v", "u0", ".mean", ".var", ".counter"];

/// BigGAN, BigGAN-deep, SNGAN, SAGAN.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "BigGAN and BigGAN-deep (Brock et al. 2019); SNGAN, SAGAN and the DCGAN of \
            PyTorch-StudioGAN; W holds z and the class embedding",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe: |listing, config| {
        let c = Given::parse(&config.named())?.complete(listing)?;
        Ok(spec(&c, listing, &config.fingerprint))
    },
    read: |weights, config, device| {
        let given = Given::parse(&config.named())?;
        let g = BigGan::new(weights, &given, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let num_ws = c.num_ws();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.resolution(),
        height: c.resolution(),
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim(),
        c_dim: c.c_dim,
        num_ws,
        spaces: match num_ws {
            0 => vec![Space::Z],
            _ => vec![Space::Z, Space::W, Space::WPlus],
        },
        styles: Vec::new(),
        layers: c.points(),
        prior: Prior::Scaled { limit: c.z_limit },
        inputs: Inputs {
            class: c.c_dim > 0,
            truncation: c.statistics > 1,
            class_in_w: if num_ws == 0 { 0 } else { c.class_size },
            ..Inputs::default()
        },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes: Vec::new(),
        fingerprint: fingerprint.into(),
    }
}
