//! Facebook's `pytorch_GAN_zoo`: He's constant with a gain of √2 in every layer, which scales
//! biases as well; the blend of two resolutions and what ends the picture are in its configuration.

use crate::error::Result;
use crate::generator::pggan::refuse::refuse;
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Map, Value as Json, json};
use std::f32::consts::SQRT_2;

/// Its first layer's gain over ours: of 1 / √inputs, √2 in place of √2/4.
const FIRST: &[Change] = &[Change::Scale(4.0)];
const RGB: &[Change] = &[Change::Scale(SQRT_2)];

pub(super) const LAYOUT: Layout = Layout {
    name: "pytorch_GAN_zoo",
    detect: |listing| {
        listing.has("formatLayer.module.weight") && listing.has("toRGBLayers.0.module.weight")
    },
    rules: &[
        Rule::changed("formatLayer.module.{part}", "b4.dense.{part}", FIRST),
        Rule::name("groupScale0.0.module.{part}", "b4.conv.{part}"),
        Rule::name("scaleLayers.{s}.{n}.module.{part}", "b{s+3^}.conv{n}.{part}"),
        Rule::changed("toRGBLayers.{s}.module.{part}", "b{s+2^}.torgb.{part}", RGB),
    ],
    settings,
};

/// Losses whose generators end with a tanh.
const TANH: [&str; 2] = ["MSE", "DCGAN"];

/// The model's configuration. It lies beside the networks: an object `config`.
fn settings(listing: &Listing) -> Result<Json> {
    let mut out = Map::new();
    out.insert("scaled_biases".into(), json!(true));
    let Some(config) = listing.said("config", &["depthScale0"]) else {
        return Ok(Json::Object(out));
    };
    for (from, to) in [
        ("noiseVectorDim", "z_dim"),
        ("categoryVectorDim", "c_dim"),
        ("dimOutput", "img_channels"),
        ("leakyReluLeak", "slope"),
        ("alpha", "lod"),
    ] {
        out.extend(config.get(from).map(|value| (to.to_owned(), value.clone())));
    }
    let off = |key: &str| config.get(key) == Some(&json!(false));
    for (key, what) in [
        ("equalizedlR", "weights without equalised learning rate"),
        ("perChannelNormalization", "features that are not normalised"),
    ] {
        if off(key) {
            return Err(
                refuse(what.into()).hint(format!("`{key}` is true in every published model"))
            );
        }
    }
    let loss = config.get("lossCriterion").and_then(Json::as_str).unwrap_or_default();
    out.insert("tanh".into(), json!(TANH.contains(&loss)));
    Ok(Json::Object(out))
}
