//! NVIDIA's TensorFlow code: layers by resolution, matrices `[in, out]`, kernels `[h, w, in, out]`,
//! of fused upsampling `[h, w, out, in]`; pictures are counted from the highest resolution.

use crate::error::Result;
use crate::generator::pggan::refuse::refuse;
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Map, Value as Json, json};

const MATRIX: &[Change] = &[Change::Permute(&[1, 0])];
const KERNEL: &[Change] = &[Change::Permute(&[3, 2, 0, 1])];
/// A transposed convolution of the summed kernel: a doubled map and the kernel turned.
const FUSED: &[Change] = &[Change::Permute(&[2, 3, 0, 1]), Change::Flip];

pub(super) const LAYOUT: Layout = Layout {
    name: "tensorflow",
    detect: |listing| listing.has("4x4/Dense/weight") && listing.has("ToRGB_lod0/weight"),
    rules: &[
        Rule::changed("4x4/Dense/weight", "b4.dense.weight", MATRIX),
        Rule::name("4x4/Dense/bias", "b4.dense.bias"),
        Rule::changed("4x4/Conv/weight", "b4.conv.weight", KERNEL),
        Rule::name("4x4/Conv/bias", "b4.conv.bias"),
        Rule::changed("{r}x{s}/Conv0_up/weight", "b{r}.conv0.weight", FUSED),
        Rule::name("{r}x{s}/Conv0_up/bias", "b{r}.conv0.bias"),
        Rule::changed("{r}x{s}/Conv{n}/weight", "b{r}.conv{n}.weight", KERNEL),
        Rule::name("{r}x{s}/Conv{n}/bias", "b{r}.conv{n}.bias"),
        Rule::changed("ToRGB_lod{n}/weight", "torgb_lod{n}.weight", KERNEL),
        Rule::name("ToRGB_lod{n}/bias", "torgb_lod{n}.bias"),
    ],
    settings,
};

/// The build function's arguments.
fn settings(listing: &Listing) -> Result<Json> {
    let Some(given) = listing.config.get("static_kwargs").and_then(Json::as_object) else {
        return Ok(Json::Null);
    };
    let mut out = Map::new();
    for (key, value) in given {
        let key = match key.as_str() {
            "latent_size" => "z_dim",
            "label_size" => "c_dim",
            "resolution" => "img_resolution",
            "num_channels" => "img_channels",
            "use_wscale" => "equalized",
            "normalize_latents" => "normalize_latents",
            "use_pixelnorm" => "pixel_norm",
            "use_leakyrelu" if value == &json!(false) => {
                out.insert("slope".into(), json!(0.0));
                continue;
            }
            "pixelnorm_epsilon" if value.as_f64().is_none_or(|e| (e - 1e-8).abs() > 1e-12) => {
                return Err(
                    refuse(format!("`pixelnorm_epsilon` is {value}")).hint("1e-8 is supported")
                );
            }
            _ => continue,
        };
        // `None` is a size that follows from the others.
        if !value.is_null() {
            out.insert(key.into(), value.clone());
        }
    }
    Ok(Json::Object(out))
}
