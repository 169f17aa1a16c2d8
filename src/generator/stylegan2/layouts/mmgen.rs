//! open-mmlab's mmgeneration and mmagic (StyleGAN2): rosinality's architecture under other names.
//!
//! Its pictures are BGR, as it trains on them, and its demos turn them over. Here the weights of
//! the pictures are: red comes first.

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

/// A weight with a dimension in front for the batch.
const WEIGHT: &[Change] = &[Change::Ones(1, 0)];
/// The weight of a picture, BGR.
const PICTURE: &[Change] = &[Change::Ones(1, 0), Change::Reverse(0)];
/// A bias of a picture, `[1, C, 1, 1]`, BGR.
const COLOURS: &[Change] = &[Change::Ones(1, 2), Change::Reverse(0)];
/// A map of noise, `[1, 1, H, W]`.
const MAP: &[Change] = &[Change::Ones(2, 0)];
/// A filter that makes up for the zeros between pixels.
const FILTER: &[Change] = &[Change::Scale(0.25)];

pub(super) const LAYOUT: Layout = Layout {
    name: "mmgen",
    detect: |listing| {
        listing.has("constant_input.input") && listing.has("conv1.conv.style_modulation.bias")
    },
    rules: &[
        Rule::name("style_mapping.{n}.linear.weight_orig", "mapping.fc{n-1}.weight"),
        Rule::name("style_mapping.{n}.bias", "mapping.fc{n-1}.bias"),
        Rule::changed("constant_input.input", "synthesis.b4.const", WEIGHT),
        Rule::changed("conv1.conv.weight_orig", "synthesis.b4.conv1.weight", WEIGHT),
        Rule::name(
            "conv1.conv.style_modulation.linear.weight_orig",
            "synthesis.b4.conv1.affine.weight",
        ),
        Rule::name("conv1.conv.style_modulation.bias", "synthesis.b4.conv1.affine.bias"),
        Rule::changed("conv1.noise_injector.weight", "synthesis.b4.conv1.noise_strength", WEIGHT),
        Rule::name("conv1.activate.bias", "synthesis.b4.conv1.bias"),
        Rule::changed("to_rgb1.conv.weight_orig", "synthesis.b4.torgb.weight", PICTURE),
        Rule::name(
            "to_rgb1.conv.style_modulation.linear.weight_orig",
            "synthesis.b4.torgb.affine.weight",
        ),
        Rule::name("to_rgb1.conv.style_modulation.bias", "synthesis.b4.torgb.affine.bias"),
        Rule::changed("to_rgb1.bias", "synthesis.b4.torgb.bias", COLOURS),
        Rule::changed("convs.{n}.conv.weight_orig", "synthesis.b{n/2+3^}.conv{n%2}.weight", WEIGHT),
        Rule::name(
            "convs.{n}.conv.style_modulation.linear.weight_orig",
            "synthesis.b{n/2+3^}.conv{n%2}.affine.weight",
        ),
        Rule::name(
            "convs.{n}.conv.style_modulation.bias",
            "synthesis.b{n/2+3^}.conv{n%2}.affine.bias",
        ),
        Rule::spare_as(
            "convs.{n}.conv.blur.kernel",
            "synthesis.b{n/2+3^}.conv{n%2}.resample_filter",
            FILTER,
            "it is the usual one where it is missing",
        ),
        Rule::changed(
            "convs.{n}.noise_injector.weight",
            "synthesis.b{n/2+3^}.conv{n%2}.noise_strength",
            WEIGHT,
        ),
        Rule::name("convs.{n}.activate.bias", "synthesis.b{n/2+3^}.conv{n%2}.bias"),
        Rule::changed("to_rgbs.{n}.conv.weight_orig", "synthesis.b{n+3^}.torgb.weight", PICTURE),
        Rule::name(
            "to_rgbs.{n}.conv.style_modulation.linear.weight_orig",
            "synthesis.b{n+3^}.torgb.affine.weight",
        ),
        Rule::name("to_rgbs.{n}.conv.style_modulation.bias", "synthesis.b{n+3^}.torgb.affine.bias"),
        Rule::changed("to_rgbs.{n}.bias", "synthesis.b{n+3^}.torgb.bias", COLOURS),
        Rule::spare_as(
            "to_rgbs.{n}.upsample.kernel",
            "synthesis.b{n+3^}.resample_filter",
            FILTER,
            "it is the usual one where it is missing",
        ),
        Rule::changed("injected_noise_0", "synthesis.b4.conv1.noise_const", MAP),
        Rule::changed("injected_noise_{n}", "synthesis.b{n-1/2+3^}.conv{n-1%2}.noise_const", MAP),
    ],
    settings: |_| Ok(json!({"mapping_lr_multiplier": 0.01})),
};
