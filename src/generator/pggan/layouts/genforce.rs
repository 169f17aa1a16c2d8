//! genforce and SeFa: the layers are counted, two a resolution, and the first is a convolution of
//! one pixel, which turns its kernel.

use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Value as Json, json};

/// A kernel `[O, I, 4, 4]` over one pixel as a matrix `[16·O, I]`.
const DENSE: &[Change] = &[Change::Flip, Change::Permute(&[0, 2, 3, 1]), Change::Merge(2)];

pub(super) const LAYOUT: Layout = Layout {
    name: "genforce",
    detect: |listing| listing.has("layer0.weight") && listing.has("output0.weight"),
    rules: &[
        Rule::changed("layer0.weight", "b4.dense.weight", DENSE),
        Rule::name("layer0.bias", "b4.dense.bias"),
        Rule::name("layer1.{part}", "b4.conv.{part}"),
        Rule::name("layer{n%2=0}.{part}", "b{n/2+2^}.conv0.{part}"),
        Rule::name("layer{n}.{part}", "b{n/2+2^}.conv1.{part}"),
        Rule::name("output{n}.{part}", "b{n+2^}.torgb.{part}"),
    ],
    settings: |listing| Ok(settings(listing)),
};

/// Arguments by which a configuration is one of this code.
const OWN: [&str; 4] = ["z_space_dim", "image_channels", "final_tanh", "use_wscale"];

/// The constructor's arguments, where the file or one beside it states them.
fn settings(listing: &Listing) -> Json {
    let keys = [
        ("label_size", "c_dim"),
        ("z_space_dim", "z_dim"),
        ("resolution", "img_resolution"),
        ("image_channels", "img_channels"),
        ("final_tanh", "tanh"),
        ("use_wscale", "equalized"),
    ];
    let mut out = listing.settings(&keys, &OWN);
    out.insert("normalize_z".into(), json!(true));
    Json::Object(out)
}
