//! genforce/genforce and genforce/sefa (StyleGAN2, StyleGAN2-ADA).
//!
//! It keeps the orientation of TensorFlow: the upsampling convolutions, those of odd number, are
//! turned over, and the styles lack the 1 that they are around.

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

/// A map of noise or a filter, `[1, 1, H, W]`.
const MAP: &[Change] = &[Change::Ones(2, 0)];
/// The bias of the styles.
const STYLE: &[Change] = &[Change::Add(1.0)];

pub(super) const LAYOUT: Layout = Layout {
    name: "genforce",
    detect: |listing| listing.has("synthesis.early_layer.const"),
    rules: &[
        Rule::name("mapping.dense{n}.{word}", "mapping.fc{n}.{word}"),
        Rule::name("mapping.label_weight", "mapping.label.weight"),
        Rule::name("mapping.LabelEmbed.{word}", "mapping.embed.{word}"),
        Rule::name("truncation.w_avg", "mapping.w_avg"),
        Rule::changed("synthesis.early_layer.const", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::changed(
            "synthesis.layer{n%2=1}.weight",
            "synthesis.b{n/2+3^}.conv0.weight",
            &[Change::Flip],
        ),
        Rule::changed(
            "synthesis.layer{n%2=1}.style.bias",
            "synthesis.b{n/2+3^}.conv0.affine.bias",
            STYLE,
        ),
        Rule::name(
            "synthesis.layer{n%2=1}.style.weight",
            "synthesis.b{n/2+3^}.conv0.affine.weight",
        ),
        Rule::changed("synthesis.layer{n%2=1}.noise", "synthesis.b{n/2+3^}.conv0.noise_const", MAP),
        Rule::spare_as(
            "synthesis.layer{n%2=1}.filter.kernel",
            "synthesis.b{n/2+3^}.conv0.resample_filter",
            &[Change::Ones(2, 0), Change::Scale(0.25)],
            "it is the usual one where it is missing",
        ),
        Rule::name("synthesis.layer{n%2=1}.{word}", "synthesis.b{n/2+3^}.conv0.{word}"),
        Rule::changed(
            "synthesis.layer{n}.style.bias",
            "synthesis.b{n/2+2^}.conv1.affine.bias",
            STYLE,
        ),
        Rule::name("synthesis.layer{n}.style.weight", "synthesis.b{n/2+2^}.conv1.affine.weight"),
        Rule::changed("synthesis.layer{n}.noise", "synthesis.b{n/2+2^}.conv1.noise_const", MAP),
        Rule::name("synthesis.layer{n}.{word}", "synthesis.b{n/2+2^}.conv1.{word}"),
        Rule::changed(
            "synthesis.output{n}.style.bias",
            "synthesis.b{n+2^}.torgb.affine.bias",
            STYLE,
        ),
        Rule::name("synthesis.output{n}.style.weight", "synthesis.b{n+2^}.torgb.affine.weight"),
        Rule::name("synthesis.output{n}.{word}", "synthesis.b{n+2^}.torgb.{word}"),
        Rule::ignored("synthesis.upsample.kernel", "always the usual filter"),
    ],
    settings: |_| Ok(json!({"mapping_lr_multiplier": 0.01})),
};
