//! StyleGAN as the registry knows it.

use super::config::{self, Config, Given};
use super::layouts::{LAYOUTS, NAME};
use super::{SPACES, StyleGan1};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::layers::DRAWN;
use crate::generator::layers::growing::by_side;
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::weights::{Listing, Weights, layout};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Suffixes of the names of buffers, which training does not change.
const BUFFERS: [&str; 3] = ["noise_const", "w_avg", "synthesis.lod"];

/// StyleGAN, the first of its name.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "StyleGAN (Karras et al. 2019), with or without labels",
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
        let g = StyleGan1::new(weights, &given, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Names the weights of the pictures by their sides, and says in the settings what is drawn.
fn prepare(weights: Weights, mut settings: Json) -> Result<(Weights, Json)> {
    let resolution = config::resolution(weights.list())?.unwrap_or_default();
    let names = weights.list().tensors.keys();
    let count = |end: &str| names.clone().filter(|name| name.ends_with(end)).count();
    if count(".noise_const") < count(".noise_strength") {
        if settings.is_null() {
            settings = json!({});
        }
        if let Some(all) = settings.as_object_mut() {
            all.insert("noise_maps".into(), json!(DRAWN));
        }
    }
    Ok((by_side(weights, "synthesis.", resolution)?, settings))
}

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let noisy = c.layers.iter().filter(|l| l.noise > 0);
    let noise_sizes: Vec<[usize; 2]> = noisy.map(|l| [l.side, l.side]).collect();
    let side = c.resolution();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: side,
        height: side,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.layers.len(),
        spaces: SPACES.to_vec(),
        styles: c.styles(),
        layers: c.points(),
        prior: Prior::Normal,
        inputs: Inputs { noise: !noise_sizes.is_empty(), class: c.c_dim > 0, ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}
