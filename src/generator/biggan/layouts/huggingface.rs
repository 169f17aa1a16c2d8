//! Hugging Face's port of DeepMind's BigGAN-deep (pytorch-pretrained-BigGAN):
//! `NAME-pytorch_model.bin` with `NAME-config.json` beside it.

use super::Said;
use crate::error::Result;
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Value as Json, json};

pub(super) const LAYOUT: Layout = Layout {
    name: "huggingface",
    detect: |listing| {
        listing.has("generator.gen_z.weight_orig")
            && listing.has("embeddings.weight")
            && listing.has("generator.layers.0.bn_0.running_means")
    },
    rules: &[
        Rule::changed("embeddings.weight", "embedding.weight", &[Change::Permute(&[1, 0])]),
        Rule::name("generator.gen_z.{tensor}", "first.{tensor}"),
        Rule::name("generator.layers.{n}.bn_{k}.running_means", "blocks.{n}.norm{k+1}.mean"),
        Rule::name("generator.layers.{n}.bn_{k}.running_vars", "blocks.{n}.norm{k+1}.var"),
        Rule::name(
            "generator.layers.{n}.bn_{k}.scale.{tensor}",
            "blocks.{n}.norm{k+1}.gain.{tensor}",
        ),
        Rule::name(
            "generator.layers.{n}.bn_{k}.offset.{tensor}",
            "blocks.{n}.norm{k+1}.bias.{tensor}",
        ),
        Rule::name("generator.layers.{n}.conv_{k}.{tensor}", "blocks.{n}.conv{k+1}.{tensor}"),
        Rule::name("generator.layers.{n}.gamma", "blocks.{n}.attention.gamma"),
        Rule::name(
            "generator.layers.{n}.snconv1x1_o_conv.{tensor}",
            "blocks.{n}.attention.o.{tensor}",
        ),
        Rule::name(
            "generator.layers.{n}.snconv1x1_{map}.{tensor}",
            "blocks.{n}.attention.{map}.{tensor}",
        ),
        Rule::name("generator.bn.weight", "last.norm.gain"),
        Rule::name("generator.bn.bias", "last.norm.bias"),
        Rule::name("generator.bn.running_means", "last.norm.mean"),
        Rule::name("generator.bn.running_vars", "last.norm.var"),
        Rule::name("generator.conv_to_rgb.{tensor}", "last.conv.{tensor}"),
    ],
    settings,
};

const SAID: Said = Said { section: "config", mark: "class_embed_dim" };

/// The settings of its configuration; without one, those of the published files: every second block
/// doubles the size, eps 1e-4.
fn settings(listing: &Listing) -> Result<Json> {
    let said = |key: &str| SAID.get(listing, key).cloned();
    let mut settings = json!({
        "eps": said("eps").unwrap_or_else(|| json!(1e-4)),
        // Of as many outputs as there are channels, the first three are the picture.
        "img_channels": 3,
        "channels_last": true,
        "z_limit": 2,
    });
    if let Some(Json::Array(layers)) = said("layers") {
        settings["upsample"] = layers.iter().map(|l| l.get(0).cloned()).collect();
    }
    for (key, theirs) in
        [("z_dim", "z_dim"), ("c_dim", "num_classes"), ("img_resolution", "output_dim")]
    {
        if let Some(value) = said(theirs) {
            settings[key] = value;
        }
    }
    Ok(settings)
}
