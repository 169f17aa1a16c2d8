//! stylegan2-ada-pytorch: the names of its modules (which are ours), and settings from their
//! attributes; also a bare state dict with these names.

use crate::weights::Listing;
use crate::weights::layout::Layout;
use serde_json::{Map, Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "nvidia",
    detect,
    rules: &[super::FILTERS],
    settings: |listing| Ok(settings(&listing.config)),
};

/// Told by its classes where a pickle names any, else by a tensor that no other layout has.
fn detect(listing: &Listing) -> bool {
    if listing.classes.is_empty() {
        return listing.has("synthesis.b4.const");
    }
    ["SynthesisBlock", "MappingNetwork"].into_iter().all(|c| listing.has_class(c))
        && !listing.has_class("SynthesisInput")
}

/// The generator's settings from the attributes of its modules: from those that it computes with,
/// else from its recipe, else the defaults of the official code.
fn settings(attributes: &Json) -> Json {
    const MODULES: &str = "_modules";
    const RECIPE: &str = "_init_kwargs";
    let first = |paths: &[&[&str]]| paths.iter().find_map(|path| find(attributes, path)).cloned();
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Json>| {
        out.extend(value.map(|v| (key.to_string(), v)));
    };
    for key in ["z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_ws"] {
        put(key, first(&[&[key], &[RECIPE, key], &[MODULES, "synthesis", key]]));
    }
    put("mapping_layers", first(&[&[MODULES, "mapping", "num_layers"]]));
    let lr = first(&[
        &[MODULES, "mapping", MODULES, "fc0", "bias_gain"],
        &[MODULES, "mapping", RECIPE, "lr_multiplier"],
        &[RECIPE, "mapping_kwargs", "lr_multiplier"],
    ]);
    put("mapping_lr_multiplier", Some(lr.unwrap_or_else(|| json!(0.01))));
    const BLOCK: [&str; 4] = [MODULES, "synthesis", MODULES, "b4"];
    let synthesis: [(&str, Vec<&str>, Json); 4] = [
        ("architecture", [&BLOCK[..], &["architecture"]].concat(), json!("skip")),
        ("resample_filter", vec!["resample_filter"], json!([1, 3, 3, 1])),
        ("conv_clamp", [&BLOCK[..], &[MODULES, "conv1", "conv_clamp"]].concat(), Json::Null),
        ("num_fp16_res", vec![MODULES, "synthesis", "num_fp16_res"], json!(0)),
    ];
    for (key, attribute, default) in synthesis {
        let found = first(&[
            &attribute,
            &[MODULES, "synthesis", RECIPE, key],
            &[RECIPE, "synthesis_kwargs", key],
        ]);
        put(key, Some(found.unwrap_or(default)));
    }
    Json::Object(out)
}

/// A value along a path of keys.
fn find<'a>(attributes: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(attributes, |value, key| value.get(key))
}
