//! autonomousvision/projected-gan: FastGAN as the `synthesis` of a generator with NVIDIA's outer
//! form; a pickle of modules, or a bare state dict with these names.

use super::has_weight;
use crate::generator::layers::attributes::{MODULES, first};
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Map, Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "projected-gan",
    detect: |listing| {
        has_weight(listing, "synthesis.init.init.0") && has_weight(listing, "synthesis.to_big")
    },
    rules: &[
        Rule::ignored("{*}num_batches_tracked", "it counts the steps of training"),
        Rule::name("synthesis.{*}", "{*}"),
    ],
    settings: |listing| Ok(Json::Object(settings(listing))),
};

/// Sizes from the attributes of the modules, else from a configuration beside the file.
fn settings(listing: &Listing) -> Map<String, Json> {
    let mut out = Map::new();
    let said = |key: &str| {
        let attribute = first(&listing.config, &[&[key], &[MODULES, "synthesis", key]]);
        attribute.or_else(|| listing.own_beside(&["img_resolution"]).get(key).cloned())
    };
    for key in ["z_dim", "img_resolution"] {
        out.extend(said(key).map(|value| (key.to_owned(), value)));
    }
    // The table of classes may have more rows than the data has classes.
    if has_weight(listing, "synthesis.embed") {
        out.extend(said("c_dim").map(|value| ("c_dim".to_owned(), value)));
    }
    out.insert("normalize_z".into(), json!(true));
    out.insert("tanh".into(), json!(false));
    out
}
