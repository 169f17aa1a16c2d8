//! odegeasslbc/FastGAN-pytorch: `{g, d, …}` of training, or a bare state dict. Its names are ours.
//!
//! In `N.pth` of the training code `g` is the averaged network. In `all_N.pth` it is the trained
//! one; `training.rs` reads those.

use super::has_weight;
use crate::weights::layout::{Layout, Rule};
use serde_json::json;

pub(super) const LAYOUT: Layout = Layout {
    name: "odegeasslbc",
    detect: |listing| {
        has_weight(listing, "init.init.0")
            && has_weight(listing, "to_big")
            && listing.tensors.keys().any(|name| name.starts_with("feat_8."))
    },
    rules: &[
        Rule::ignored("{*}num_batches_tracked", "it counts the steps of training"),
        Rule::ignored("to_128.{*}", "the small second picture serves the discriminator"),
    ],
    // Only the largest model ends in a tanh: the others return what the last convolution gives.
    settings: |listing| {
        Ok(json!({"normalize_z": false, "tanh": has_weight(listing, "feat_1024.1")}))
    },
};
