//! odegeasslbc/FastGAN-pytorch: `all_N.pth` of training. `g` is the trained network, and `g_ema`
//! the averaged one as a list of its parameters. Batch statistics and singular vectors are those of
//! `g`, as in the code that loads the list.

use super::original;
use crate::weights::layout::{Layout, Rule};

/// What is no parameter of a module.
const BUFFERS: &[&str] =
    &["weight_u", "weight_v", "running_mean", "running_var", "num_batches_tracked"];

pub(super) const LAYOUT: Layout = Layout {
    name: "odegeasslbc-training",
    detect: |listing| (original::LAYOUT.detect)(listing) && listing.has("../g_ema.0"),
    rules: &[
        Rule::listed("../g_ema.{n}", BUFFERS),
        original::LAYOUT.rules[0],
        original::LAYOUT.rules[1],
    ],
    settings: original::LAYOUT.settings,
};
