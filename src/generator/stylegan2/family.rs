//! StyleGAN2 as the registry knows it.

use super::layouts::{LAYOUTS, NAME};
use super::{Architecture, Config, Given, SPACES, StyleGan2};
use crate::generator::family::Family;
use crate::generator::{Generator, Inputs, Layer, Spec};
use crate::weights::{Listing, layout};
use std::sync::Arc;

/// StyleGAN2 and StyleGAN2-ADA.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "StyleGAN2 and StyleGAN2-ADA (Karras et al. 2020), square pictures, with or without \
            labels",
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
            StyleGan2::new(weights, &Given::parse(&config.named())?, &config.fingerprint, device)?;
        Ok(Arc::new(g) as Arc<dyn Generator>)
    },
};

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let buffer = |name: &str| {
        ["resample_filter", "noise_const", "w_avg"].iter().any(|end| name.ends_with(end))
    };
    let sizes = listing.tensors.iter().filter(|(n, _)| !buffer(n));
    let parameters = sizes.map(|(_, s)| s.shape.iter().product::<usize>()).sum();
    let noisy = |layer: &String| listing.has(&format!("synthesis.{layer}.noise_strength"));
    let sides = c.resolutions().flat_map(|r| ["conv0", "conv1"].map(|l| (format!("b{r}.{l}"), r)));
    let noise_sizes: Vec<_> = sides.filter(|(l, _)| noisy(l)).map(|(_, r)| [r, r]).collect();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width: c.img_resolution,
        height: c.img_resolution,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.num_ws,
        spaces: SPACES.to_vec(),
        styles: c.styles(listing),
        layers: layers(c, listing),
        inputs: Inputs { noise: !noise_sizes.is_empty(), class: c.c_dim > 0, ..Inputs::default() },
        parameters,
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}

/// The points that can be tapped and entered: every convolution, but of residual blocks only the
/// end, because their shortcut needs the block's input.
fn layers(c: &Config, listing: &Listing) -> Vec<Layer> {
    let of = |side: usize| {
        let block = format!("b{side}");
        let convs = ["conv0", "conv1"].map(|conv| format!("{block}.{conv}"));
        let channels = |name: &String| {
            listing.shape(&format!("synthesis.{name}.weight")).and_then(|s| s.first().copied())
        };
        let residual = c.architecture == Architecture::Resnet && side > 4;
        let last = convs.len() - 1;
        let points = convs.into_iter().enumerate().filter(|(i, _)| !residual || *i == last);
        let layer = |(_, name): (usize, String)| {
            let channels = channels(&name)?;
            let name = if residual { block.clone() } else { name };
            Some(Layer { name, channels, height: side, width: side })
        };
        points.filter_map(layer).collect::<Vec<_>>()
    };
    c.resolutions().flat_map(of).collect()
}
