//! genforce and SeFa: the layers are counted, two a resolution.

use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::Value as Json;

pub(super) const LAYOUT: Layout = Layout {
    name: "genforce",
    detect: |listing| {
        listing.has("synthesis.layer0.const") && listing.has("synthesis.layer0.style.weight")
    },
    rules: &[
        Rule::name("mapping.dense{n}.{part}", "mapping.fc{n}.{part}"),
        Rule::name("mapping.label_weight", "mapping.embed.weight"),
        Rule::name("truncation.w_avg", "mapping.w_avg"),
        Rule::changed("synthesis.layer0.const", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::name(
            "synthesis.layer{n}.style.{part}",
            "synthesis.b{n/2+2^}.conv{n%2}.affine.{part}",
        ),
        Rule::name(
            "synthesis.layer{n}.apply_noise.weight",
            "synthesis.b{n/2+2^}.conv{n%2}.noise_strength",
        ),
        Rule::changed(
            "synthesis.layer{n}.apply_noise.noise",
            "synthesis.b{n/2+2^}.conv{n%2}.noise_const",
            &[Change::Ones(2, 0)],
        ),
        Rule::ignored("synthesis.layer{n}.blur.kernel", "always the filter [1, 2, 1]"),
        Rule::name("synthesis.layer{n}.{part}", "synthesis.b{n/2+2^}.conv{n%2}.{part}"),
        Rule::name("synthesis.output{n}.{part}", "synthesis.b{n+2^}.torgb.{part}"),
    ],
    settings: |listing| Ok(settings(listing)),
};

/// Arguments by which a configuration is one of this code.
const OWN: [&str; 4] = ["z_space_dim", "image_channels", "final_tanh", "use_wscale"];

/// The constructor's arguments, where the file or one beside it states them.
fn settings(listing: &Listing) -> Json {
    let keys = [
        ("z_space_dim", "z_dim"),
        ("w_space_dim", "w_dim"),
        ("label_size", "c_dim"),
        ("mapping_lr_mul", "mapping_lr_multiplier"),
        ("resolution", "img_resolution"),
        ("image_channels", "img_channels"),
        ("final_tanh", "tanh"),
        ("fused_scale", "fused_scale"),
        ("use_wscale", "equalized"),
    ];
    Json::Object(listing.settings(&keys, &OWN))
}
