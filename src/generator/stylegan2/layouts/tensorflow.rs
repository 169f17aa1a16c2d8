//! NVIDIA's TensorFlow code of StyleGAN2 and StyleGAN2-ADA: layers by resolution, matrices
//! `[in, out]`, kernels `[h, w, in, out]`. Kernels of layers that double their map are those of
//! transposed convolutions, and style biases count from 1.

use crate::error::{Error, Kind, Result};
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Map, Value as Json};

const MATRIX: &[Change] = &[Change::Permute(&[1, 0])];
const KERNEL: &[Change] = &[Change::Permute(&[3, 2, 0, 1])];
const UP: &[Change] = &[Change::Permute(&[3, 2, 0, 1]), Change::Flip];
const STYLE_BIAS: &[Change] = &[Change::Add(1.0)];
const MAP: &[Change] = &[Change::Ones(2, 0)];

pub(super) const LAYOUT: Layout = Layout {
    name: "tensorflow",
    detect: |listing| listing.has("synthesis/4x4/Conv/mod_weight"),
    rules: &[
        Rule::name("dlatent_avg", "mapping.w_avg"),
        Rule::ignored("lod", "left from StyleGAN, without effect"),
        Rule::ignored("synthesis/lod", "left from StyleGAN, without effect"),
        Rule::name("mapping/LabelConcat/weight", "mapping.label.weight"),
        Rule::changed("mapping/LabelEmbed/weight", "mapping.embed.weight", MATRIX),
        Rule::name("mapping/LabelEmbed/bias", "mapping.embed.bias"),
        Rule::changed("mapping/Dense{n}/weight", "mapping.fc{n}.weight", MATRIX),
        Rule::name("mapping/Dense{n}/bias", "mapping.fc{n}.bias"),
        // The first map belongs to the only layer at 4×4.
        Rule::changed("synthesis/noise0", "synthesis.b4.conv1.noise_const", MAP),
        Rule::changed("synthesis/noise{n%2=0}", "synthesis.b{n/2+2^}.conv1.noise_const", MAP),
        Rule::changed("synthesis/noise{n}", "synthesis.b{n/2+3^}.conv0.noise_const", MAP),
        Rule::changed("synthesis/4x4/Const/const", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::changed("synthesis/4x4/Conv/weight", "synthesis.b4.conv1.weight", KERNEL),
        Rule::changed("synthesis/4x4/Conv/mod_weight", "synthesis.b4.conv1.affine.weight", MATRIX),
        Rule::changed("synthesis/4x4/Conv/mod_bias", "synthesis.b4.conv1.affine.bias", STYLE_BIAS),
        Rule::name("synthesis/4x4/Conv/{part}", "synthesis.b4.conv1.{part}"),
        Rule::changed("synthesis/{r}x{s}/Skip/weight", "synthesis.b{r}.skip.weight", UP),
        Rule::changed("synthesis/{r}x{s}/Conv0_up/weight", "synthesis.b{r}.conv0.weight", UP),
        Rule::changed(
            "synthesis/{r}x{s}/Conv0_up/mod_weight",
            "synthesis.b{r}.conv0.affine.weight",
            MATRIX,
        ),
        Rule::changed(
            "synthesis/{r}x{s}/Conv0_up/mod_bias",
            "synthesis.b{r}.conv0.affine.bias",
            STYLE_BIAS,
        ),
        Rule::name("synthesis/{r}x{s}/Conv0_up/{part}", "synthesis.b{r}.conv0.{part}"),
        Rule::changed("synthesis/{r}x{s}/Conv1/weight", "synthesis.b{r}.conv1.weight", KERNEL),
        Rule::changed(
            "synthesis/{r}x{s}/Conv1/mod_weight",
            "synthesis.b{r}.conv1.affine.weight",
            MATRIX,
        ),
        Rule::changed(
            "synthesis/{r}x{s}/Conv1/mod_bias",
            "synthesis.b{r}.conv1.affine.bias",
            STYLE_BIAS,
        ),
        Rule::name("synthesis/{r}x{s}/Conv1/{part}", "synthesis.b{r}.conv1.{part}"),
        Rule::changed("synthesis/{r}x{s}/ToRGB/weight", "synthesis.b{r}.torgb.weight", KERNEL),
        Rule::changed(
            "synthesis/{r}x{s}/ToRGB/mod_weight",
            "synthesis.b{r}.torgb.affine.weight",
            MATRIX,
        ),
        Rule::changed(
            "synthesis/{r}x{s}/ToRGB/mod_bias",
            "synthesis.b{r}.torgb.affine.bias",
            STYLE_BIAS,
        ),
        Rule::name("synthesis/{r}x{s}/ToRGB/bias", "synthesis.b{r}.torgb.bias"),
    ],
    settings,
};

/// The build function's arguments; those of the parts are the same.
fn settings(listing: &Listing) -> Result<Json> {
    let Some(given) = listing.config.get("static_kwargs").and_then(Json::as_object) else {
        return Ok(Json::Null);
    };
    let mut out = Map::new();
    for (key, value) in given {
        let key = match key.as_str() {
            "nonlinearity" | "mapping_nonlinearity" if value != "lrelu" => {
                let message = format!("not a StyleGAN2 that gannet can run: `{key}` is {value}");
                return Err(Error::new(Kind::Format, message).hint("\"lrelu\" is supported"));
            }
            "latent_size" => "z_dim",
            "label_size" => "c_dim",
            "dlatent_size" => "w_dim",
            "resolution" => "img_resolution",
            "num_channels" => "img_channels",
            "mapping_layers" => "mapping_layers",
            "mapping_lrmul" => "mapping_lr_multiplier",
            "architecture" => "architecture",
            "resample_kernel" => "resample_filter",
            "conv_clamp" => "conv_clamp",
            _ => continue,
        };
        if !value.is_null() {
            out.insert(key.into(), value.clone());
        }
    }
    Ok(Json::Object(out))
}
