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
    settings: |listing| Ok(said(listing).unwrap_or_else(|| settings(&listing.config))),
};

/// Detected by its classes where a pickle names any, at the network itself; else by a tensor that
/// only this layout has.
fn detect(listing: &Listing) -> bool {
    if listing.classes.is_empty() {
        return listing.tensors.keys().any(|name| {
            let block = name.strip_prefix("synthesis.b").and_then(|n| n.strip_suffix(".const"));
            block.is_some_and(|n| n.parse::<u32>().is_ok())
        });
    }
    ["SynthesisBlock", "MappingNetwork"].into_iter().all(|c| listing.has_class(c))
        && !listing.has_class("SynthesisInput")
        && listing.tensors.keys().any(|name| name.starts_with("synthesis."))
}

/// The settings that our own files for PyTorch hold beside the state dict, as JSON in a text: a
/// bare state dict does not tell the mapping network's learning rate.
fn said(listing: &Listing) -> Option<Json> {
    let text = listing.outside.get("settings")?.as_str()?;
    serde_json::from_str(text).ok().filter(Json::is_object)
}

/// The generator's settings from the attributes of its modules: from those that it computes with,
/// else from its recipe, else the defaults of the official code.
pub(in crate::generator) fn settings(module: &Json) -> Json {
    let mut out = attributes::generator(module);
    if module.get(MODULES).is_none() && module.get(RECIPE).is_none() {
        // A bare state dict: its tensors say the rest.
        return Json::Object(out);
    }
    let lowest = first_block(module);
    let block = [MODULES, "synthesis", MODULES, &lowest[..]];
    let synthesis: [(&str, Vec<&str>, Json); 4] = [
        ("architecture", [&block[..], &["architecture"]].concat(), json!("skip")),
        ("resample_filter", vec!["resample_filter"], json!([1, 3, 3, 1])),
        ("conv_clamp", [&block[..], &[MODULES, "conv1", "conv_clamp"]].concat(), Json::Null),
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

/// The module of the lowest resolution: `b4`, unless the network begins otherwise.
fn first_block(module: &Json) -> String {
    let blocks = first(module, &[&[MODULES, "synthesis", MODULES]]);
    let number = |name: &String| name.strip_prefix('b')?.parse::<u32>().ok();
    let lowest = blocks.as_ref().and_then(Json::as_object);
    let lowest = lowest.and_then(|all| all.keys().filter_map(number).min());
    format!("b{}", lowest.unwrap_or(4))
}
