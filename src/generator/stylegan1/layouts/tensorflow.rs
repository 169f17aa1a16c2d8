//! NVIDIA's TensorFlow code: layers by resolution, matrices `[in, out]`, kernels `[h, w, in, out]`;
//! pictures are counted from the highest resolution.

use crate::error::Result;
use crate::generator::stylegan1::refuse::refuse;
use crate::weights::Listing;
use crate::weights::layout::{Change, Layout, Rule};
use serde_json::{Map, Value as Json, json};

const MATRIX: &[Change] = &[Change::Permute(&[1, 0])];
const KERNEL: &[Change] = &[Change::Permute(&[3, 2, 0, 1])];

pub(super) const LAYOUT: Layout = Layout {
    name: "tensorflow",
    detect: |listing| listing.has("synthesis/4x4/Conv/StyleMod/weight"),
    rules: &[
        Rule::name("dlatent_avg", "mapping.w_avg"),
        Rule::name("lod", "synthesis.lod"),
        Rule::ignored("synthesis/lod", "set to `lod` at every run"),
        Rule::name("mapping/LabelConcat/weight", "mapping.embed.weight"),
        Rule::changed("mapping/Dense{n}/weight", "mapping.fc{n}.weight", MATRIX),
        Rule::name("mapping/Dense{n}/bias", "mapping.fc{n}.bias"),
        Rule::changed(
            "synthesis/noise{n}",
            "synthesis.b{n/2+2^}.conv{n%2}.noise_const",
            &[Change::Ones(2, 0)],
        ),
        Rule::changed("synthesis/4x4/Const/const", "synthesis.b4.const", &[Change::Ones(1, 0)]),
        Rule::changed(
            "synthesis/4x4/Const/StyleMod/weight",
            "synthesis.b4.conv0.affine.weight",
            MATRIX,
        ),
        Rule::name("synthesis/4x4/Const/StyleMod/bias", "synthesis.b4.conv0.affine.bias"),
        Rule::name("synthesis/4x4/Const/Noise/weight", "synthesis.b4.conv0.noise_strength"),
        Rule::name("synthesis/4x4/Const/bias", "synthesis.b4.conv0.bias"),
        Rule::changed(
            "synthesis/4x4/Conv/StyleMod/weight",
            "synthesis.b4.conv1.affine.weight",
            MATRIX,
        ),
        Rule::name("synthesis/4x4/Conv/StyleMod/bias", "synthesis.b4.conv1.affine.bias"),
        Rule::name("synthesis/4x4/Conv/Noise/weight", "synthesis.b4.conv1.noise_strength"),
        Rule::changed("synthesis/4x4/Conv/weight", "synthesis.b4.conv1.weight", KERNEL),
        Rule::name("synthesis/4x4/Conv/bias", "synthesis.b4.conv1.bias"),
        Rule::changed(
            "synthesis/{r}x{s}/Conv0_up/StyleMod/weight",
            "synthesis.b{r}.conv0.affine.weight",
            MATRIX,
        ),
        Rule::name("synthesis/{r}x{s}/Conv0_up/StyleMod/bias", "synthesis.b{r}.conv0.affine.bias"),
        Rule::name(
            "synthesis/{r}x{s}/Conv0_up/Noise/weight",
            "synthesis.b{r}.conv0.noise_strength",
        ),
        Rule::changed("synthesis/{r}x{s}/Conv0_up/weight", "synthesis.b{r}.conv0.weight", KERNEL),
        Rule::name("synthesis/{r}x{s}/Conv0_up/bias", "synthesis.b{r}.conv0.bias"),
        Rule::changed(
            "synthesis/{r}x{s}/Conv1/StyleMod/weight",
            "synthesis.b{r}.conv1.affine.weight",
            MATRIX,
        ),
        Rule::name("synthesis/{r}x{s}/Conv1/StyleMod/bias", "synthesis.b{r}.conv1.affine.bias"),
        Rule::name("synthesis/{r}x{s}/Conv1/Noise/weight", "synthesis.b{r}.conv1.noise_strength"),
        Rule::changed("synthesis/{r}x{s}/Conv1/weight", "synthesis.b{r}.conv1.weight", KERNEL),
        Rule::name("synthesis/{r}x{s}/Conv1/bias", "synthesis.b{r}.conv1.bias"),
        Rule::changed("synthesis/ToRGB_lod{n}/weight", "synthesis.torgb_lod{n}.weight", KERNEL),
        Rule::name("synthesis/ToRGB_lod{n}/bias", "synthesis.torgb_lod{n}.bias"),
    ],
    settings,
};

/// Arguments whose other values give another network than the one that is run here.
const ONLY: [(&str, &str); 6] = [
    ("nonlinearity", "\"lrelu\""),
    ("mapping_nonlinearity", "\"lrelu\""),
    ("use_styles", "true"),
    ("use_instance_norm", "true"),
    ("use_pixel_norm", "false"),
    ("const_input_layer", "true"),
];

/// The build function's arguments; those of the parts are the same.
fn settings(listing: &Listing) -> Result<Json> {
    let Some(given) = listing.config.get("static_kwargs").and_then(Json::as_object) else {
        return Ok(Json::Null);
    };
    let mut out = Map::new();
    for (key, value) in given {
        let said = value.to_string();
        if let Some((_, only)) = ONLY.iter().find(|(k, only)| k == key && *only != said) {
            return Err(refuse(format!("`{key}` is {said}")).hint(format!("{only} is supported")));
        }
        let key = match key.as_str() {
            "latent_size" => "z_dim",
            "label_size" => "c_dim",
            "dlatent_size" => "w_dim",
            "resolution" => "img_resolution",
            "num_channels" => "img_channels",
            "mapping_layers" => "mapping_layers",
            "mapping_lrmul" => "mapping_lr_multiplier",
            "normalize_latents" => "normalize_latents",
            "use_wscale" => "equalized",
            "fused_scale" => "fused_scale",
            // `None` and an empty list mean no filter.
            "blur_filter" if value.is_null() => {
                out.insert("blur_filter".into(), json!([]));
                continue;
            }
            "blur_filter" => "blur_filter",
            _ => continue,
        };
        out.insert(key.into(), value.clone());
    }
    Ok(Json::Object(out))
}
