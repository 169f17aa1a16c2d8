//! stylegan3: the names of its modules (which are ours), and settings from their attributes; also a
//! bare state dict with these names.

use crate::generator::layers::attributes::{self, MODULES, RECIPE, first};
use crate::weights::Listing;
use crate::weights::layout::Layout;
use serde_json::{Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "nvidia",
    detect,
    rules: &[],
    settings: |listing| Ok(settings(&listing.config)),
};

/// Detected by its classes where a pickle names any, else by a tensor that only this layout has.
fn detect(listing: &Listing) -> bool {
    if listing.classes.is_empty() {
        return listing.has("synthesis.input.freqs");
    }
    ["SynthesisInput", "MappingNetwork"].iter().all(|c| listing.has_class(c))
}

/// The generator's settings from the attributes of its modules: first those used in computation,
/// then its recipe, then the defaults of the official code, which are also a manifest's.
pub(super) fn settings(module: &Json) -> Json {
    let mut out = attributes::generator(module);
    const SYNTHESIS: [&str; 2] = [MODULES, "synthesis"];
    let keys = [
        "square",
        "num_layers",
        "num_critical",
        "first_cutoff",
        "first_stopband",
        "last_stopband_rel",
        "margin_size",
        "output_scale",
        "filter_size",
        "lrelu_upsampling",
    ];
    let asked = |key: &str| {
        first(
            module,
            &[
                &[SYNTHESIS[0], SYNTHESIS[1], key],
                &[SYNTHESIS[0], SYNTHESIS[1], RECIPE, key],
                &[RECIPE, key],
            ],
        )
    };
    for key in keys {
        out.extend(asked(key).map(|value| (key.to_owned(), value)));
    }
    out.insert("conv_clamp".into(), clamp(module).or(asked("conv_clamp")).unwrap_or(json!(256)));
    Json::Object(out)
}

/// The limit of the activations, from any layer; `null` is none.
fn clamp(module: &Json) -> Option<Json> {
    let layers = module.get(MODULES)?.get("synthesis")?.get(MODULES)?.as_object()?;
    layers.values().find_map(|layer| layer.get("conv_clamp")).cloned()
}
