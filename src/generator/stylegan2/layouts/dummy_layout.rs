//! A layout for tests alone: names with slashes, and the mapping network's matrices turned over.

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

pub(super) const LAYOUT: Layout = Layout {
    name: "dummy_layout",
    detect: |listing| listing.has("dummy_layout/mean"),
    rules: &[
        Rule::name("dummy_layout/mean", "mapping.w_avg"),
        Rule::changed(
            "dummy_layout/map/{n}/kernel",
            "mapping.fc{n-1}.weight",
            &[Change::Permute(&[1, 0])],
        ),
        Rule::name("dummy_layout/map/{n}/bias", "mapping.fc{n-1}.bias"),
        Rule::name("dummy_layout/{*}", "synthesis.{*}"),
    ],
    settings: |_| Ok(json!({"name": "toy", "mapping_lr_multiplier": 0.01})),
};
