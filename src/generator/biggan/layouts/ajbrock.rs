//! BigGAN-PyTorch (ajbrock): `G.pth` and `G_ema.pth`, state dicts of `BigGAN.py` and
//! `BigGANdeep.py`; the settings are those of the configuration in `state_dict.pth`, where a file
//! has them.
//!
//! With `--cross_replica` its norm adds the gain instead of multiplying by it when it runs on one
//! device at rest, and multiplies in training on several. Files are read as they were trained.

use super::Said;
use crate::error::Result;
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Value as Json, json};

/// With `--G_shared`: gains and biases are layers that read a shared embedding of the class.
pub(super) const SHARED: Layout = Layout {
    name: "biggan-pytorch",
    detect: |listing| detect(listing) && listing.has("shared.weight"),
    rules: &rules([
        Rule::name("blocks.{n}.0.bn{k}.gain.{tensor}", "blocks.{n}.norm{k}.gain.{tensor}"),
        Rule::name("blocks.{n}.0.bn{k}.bias.{tensor}", "blocks.{n}.norm{k}.bias.{tensor}"),
    ]),
    settings,
};

/// Without: gains and biases are tables of classes, `[c_dim, C]`.
pub(super) const UNSHARED: Layout = Layout {
    name: "biggan-pytorch-unshared",
    detect: |listing| detect(listing) && !listing.has("shared.weight"),
    rules: &rules([
        Rule::changed(
            "blocks.{n}.0.bn{k}.gain.weight",
            "blocks.{n}.norm{k}.gain.weight",
            &[Change::Permute(&[1, 0])],
        ),
        Rule::changed(
            "blocks.{n}.0.bn{k}.bias.weight",
            "blocks.{n}.norm{k}.bias.weight",
            &[Change::Permute(&[1, 0])],
        ),
    ]),
    settings,
};

fn detect(listing: &Listing) -> bool {
    ["linear.weight", "output_layer.2.weight", "blocks.0.0.conv1.weight"]
        .iter()
        .all(|name| listing.has(name))
}

const LOGGED: &str = "singular values, which are logged alone";
const FURTHER: &str = "further singular vectors, which are logged alone";
const COUNTED: &str = "batches that were counted";

/// The rules of both, with those for gains and biases.
const fn rules([gain, bias]: [Rule; 2]) -> [Rule; 31] {
    [
        Rule::ignored("{*}.sv{i}", LOGGED),
        Rule::ignored("{*}.u1", FURTHER),
        Rule::ignored("{*}.u2", FURTHER),
        Rule::ignored("{*}.u3", FURTHER),
        Rule::ignored("{*}.num_batches_tracked", COUNTED),
        Rule::name("shared.weight", "embedding.weight"),
        Rule::name("linear.{tensor}", "first.{tensor}"),
        gain,
        bias,
        Rule::name("blocks.{n}.0.bn{k}.stored_mean", "blocks.{n}.norm{k}.mean"),
        Rule::name("blocks.{n}.0.bn{k}.stored_var", "blocks.{n}.norm{k}.var"),
        Rule::name("blocks.{n}.0.bn{k}.bn.stored_mean", "blocks.{n}.norm{k}.mean"),
        Rule::name("blocks.{n}.0.bn{k}.bn.stored_var", "blocks.{n}.norm{k}.var"),
        Rule::name("blocks.{n}.0.bn{k}.bn.accumulation_counter", "blocks.{n}.norm{k}.counter"),
        Rule::name("blocks.{n}.0.bn{k}.bn.running_mean", "blocks.{n}.norm{k}.mean"),
        Rule::name("blocks.{n}.0.bn{k}.bn.running_var", "blocks.{n}.norm{k}.var"),
        Rule::name("blocks.{n}.0.conv_sc.{tensor}", "blocks.{n}.skip.{tensor}"),
        Rule::name("blocks.{n}.0.conv{k}.{tensor}", "blocks.{n}.conv{k}.{tensor}"),
        Rule::name("blocks.{n}.1.gamma", "blocks.{n}.attention.gamma"),
        Rule::name("blocks.{n}.1.{map}.{tensor}", "blocks.{n}.attention.{map}.{tensor}"),
        Rule::name("output_layer.0.gain", "last.norm.gain"),
        Rule::name("output_layer.0.bias", "last.norm.bias"),
        Rule::name("output_layer.0.stored_mean", "last.norm.mean"),
        Rule::name("output_layer.0.stored_var", "last.norm.var"),
        Rule::name("output_layer.0.bn.stored_mean", "last.norm.mean"),
        Rule::name("output_layer.0.bn.stored_var", "last.norm.var"),
        Rule::name("output_layer.0.bn.accumulation_counter", "last.norm.counter"),
        Rule::name("output_layer.0.bn.running_mean", "last.norm.mean"),
        Rule::name("output_layer.0.bn.running_var", "last.norm.var"),
        Rule::name("output_layer.2.{tensor}", "last.conv.{tensor}"),
        Rule::ignored("optim.{*}", "the state of the optimizer"),
    ]
}

const SAID: Said = Said { section: "config", mark: "G_ch" };

/// The settings that its configuration has; the last norm always has an eps of 1e-5.
fn settings(listing: &Listing) -> Result<Json> {
    let mut settings = json!({"class_first": true, "last_eps": 1e-5});
    for (key, theirs) in [("eps", "BN_eps"), ("depth", "G_depth"), ("img_resolution", "resolution")]
    {
        if let Some(value) = SAID.get(listing, theirs) {
            settings[key] = value.clone();
        }
    }
    Ok(settings)
}
