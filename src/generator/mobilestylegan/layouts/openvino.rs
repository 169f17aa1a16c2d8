//! The authors' export to OpenVINO, as in the package `random-face`: two networks, of which the
//! mapping has no names and the synthesis those of the student.
//!
//! The export folds scales into neighbours: of the mapping all, of the convolutions the
//! demodulation, of the noise its strength. A tensor without a name is called after the last one
//! with a name and the operation that reads it (see `weights/openvino`).

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

/// Why numbers that the operations of a graph read are left out.
const SHAPES: &str = "sizes of the graph's tensors, which follow from the weights";
/// Why the filters are left out.
const WAVELET: &str = "the Haar wavelet is computed";
/// Why the scales are left out.
const SCALE: &str = "1/√(fan-in), which follows from the weights";
/// Why the activation's constants are left out.
const SLOPE: &str = "the slope of the activation, 0.2";

pub(super) const LAYOUT: Layout = Layout {
    name: "openvino",
    detect: |listing| {
        listing.has("SynthesisNetwork.m.layers.0.conv1.conv.weight_dw")
            && listing.has("MappingNetwork.+MatMul.0")
    },
    rules: &[
        Rule::name("MappingNetwork.+MatMul.{n}", "mapping.fc{n}.weight"),
        Rule::name("MappingNetwork.+Reshape.{n}", "mapping.fc{n}.bias"),
        Rule::ignored("MappingNetwork.+PReLU.{n}", SLOPE),
        Rule::ignored("MappingNetwork.+Multiply.{n}", "the gain of the activation, √2"),
        Rule::ignored("MappingNetwork.+Power.{n}", "exponents of the normalisation of z"),
        Rule::ignored("MappingNetwork.+Add.{n}", "1e-8 in the normalisation of z"),
        Rule::ignored("MappingNetwork.+ReduceMean.{n}", "the axis of the normalisation of z"),
        Rule::ignored("MappingNetwork.+Concat.{n}", SHAPES),
        Rule::ignored("MappingNetwork.+Gather.{n}", SHAPES),
        Rule::ignored("MappingNetwork.+Unsqueeze.{n}", SHAPES),
        Rule::name("SynthesisNetwork.m.input.input", "synthesis.const"),
        Rule::name("SynthesisNetwork.m.input.input+Convolution.0", "synthesis.conv1.weight"),
        Rule::name("SynthesisNetwork.m.input.input+Add.0", "synthesis.conv1.noise"),
        Rule::name(
            "SynthesisNetwork.m.conv1.conv.modulation.weight",
            "synthesis.conv1.affine.weight",
        ),
        Rule::changed(
            "SynthesisNetwork.m.conv1.conv.modulation.bias",
            "synthesis.conv1.affine.bias",
            &[Change::Squeeze(1)],
        ),
        Rule::name("SynthesisNetwork.m.conv1.bias", "synthesis.conv1.bias"),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.up.modulation.weight",
            "synthesis.b{n}.up.affine.weight",
        ),
        Rule::changed(
            "SynthesisNetwork.m.layers.{n}.up.modulation.bias",
            "synthesis.b{n}.up.affine.bias",
            &[Change::Squeeze(1)],
        ),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.to_img.conv.modulation.weight",
            "synthesis.b{n}.head.affine.weight",
        ),
        Rule::changed(
            "SynthesisNetwork.m.layers.{n}.to_img.conv.modulation.bias",
            "synthesis.b{n}.head.affine.bias",
            &[Change::Squeeze(1)],
        ),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.to_img.conv.weight",
            "synthesis.b{n}.head.weight",
        ),
        Rule::name("SynthesisNetwork.m.layers.{n}.to_img.bias", "synthesis.b{n}.head.bias"),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.conv{k}.conv.modulation.weight",
            "synthesis.b{n}.conv{k}.affine.weight",
        ),
        Rule::changed(
            "SynthesisNetwork.m.layers.{n}.conv{k}.conv.modulation.bias",
            "synthesis.b{n}.conv{k}.affine.bias",
            &[Change::Squeeze(1)],
        ),
        Rule::changed(
            "SynthesisNetwork.m.layers.{n}.conv{k}.conv.weight_dw",
            "synthesis.b{n}.conv{k}.depthwise",
            &[Change::Permute(&[1, 0, 2, 3, 4]), Change::Squeeze(4)],
        ),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.conv{k}.conv.weight_dw+Convolution.0",
            "synthesis.b{n}.conv{k}.pointwise",
        ),
        Rule::name(
            "SynthesisNetwork.m.layers.{n}.conv{k}.conv.weight_dw+Add.0",
            "synthesis.b{n}.conv{k}.noise",
        ),
        Rule::name("SynthesisNetwork.m.layers.{n}.conv{k}.bias", "synthesis.b{n}.conv{k}.bias"),
        Rule::ignored("SynthesisNetwork.{*}modulation.bias+Multiply.{n}", SCALE),
        Rule::ignored("SynthesisNetwork.{*}bias+PReLU.{n}", SLOPE),
        Rule::ignored("SynthesisNetwork.{*}+GroupConvolutionBackpropData.{n}", WAVELET),
        Rule::ignored("SynthesisNetwork.{*}+VariadicSplit.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Squeeze.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Unsqueeze.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Gather.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Concat.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Broadcast.{n}", SHAPES),
        Rule::ignored("SynthesisNetwork.{*}+Tile.{n}", SHAPES),
    ],
    settings: |_| Ok(json!({"mapping_folded": true})),
};
