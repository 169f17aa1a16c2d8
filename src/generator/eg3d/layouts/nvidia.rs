//! NVIDIA's code: pickles of `TriPlaneGenerator`, and bare state dicts with its names beside a file
//! of settings.

use crate::generator::layers::attributes::{self, MODULES, first};
use crate::generator::stylegan2::layouts::nvidia as backbone;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Map, Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "nvidia",
    detect,
    rules: &[
        Rule::ignored("superresolution.resample_filter", "each of its layers has a filter"),
        Rule::name("backbone.{*}", "{*}"),
    ],
    settings: |listing| Ok(settings(listing)),
};

/// Detected by its class where a pickle names any, else by tensors that only this layout has.
fn detect(listing: &Listing) -> bool {
    if listing.classes.is_empty() {
        return ["backbone.synthesis.b4.const", "decoder.net.0.weight"]
            .into_iter()
            .all(|name| listing.has(name));
    }
    listing.has_class("TriPlaneGenerator")
}

/// The settings: of a pickle from the attributes of its modules, else those that lie beside it.
fn settings(listing: &Listing) -> Json {
    let module = &listing.config;
    let Some(modules) = module.get(MODULES) else {
        return listing.own_beside(&["rendering_kwargs"]).clone();
    };
    let mut out = Map::new();
    for key in ["neural_rendering_resolution", "rendering_kwargs"] {
        out.extend(first(module, &[&[key]]).map(|value| (key.to_owned(), value)));
    }
    let axes = first(module, &[&[MODULES, "renderer", "plane_axes"]]);
    out.extend(axes.map(|value| ("plane_axes".to_owned(), value)));
    if let Some(inner) = modules.get("backbone") {
        out.insert("backbone".into(), backbone::settings(inner));
    }
    if let Some(inner) = modules.get("superresolution") {
        let of = |block: &str, path: &[&str]| first(inner, &[&[&[MODULES, block], path].concat()]);
        let resolutions = ["block0", "block1"].map(|b| of(b, &["resolution"]));
        let clamp = of("block1", &[MODULES, "conv1", "conv_clamp"]);
        out.insert(
            "superresolution".into(),
            json!({
                "input_resolution": inner.get("input_resolution"),
                "resolutions": resolutions.into_iter().flatten().collect::<Vec<_>>(),
                "conv_clamp": clamp,
                "antialias": inner.get("sr_antialias"),
            }),
        );
    }
    let sizes = attributes::generator(module);
    out.extend(sizes.get("img_resolution").map(|v| ("img_resolution".to_owned(), v.clone())));
    Json::Object(out)
}
