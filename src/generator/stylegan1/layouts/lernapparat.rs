//! lernapparat/lernapparat: the converted networks of NVIDIA, of which only the picture at the full
//! resolution is kept. Noise maps are not; its code draws them.

use crate::weights::layout::{Change, Layout, Rule};
use serde_json::json;

pub(super) const LAYOUT: Layout = Layout {
    name: "lernapparat",
    detect: |listing| {
        listing.has("g_mapping.dense0.weight") && listing.has("g_synthesis.blocks.4x4.const")
    },
    rules: &[
        Rule::name("g_mapping.dense{n}.{part}", "mapping.fc{n}.{part}"),
        // Its module `Truncation`, where the network has one.
        Rule::name("truncation.avg_latent", "mapping.w_avg"),
        Rule::changed("g_synthesis.blocks.4x4.const", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::name("g_synthesis.blocks.4x4.bias", "synthesis.b4.conv0.bias"),
        Rule::name("g_synthesis.blocks.4x4.conv.{part}", "synthesis.b4.conv1.{part}"),
        Rule::ignored("{*}.intermediate.kernel", "always the filter [1, 2, 1]"),
        Rule::name("g_synthesis.blocks.{r}x{s}.conv0_up.{part}", "synthesis.b{r}.conv0.{part}"),
        Rule::name("g_synthesis.blocks.{r}x{s}.conv1.{part}", "synthesis.b{r}.conv1.{part}"),
        Rule::name(
            "g_synthesis.blocks.{r}x{s}.epi{n}.top_epi.noise.weight",
            "synthesis.b{r}.conv{n-1}.noise_strength",
        ),
        Rule::name(
            "g_synthesis.blocks.{r}x{s}.epi{n}.style_mod.lin.{part}",
            "synthesis.b{r}.conv{n-1}.affine.{part}",
        ),
        Rule::name("g_synthesis.torgb.{part}", "synthesis.torgb_lod0.{part}"),
    ],
    settings: |_| Ok(json!({"norm_epsilon": 1e-5})),
};
