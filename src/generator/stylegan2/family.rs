//! StyleGAN2 as the registry knows it.

use super::config::Size;
use super::layouts::{LAYOUTS, NAME};
use super::{Architecture, Config, Given, SPACES, StyleGan2, W_AVG};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::layers::DRAWN;
use crate::generator::{Generator, Inputs, Layer, Prior, Spec};
use crate::weights::{Listing, Weights, layout};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// Suffixes of the names of buffers, which training does not change.
pub(in crate::generator) const BUFFERS: [&str; 3] = ["resample_filter", "noise_const", "w_avg"];

/// StyleGAN2 and StyleGAN2-ADA.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "StyleGAN2 and StyleGAN2-ADA (Karras et al. 2020), squares and rectangles, with or \
            without labels",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: Some(prepare),
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

/// Says in the settings what the tensors lack and what is done about it.
fn prepare(weights: Weights, mut settings: Json) -> Result<(Weights, Json)> {
    let names = weights.list().tensors.keys();
    let count = |end: &str| names.clone().filter(|name| name.ends_with(end)).count();
    let mut lacks = Vec::new();
    if !weights.has(W_AVG) {
        lacks.push(("mean_of_w", "computed from the mapping network: the file stores none"));
    }
    if count(".noise_const") < count(".noise_strength") {
        lacks.push(("noise_maps", DRAWN));
    }
    for (key, what) in lacks {
        if settings.is_null() {
            settings = Json::Object(Map::new());
        }
        if let Some(all) = settings.as_object_mut() {
            all.insert(key.to_owned(), what.into());
        }
    }
    Ok((weights, settings))
}

/// Describes a generator with these settings and shapes.
pub(super) fn spec(c: &Config, listing: &Listing, fingerprint: &str) -> Spec {
    let noise_sizes = noise_sizes(c, listing);
    let [height, width] = c.size();
    Spec {
        name: c.name.clone(),
        family: NAME.into(),
        width,
        height,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.num_ws,
        spaces: SPACES.to_vec(),
        styles: c.styles(listing),
        layers: layers(c, listing),
        prior: Prior::Normal,
        inputs: Inputs { noise: !noise_sizes.is_empty(), class: c.c_dim > 0, ..Inputs::default() },
        parameters: family::parameters(listing, &BUFFERS),
        noise_sizes,
        fingerprint: fingerprint.into(),
    }
}

/// Heights and widths of the noise maps of the layers that have any, in order.
pub(in crate::generator) fn noise_sizes(c: &Config, listing: &Listing) -> Vec<[usize; 2]> {
    let noisy = |layer: &String| listing.has(&format!("synthesis.{layer}.noise_strength"));
    let sides = c.blocks.iter().flat_map(|b| {
        ["conv0", "conv1"].map(|l| (format!("b{}.{l}", b.number), [b.height, b.width]))
    });
    sides.filter(|(l, _)| noisy(l)).map(|(_, size)| size).collect()
}

/// The points that can be tapped and entered: every convolution, but of residual blocks only the
/// end, because their shortcut needs the block's input.
pub(in crate::generator) fn layers(c: &Config, listing: &Listing) -> Vec<Layer> {
    let of = |(i, size): (usize, &Size)| {
        let block = format!("b{}", size.number);
        let convs = ["conv0", "conv1"].map(|conv| format!("{block}.{conv}"));
        let channels = |name: &String| {
            listing.shape(&format!("synthesis.{name}.weight")).and_then(|s| s.first().copied())
        };
        let residual = c.architecture == Architecture::Resnet && i > 0;
        let last = convs.len() - 1;
        let points = convs.into_iter().enumerate().filter(|(i, _)| !residual || *i == last);
        let layer = |(_, name): (usize, String)| {
            let channels = channels(&name)?;
            let name = if residual { block.clone() } else { name };
            Some(Layer { name, channels, height: size.height, width: size.width })
        };
        points.filter_map(layer).collect::<Vec<_>>()
    };
    c.blocks.iter().enumerate().flat_map(of).collect()
}
