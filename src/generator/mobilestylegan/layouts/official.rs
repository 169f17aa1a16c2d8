//! The authors' checkpoints: a Lightning module with the mapping network of the teacher and the
//! student, which is the generator.

use super::HEADS;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

/// Why the filters are left out.
const WAVELET: &str = "the Haar wavelet is computed";

/// End of the name of a tensor of the mapping network.
const MAPPING: &str = "mapping_net.layers.1.weight";

pub(super) const LAYOUT: Layout = Layout {
    name: "lightning",
    // The student's names begin below its prefix; the mapping network lies outside.
    detect: |listing| {
        let outside = |name: &String| name.starts_with("../") && name.ends_with(MAPPING);
        listing.has("layers.0.conv1.conv.weight_dw") && listing.tensors.keys().any(outside)
    },
    rules: &[
        Rule::name("../{*}mapping_net.layers.{n}.{part}", "mapping.fc{n-1}.{part}"),
        // One row for each row of w, all equal.
        Rule::changed("../{*}style_mean", "mapping.w_avg", &[Change::Squeeze(2)]),
        Rule::name("input.input", "synthesis.const"),
        Rule::name("conv1.conv.modulation.{part}", "synthesis.conv1.affine.{part}"),
        Rule::name("conv1.conv.{part}", "synthesis.conv1.{part}"),
        Rule::name("conv1.noise.weight", "synthesis.conv1.noise_strength"),
        Rule::name("conv1.noise.noise", "synthesis.conv1.noise"),
        Rule::name("conv1.bias", "synthesis.conv1.bias"),
        Rule::name("layers.{n}.up.modulation.{part}", "synthesis.b{n}.up.affine.{part}"),
        Rule::name("layers.{n}.to_img.conv.modulation.{part}", "synthesis.b{n}.head.affine.{part}"),
        Rule::name("layers.{n}.to_img.conv.weight", "synthesis.b{n}.head.weight"),
        Rule::name("layers.{n}.to_img.bias", "synthesis.b{n}.head.bias"),
        Rule::name(
            "layers.{n}.conv{k}.conv.modulation.{part}",
            "synthesis.b{n}.conv{k}.affine.{part}",
        ),
        Rule::name("layers.{n}.conv{k}.conv.weight_dw", "synthesis.b{n}.conv{k}.depthwise"),
        Rule::name("layers.{n}.conv{k}.conv.weight_permute", "synthesis.b{n}.conv{k}.pointwise"),
        Rule::name("layers.{n}.conv{k}.conv.style_inv", "synthesis.b{n}.conv{k}.style_inv"),
        Rule::name("layers.{n}.conv{k}.noise.weight", "synthesis.b{n}.conv{k}.noise_strength"),
        Rule::name("layers.{n}.conv{k}.noise.noise", "synthesis.b{n}.conv{k}.noise"),
        Rule::name("layers.{n}.conv{k}.bias", "synthesis.b{n}.conv{k}.bias"),
        Rule::ignored("to_img1.{*}", HEADS),
        Rule::ignored("layers.{n}.up.idwt.{*}", WAVELET),
        Rule::ignored("idwt.{*}", WAVELET),
        Rule::ignored("device_info", "a mark of the device that it was trained on"),
    ],
    settings: |_| Ok(json!({})),
};
