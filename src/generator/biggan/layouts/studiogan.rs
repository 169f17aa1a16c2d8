//! PyTorch-StudioGAN: `model=G_ema-best-weights-step=N.pth` of the backbones `big_resnet`,
//! `big_resnet_deep_legacy`, `big_resnet_deep_studiogan`, `resnet` (SNGAN, SAGAN) and `deep_conv`
//! (DCGAN); its `stylegan2` and `stylegan3` have NVIDIA's names. Attention is a block of its own.

use super::Said;
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use serde_json::{Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "studiogan",
    detect: |listing| {
        let has = |name: &str| listing.has(name) || listing.has(&format!("{name}_orig"));
        has("linear0.weight")
            && (has("blocks.0.0.conv2d1.weight") || has("blocks.0.0.deconv0.weight"))
    },
    rules: &[
        Rule::ignored("{*}.num_batches_tracked", "batches that were counted"),
        Rule::name("shared.weight", "embedding.weight"),
        Rule::name("linear0.{tensor}", "first.{tensor}"),
        // The only norm of a transposed convolution counts from 0, the others from 1.
        Rule::name("blocks.{n}.0.bn0.bn.running_{what}", "blocks.{n}.norm1.{what}"),
        Rule::name("blocks.{n}.0.bn0.running_{what}", "blocks.{n}.norm1.{what}"),
        Rule::name("blocks.{n}.0.bn0.weight", "blocks.{n}.norm1.gain"),
        Rule::name("blocks.{n}.0.bn0.{*}", "blocks.{n}.norm1.{*}"),
        Rule::name("blocks.{n}.0.bn{k}.bn.running_{what}", "blocks.{n}.norm{k}.{what}"),
        Rule::name("blocks.{n}.0.bn{k}.running_{what}", "blocks.{n}.norm{k}.{what}"),
        Rule::name("blocks.{n}.0.bn{k}.weight", "blocks.{n}.norm{k}.gain"),
        Rule::name("blocks.{n}.0.bn{k}.{*}", "blocks.{n}.norm{k}.{*}"),
        Rule::name("blocks.{n}.0.conv2d0.{tensor}", "blocks.{n}.skip.{tensor}"),
        Rule::name("blocks.{n}.0.conv2d{k}.{tensor}", "blocks.{n}.conv{k}.{tensor}"),
        Rule::name("blocks.{n}.0.deconv0.{tensor}", "blocks.{n}.deconv.{tensor}"),
        Rule::name("blocks.{n}.0.sigma", "blocks.{n}.attention.gamma"),
        Rule::name("blocks.{n}.0.conv1x1_attn.{tensor}", "blocks.{n}.attention.o.{tensor}"),
        Rule::name("blocks.{n}.0.conv1x1_{map}.{tensor}", "blocks.{n}.attention.{map}.{tensor}"),
        Rule::name("bn4.running_{what}", "last.norm.{what}"),
        Rule::name("bn4.weight", "last.norm.gain"),
        Rule::name("bn4.bias", "last.norm.bias"),
        Rule::name("conv2d5.{tensor}", "last.conv.{tensor}"),
        Rule::name("conv4.{tensor}", "last.conv.{tensor}"),
    ],
    settings,
};

const SAID: Said = Said { section: "MODEL", mark: "backbone" };

/// The settings: those that tensors do not tell come from its configuration, where the file has one
/// or one lies beside it.
fn settings(listing: &Listing) -> Result<Json> {
    if ["info_mix_linear", "info_proj_linear"].iter().any(|layer| {
        listing.has(&format!("{layer}.weight")) || listing.has(&format!("{layer}.weight_orig"))
    }) {
        return Err(refuse("InfoGAN codes").hint("train without `info_type`"));
    }
    let said = |key: &str| SAID.get(listing, key);
    let mut settings = json!({"eps": 1e-4, "class_first": true});
    match said("g_act_fn").and_then(Json::as_str) {
        None | Some("ReLU") => {}
        Some("Leaky_ReLU") => settings["slope"] = json!(0.1),
        Some(other) => {
            return Err(refuse(&format!("the activation {}", Safe(other)))
                .hint("ReLU and Leaky_ReLU are supported"));
        }
    }
    if let Some(depth) = said("g_depth").filter(|d| d.is_number()) {
        settings["depth"] = depth.clone();
    }
    let word = |key: &str| said(key).and_then(Json::as_str);
    if (word("backbone"), word("g_cond_mtd")) == (Some("resnet"), Some("cBN")) {
        settings["reads"] = json!("class");
    }
    Ok(settings)
}

fn refuse(what: &str) -> Error {
    Error::new(Kind::Format, format!("StudioGAN generators with {what} cannot be run"))
}
