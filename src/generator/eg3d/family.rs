//! EG3D as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Config, Eg3d, Given, SPACES};
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Inputs, Prior, Spec, stylegan2};
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// EG3D.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "EG3D (Chan et al. 2022): scenes on three planes of features, seen by a camera",
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
        let g = Eg3d::new(weights, &given, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let mut noise_sizes = stylegan2::noise_sizes(&c.backbone, listing);
    if c.noisy() {
        for (i, &side) in c.superresolution.resolutions.iter().enumerate() {
            let noisy = |conv: &&str| {
                listing.has(&format!("superresolution.block{i}.{conv}.noise_strength"))
            };
            noise_sizes.extend(["conv0", "conv1"].iter().filter(|c| noisy(c)).map(|_| [side; 2]));
        }
    }
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.resolution(),
        height: c.resolution(),
        channels: super::config::RGB,
        z_dim: c.backbone.z_dim,
        w_dim: c.backbone.w_dim,
        c_dim: c.backbone.c_dim,
        num_ws: c.backbone.num_ws,
        spaces: SPACES.to_vec(),
        styles: Vec::new(),
        layers: stylegan2::layers(&c.backbone, listing),
        prior: Prior::Normal,
        inputs: Inputs { noise: !noise_sizes.is_empty(), camera: true, ..Inputs::default() },
        parameters: family::parameters(listing, &stylegan2::BUFFERS),
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}
