//! mmgeneration (and mmagic), whose StyleGAN is that of `style-based-gan-pytorch`: one strength of
//! noise for all channels, no bias after the constant, an activation before the filter as well, and
//! other gains. `weight_orig` is a weight before equalised learning rate.

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// A gain of 1 in place of our √2.
const LESS: &[Change] = &[Change::Scale(FRAC_1_SQRT_2)];
/// A gain of √2 in place of our 1.
const MORE: &[Change] = &[Change::Scale(SQRT_2)];

pub(super) const LAYOUT: Layout = Layout {
    name: "mmgen",
    detect: |listing| {
        listing.has("style_mapping.1.linear.weight_orig") && listing.has("convs.0.conv1.input")
    },
    rules: &[
        Rule::changed("style_mapping.{n}.linear.weight_orig", "mapping.fc{n-1}.weight", LESS),
        Rule::name("style_mapping.{n}.bias", "mapping.fc{n-1}.bias"),
        Rule::name("w_avg", "mapping.w_avg"),
        Rule::changed("truncation_latent", "mapping.w_avg", &[Change::Ones(1, 0)]),
        Rule::changed("convs.0.conv1.input", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::name("convs.{n}.conv1.0.conv.weight_orig", "synthesis.b{n+2^}.conv0.weight"),
        Rule::name("convs.{n}.conv1.0.conv.bias", "synthesis.b{n+2^}.conv0.bias"),
        Rule::ignored("convs.{n}.conv1.1.kernel", "always the filter [1, 2, 1]"),
        Rule::name("convs.{n}.conv2.conv.weight_orig", "synthesis.b{n+2^}.conv1.weight"),
        Rule::name("convs.{n}.conv2.conv.bias", "synthesis.b{n+2^}.conv1.bias"),
        Rule::name(
            "convs.{n}.noise_injector{m}.weight",
            "synthesis.b{n+2^}.conv{m-1}.noise_strength",
        ),
        Rule::changed(
            "convs.{n}.adain{m}.affine.weight_orig",
            "synthesis.b{n+2^}.conv{m-1}.affine.weight",
            MORE,
        ),
        Rule::name("convs.{n}.adain{m}.affine.bias", "synthesis.b{n+2^}.conv{m-1}.affine.bias"),
        Rule::changed("to_rgbs.{n}.conv.weight_orig", "synthesis.b{n+2^}.torgb.weight", MORE),
        Rule::name("to_rgbs.{n}.conv.bias", "synthesis.b{n+2^}.torgb.bias"),
        Rule::changed(
            "injected_noise_{n}",
            "synthesis.b{n/2+2^}.conv{n%2}.noise_const",
            &[Change::Ones(2, 0)],
        ),
    ],
    settings: |_| {
        Ok(json!({
            "fused_scale": false,
            "activation_before_blur": true,
            "norm_epsilon": 1e-5,
            "style_offset": 0.0,
        }))
    },
};
