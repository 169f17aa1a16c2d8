//! The models `fastgan-few-shot-…` of the Hugging Face community, a second implementation of the
//! same network: a state dict.

use super::has_weight;
use crate::weights::layout::{Layout, Rule};
use serde_json::json;

pub(super) const LAYOUT: Layout = Layout {
    name: "huggan",
    detect: |listing| {
        ["_init._layers.0._conv", "_init._layers.0"].iter().any(|m| has_weight(listing, m))
            && listing.tensors.keys().any(|name| name.starts_with("_upsample_8."))
    },
    rules: &[
        Rule::ignored("{*}num_batches_tracked", "it counts the steps of training"),
        Rule::ignored("_out_128.{*}", "the small second picture serves the discriminator"),
        Rule::name("_init._layers.{n}._conv.{part}", "init.init.{n}.{part}"),
        Rule::name("_init._layers.{n}.{part}", "init.init.{n}.{part}"),
        Rule::name("_upsample_{r}._layers.{n}._conv.{part}", "feat_{r}.{n}.{part}"),
        Rule::name("_upsample_{r}._layers.{n}._weight", "feat_{r}.{n}.weight"),
        Rule::name("_upsample_{r}._layers.{n}.{part}", "feat_{r}.{n}.{part}"),
        Rule::name("_sle_{r}._layers.{n}._conv.{part}", "se_{r}.main.{n}.{part}"),
        Rule::name("_sle_{r}._layers.{n}.{part}", "se_{r}.main.{n}.{part}"),
        Rule::name("_out_{word}.0._conv.{part}", "to_big.{part}"),
        Rule::name("_out_{word}.0.{part}", "to_big.{part}"),
    ],
    settings: |_| Ok(json!({"normalize_z": false, "tanh": true})),
};
