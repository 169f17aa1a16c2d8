//! PGGAN as the registry knows it.

use super::config::{self, Config, Given};
use super::layouts::{LAYOUTS, NAME};
use super::{Pggan, SPACES};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::layers::growing::by_side;
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::weights::{Listing, Weights, layout};
use serde_json::Value as Json;
use std::sync::Arc;

/// PGGAN.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "PGGAN (ProGAN, Karras et al. 2018), with or without labels; Z is its only space",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: Some(prepare),
    describe: |listing, config| {
        let c = Given::parse(&config.named())?.complete(listing)?;
        Ok(spec(&c, listing, &config.fingerprint))
    },
    read: |weights, config, device| {
        let given = Given::parse(&config.named())?;
        let g = Pggan::new(weights, &given, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Names the weights of the pictures by their sides.
fn prepare(weights: Weights, settings: Json) -> Result<(Weights, Json)> {
    let resolution = config::resolution(weights.list())?.unwrap_or_default();
    Ok((by_side(weights, "", resolution)?, settings))
}

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let side = c.resolution();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: side,
        height: side,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.z_dim,
        c_dim: c.given.c_dim,
        num_ws: 0,
        spaces: SPACES.to_vec(),
        styles: Vec::new(),
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { class: c.given.c_dim > 0, ..Inputs::default() },
        parameters: family::parameters(listing, &["lod"]),
        noise_sizes: Vec::new(),
        fingerprint: fingerprint.into(),
    }
}
