//! MobileStyleGAN as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, Given, MobileStyleGan, SPACES};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec};
use crate::weights::{Listing, Weights, layout};
use serde_json::Value as Json;
use std::sync::Arc;

/// Ends of the names of buffers, which training does not change.
const BUFFERS: [&str; 3] = [".style_inv", ".noise", ".w_avg"];

/// MobileStyleGAN.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "MobileStyleGAN (Belousov 2021), a small StyleGAN2 of separable convolutions and \
            wavelets; the package random-face has one for faces",
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
        let g = MobileStyleGan::new(weights, &given, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Leaves out the heads on the way: they are for training, the picture comes from the last one.
fn prepare(weights: Weights, settings: Json) -> Result<(Weights, Json)> {
    let block = |name: &str| {
        let rest = name.strip_prefix("synthesis.b")?;
        let (number, part) = rest.split_once('.')?;
        Some((number.parse::<usize>().ok()?, part.starts_with("head.")))
    };
    let last = weights.list().tensors.keys().filter_map(|name| block(name)).map(|(n, _)| n).max();
    let kept = |name: &str| {
        let spare = block(name).is_some_and(|(n, head)| head && Some(n) != last);
        (!spare).then(|| name.to_owned())
    };
    Ok((weights.chosen(kept)?, settings))
}

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let (resolution, layers) = (c.resolution(), c.points());
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: resolution,
        height: resolution,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: 0,
        num_ws: c.num_ws(),
        spaces: SPACES.to_vec(),
        styles: c.styles(),
        noise_sizes: layers.iter().map(|l| [l.height, l.width]).collect(),
        layers,
        prior: Prior::Normal,
        inputs: Inputs { noise: true, ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        fingerprint: fingerprint.into(),
    }
}
