//! stylegan2-ada-pytorch: the names of its modules (which are ours), and settings from their
//! attributes; also a bare state dict with these names.

use crate::generator::layers::attributes::{self, MODULES, RECIPE, first};
use crate::weights::Listing;
use crate::weights::layout::Layout;
use serde_json::{Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "nvidia",
    detect,
    rules: &[super::FILTERS],
    settings: |listing| Ok(settings(&listing.config)),
};

/// Detected by its classes where a pickle names any, else by a tensor that only this layout has.
fn detect(listing: &Listing) -> bool {
    if listing.classes.is_empty() {
        return listing.has("synthesis.b4.const");
    }
    ["SynthesisBlock", "MappingNetwork"].into_iter().all(|c| listing.has_class(c))
        && !listing.has_class("SynthesisInput")
}

/// The generator's settings from the attributes of its modules: from those that it computes with,
/// else from its recipe, else the defaults of the official code.
fn settings(module: &Json) -> Json {
    let mut out = attributes::generator(module);
    const BLOCK: [&str; 4] = [MODULES, "synthesis", MODULES, "b4"];
    let synthesis: [(&str, Vec<&str>, Json); 4] = [
        ("architecture", [&BLOCK[..], &["architecture"]].concat(), json!("skip")),
        ("resample_filter", vec!["resample_filter"], json!([1, 3, 3, 1])),
        ("conv_clamp", [&BLOCK[..], &[MODULES, "conv1", "conv_clamp"]].concat(), Json::Null),
        ("num_fp16_res", vec![MODULES, "synthesis", "num_fp16_res"], json!(0)),
    ];
    for (key, attribute, default) in synthesis {
        let recipe: [&[&str]; 2] =
            [&[MODULES, "synthesis", RECIPE, key], &[RECIPE, "synthesis_kwargs", key]];
        let found = first(module, &[&attribute, recipe[0], recipe[1]]);
        out.insert(key.into(), found.unwrap_or(default));
    }
    Json::Object(out)
}
