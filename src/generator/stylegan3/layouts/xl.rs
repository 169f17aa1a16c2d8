//! StyleGAN-XL: stems and generators with heads of superresolution, by the names of its modules.
//!
//! Its mapping network holds a table of classes even without labels, where nothing reads it. Some
//! of its files keep the filters of two sampling schemes beside those that the layers use.

use super::nvidia;
use crate::error::Result;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Value as Json, json};

/// With labels.
pub(super) const CLASSES: Layout = Layout {
    name: "stylegan-xl",
    detect: |listing| is_xl(listing) && listing.has("mapping.embed_proj.weight"),
    rules: &[SCHEMES[0], SCHEMES[1]],
    settings,
};

/// Without.
pub(super) const PLAIN: Layout = Layout {
    name: "stylegan-xl-unconditional",
    detect: |listing| is_xl(listing) && !listing.has("mapping.embed_proj.weight"),
    rules: &[
        SCHEMES[0],
        SCHEMES[1],
        Rule::ignored("mapping.embed.weight", "a table of classes that nothing reads"),
    ],
    settings,
};

const SCHEMES: [Rule; 2] = [
    Rule::ignored("synthesis.{layer}.up_filter{n}", "a filter that the layer does not use"),
    Rule::ignored("synthesis.{layer}.down_filter{n}", "a filter that the layer does not use"),
];

/// A StyleGAN3 whose classes are rows of a plain table, which has no bias.
fn is_xl(listing: &Listing) -> bool {
    listing.has("synthesis.input.freqs")
        && listing.has("mapping.embed.weight")
        && !listing.has("mapping.embed.bias")
}

/// The settings of a StyleGAN3. A stem with heads has a number of layers that its names do not
/// show, because the official code skips one.
fn settings(listing: &Listing) -> Result<Json> {
    let mut settings = nvidia::settings(&listing.config);
    if let Some(keys) = settings.as_object_mut()
        && skips(listing)
    {
        keys.remove("num_layers");
        keys.insert("superres".into(), json!(true));
    }
    Ok(settings)
}

/// Whether a number of a layer is missing between two others.
fn skips(listing: &Listing) -> bool {
    let layer = |name: &String| -> Option<usize> {
        let name = name.strip_prefix("synthesis.L")?.strip_suffix(".weight")?;
        let (number, rest) = name.split_once('_')?;
        (!rest.contains('.')).then(|| number.parse().ok())?
    };
    let numbers: Vec<usize> = listing.tensors.keys().filter_map(layer).collect();
    numbers.iter().max().is_some_and(|last| *last >= numbers.len())
}
