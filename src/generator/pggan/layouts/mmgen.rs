//! mmgeneration (and mmagic). `weight_orig` is a weight before equalised learning rate, not one of
//! a spectral norm.
//!
//! Layers that double the map are transposed convolutions there unless a network was built
//! otherwise. Their weights are `[I, O, 3, 3]`, and their scale counts the outputs.

use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Value as Json, json};

/// A transposed convolution of the summed kernel: a doubled map and the kernel turned.
const TURNED: &[Change] = &[Change::Permute(&[1, 0, 2, 3]), Change::Flip];
/// `[1, O, 1, 1]`.
const BIAS: &[Change] = &[Change::Ones(1, 2)];

/// Added to the root mean square of features: mmcv builds norms with 1e-5, whatever their default.
const OFFSET: f64 = 1e-5;

/// With fused upsampling, the default.
pub(super) const FUSED: Layout = Layout {
    name: "mmgen",
    detect: |listing| detect(listing) && fused(listing),
    rules: &[
        Rule::changed("conv_blocks.{n%2=1}.conv.weight_orig", "b{n/2+3^}.conv0.weight", TURNED),
        RULES[0],
        RULES[1],
        RULES[2],
        RULES[3],
        RULES[4],
        RULES[5],
        RULES[6],
        RULES[7],
        RULES[8],
        RULES[9],
    ],
    settings: |_| Ok(json!({"scaled_by_outputs": true, "norm_offset": OFFSET})),
};

/// With a doubled map and a convolution.
pub(super) const DOUBLED: Layout = Layout {
    name: "mmgen-nearest",
    detect,
    rules: RULES,
    settings: |_| Ok(json!({"norm_offset": OFFSET})),
};

const RULES: &[Rule] = &[
    Rule::name("noise2feat.linear.weight_orig", "b4.dense.weight"),
    Rule::changed("noise2feat.bias", "b4.dense.bias", BIAS),
    Rule::name("conv_blocks.0.conv.weight_orig", "b4.conv.weight"),
    Rule::name("conv_blocks.0.conv.bias", "b4.conv.bias"),
    Rule::name("conv_blocks.{n%2=1}.conv.weight_orig", "b{n/2+3^}.conv0.weight"),
    Rule::name("conv_blocks.{n%2=1}.conv.bias", "b{n/2+3^}.conv0.bias"),
    Rule::name("conv_blocks.{n}.conv.weight_orig", "b{n/2+2^}.conv1.weight"),
    Rule::name("conv_blocks.{n}.conv.bias", "b{n/2+2^}.conv1.bias"),
    Rule::name("torgb_layers.{n}.conv.weight_orig", "b{n+2^}.torgb.weight"),
    Rule::name("torgb_layers.{n}.conv.bias", "b{n+2^}.torgb.bias"),
];

fn detect(listing: &Listing) -> bool {
    listing.has("noise2feat.linear.weight_orig") && listing.has("conv_blocks.0.conv.weight_orig")
}

/// Whether upsampling is fused: by the shape of the first layer that changes the number of
/// channels; where none does, as the file says or as is usual.
fn fused(listing: &Listing) -> bool {
    let block = |n: usize| listing.shape(&format!("conv_blocks.{n}.conv.weight_orig"));
    let mut channels = block(0).map(|s| s[0]);
    for n in (1..).step_by(2) {
        let Some(&[a, b, ..]) = block(n) else { break };
        if a != b {
            return Some(a) == channels;
        }
        channels = Some(b);
    }
    listing.said("fused_upconv", &["fused_upconv"]).and_then(Json::as_bool).unwrap_or(true)
}
