//! rosinality/stylegan2-pytorch, and the many files with its names: decoders of pSp, e4e, ReStyle,
//! HyperStyle and StyleGAN-NADA, TADNE.
//!
//! A block's number follows from the place of its convolutions: 4×4 comes first, then two a block.
//! The mean of w lies beside the state dict, in files of encoders once for every layer; training
//! files have none.

use crate::weights::Listing;
use crate::weights::layout::{Change, Layout};
use serde_json::json;

/// A weight with a dimension in front for the batch.
pub(super) const WEIGHT: &[Change] = &[Change::Ones(1, 0)];
/// A bias of a picture, `[1, C, 1, 1]`.
pub(super) const COLOURS: &[Change] = &[Change::Ones(1, 2)];
/// A map of noise, `[1, 1, H, W]`.
pub(super) const MAP: &[Change] = &[Change::Ones(2, 0)];
/// A filter that makes up for the zeros between pixels.
pub(super) const FILTER: &[Change] = &[Change::Scale(0.25)];
/// Why a filter may be missing.
pub(super) const USUAL: &str = "it is the usual one where it is missing";

/// The rules for these names, with the changes of a fully connected layer's weights.
macro_rules! rules {
    ($linear:expr) => {{
        use $crate::generator::stylegan2::layouts::rosinality::{
            COLOURS, FILTER, MAP, USUAL, WEIGHT,
        };
        use $crate::weights::layout::Rule;
        &[
            Rule::changed("style.{n}.weight", "mapping.fc{n-1}.weight", $linear),
            Rule::name("style.{n}.bias", "mapping.fc{n-1}.bias"),
            Rule::name("../latent_avg", "mapping.w_avg"),
            Rule::name("latent_avg", "mapping.w_avg"),
            Rule::changed("input.input", "synthesis.b4.const", WEIGHT),
            Rule::changed("conv1.conv.weight", "synthesis.b4.conv1.weight", WEIGHT),
            Rule::changed(
                "conv1.conv.modulation.weight",
                "synthesis.b4.conv1.affine.weight",
                $linear,
            ),
            Rule::name("conv1.conv.modulation.bias", "synthesis.b4.conv1.affine.bias"),
            Rule::changed("conv1.noise.weight", "synthesis.b4.conv1.noise_strength", WEIGHT),
            Rule::name("conv1.activate.bias", "synthesis.b4.conv1.bias"),
            Rule::changed("to_rgb1.conv.weight", "synthesis.b4.torgb.weight", WEIGHT),
            Rule::changed(
                "to_rgb1.conv.modulation.weight",
                "synthesis.b4.torgb.affine.weight",
                $linear,
            ),
            Rule::name("to_rgb1.conv.modulation.bias", "synthesis.b4.torgb.affine.bias"),
            Rule::changed("to_rgb1.bias", "synthesis.b4.torgb.bias", COLOURS),
            Rule::changed("convs.{n}.conv.weight", "synthesis.b{n/2+3^}.conv{n%2}.weight", WEIGHT),
            Rule::changed(
                "convs.{n}.conv.modulation.weight",
                "synthesis.b{n/2+3^}.conv{n%2}.affine.weight",
                $linear,
            ),
            Rule::name(
                "convs.{n}.conv.modulation.bias",
                "synthesis.b{n/2+3^}.conv{n%2}.affine.bias",
            ),
            Rule::spare_as(
                "convs.{n%2=0}.conv.blur.kernel",
                "synthesis.b{n/2+3^}.conv0.resample_filter",
                FILTER,
                USUAL,
            ),
            Rule::changed(
                "convs.{n}.noise.weight",
                "synthesis.b{n/2+3^}.conv{n%2}.noise_strength",
                WEIGHT,
            ),
            Rule::name("convs.{n}.activate.bias", "synthesis.b{n/2+3^}.conv{n%2}.bias"),
            Rule::changed("to_rgbs.{n}.conv.weight", "synthesis.b{n+3^}.torgb.weight", WEIGHT),
            Rule::changed(
                "to_rgbs.{n}.conv.modulation.weight",
                "synthesis.b{n+3^}.torgb.affine.weight",
                $linear,
            ),
            Rule::name("to_rgbs.{n}.conv.modulation.bias", "synthesis.b{n+3^}.torgb.affine.bias"),
            Rule::changed("to_rgbs.{n}.bias", "synthesis.b{n+3^}.torgb.bias", COLOURS),
            Rule::spare_as(
                "to_rgbs.{n}.upsample.kernel",
                "synthesis.b{n+3^}.resample_filter",
                FILTER,
                USUAL,
            ),
            Rule::changed("noises.noise_0", "synthesis.b4.conv1.noise_const", MAP),
            Rule::changed("noises.noise_{n}", "synthesis.b{n-1/2+3^}.conv{n-1%2}.noise_const", MAP),
        ]
    }};
}
pub(super) use rules;

pub(in crate::generator::stylegan2) const LAYOUT: Layout = Layout {
    name: "rosinality",
    detect: named,
    rules: rules!(&[]),
    settings: |_| Ok(json!({"mapping_lr_multiplier": 0.01})),
};

/// Whether a file has these names.
pub(super) fn named(listing: &Listing) -> bool {
    let names = ["style.1.weight", "input.input", "conv1.conv.modulation.weight"];
    names.iter().all(|name| listing.has(name))
}
