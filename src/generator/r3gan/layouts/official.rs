//! brownvc/R3GAN: the names of its modules, in its training snapshots (plain pickles of whole
//! modules) and in state dicts. The shapes say everything; its flags for bfloat16 are left aside.

use crate::weights::layout::{Layout, Rule};
use serde_json::Value as Json;

pub(super) const LAYOUT: Layout = Layout {
    name: "r3gan",
    detect: |listing| listing.has("Model.MainLayers.0.Layers.0.Basis"),
    rules: &[
        Rule::name("Model.MainLayers.{s}.Layers.0.Basis", "stages.{s}.basis"),
        Rule::name("Model.MainLayers.{s}.Layers.0.LinearLayer.weight", "stages.{s}.linear.weight"),
        Rule::name(
            "Model.MainLayers.{s}.Layers.0.LinearLayer.Layer.weight",
            "stages.{s}.conv.weight",
        ),
        Rule::name("Model.MainLayers.{s}.Layers.0.Resampler.Kernel", "stages.{s}.filter"),
        Rule::name(
            "Model.MainLayers.{s}.Layers.{b}.LinearLayer{n}.Layer.weight",
            "stages.{s}.blocks.{b-1}.conv{n}.weight",
        ),
        Rule::name(
            "Model.MainLayers.{s}.Layers.{b}.NonLinearity{n}.Bias",
            "stages.{s}.blocks.{b-1}.bias{n}",
        ),
        Rule::name("Model.AggregationLayer.Layer.weight", "rgb.weight"),
        Rule::name("Model.EmbeddingLayer.weight", "embed.weight"),
    ],
    settings: |_| Ok(Json::Null),
};
