//! Configuration of a StyleGAN: given, or read from the shapes of its tensors.

use super::refuse::refuse;
use crate::error::{Error, Kind, Result};
use crate::generator::{Layer, StyleLayer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Side of the maps from which on upsampling and convolution are fused, unless a file says
/// otherwise.
const FUSED_FROM: usize = 128;

/// Whether upsampling is fused with the convolution after it. The weights do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum FusedScale {
    /// From 128 pixels on.
    #[default]
    Auto,
    /// At all resolutions, or at none.
    Always(bool),
}

impl TryFrom<serde_json::Value> for FusedScale {
    type Error = String;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, String> {
        match value {
            serde_json::Value::Bool(yes) => Ok(Self::Always(yes)),
            serde_json::Value::String(s) if s == "auto" => Ok(Self::Auto),
            other => Err(format!("`fused_scale` is {other}: true, false or \"auto\"")),
        }
    }
}

/// Settings given for a model. Sizes are read from the tensors where they are not said; the others
/// default to the official code's.
///
/// Its JSON form uses the keys of the `gannet` manifest's `config`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Dimensions of z.
    pub z_dim: Option<usize>,
    /// Dimensions of the label, 0 for none.
    pub c_dim: Option<usize>,
    /// Dimensions of w.
    pub w_dim: Option<usize>,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Channels of the picture.
    pub img_channels: Option<usize>,
    /// Layers of the mapping network.
    pub mapping_layers: Option<usize>,
    /// Learning-rate multiplier of the mapping network.
    pub mapping_lr_multiplier: f64,
    /// Whether z (with the embedded label) is normalised.
    pub normalize_latents: bool,
    /// Level of detail, where no tensor `synthesis.lod` says it: 0 is the full picture, 0.25 has a
    /// quarter of the resolution below.
    pub lod: f64,
    /// Whether upsampling and convolution are fused.
    pub fused_scale: FusedScale,
    /// Taps of the filter after upsampling, an odd number, symmetric; empty for none.
    pub blur_filter: Vec<f64>,
    /// Whether the layers that double their map have an activation before the filter as well, as in
    /// mmgeneration.
    pub activation_before_blur: bool,
    /// Added to the variance of instance normalisation.
    pub norm_epsilon: f64,
    /// Added to the first half of a layer's styles, which scale its map.
    pub style_offset: f64,
    /// Whether weights are scaled at run time (equalised learning rate).
    pub equalized: bool,
    /// Whether the picture ends with a tanh.
    pub tanh: bool,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            name: None,
            z_dim: None,
            c_dim: None,
            w_dim: None,
            img_resolution: None,
            img_channels: None,
            mapping_layers: None,
            mapping_lr_multiplier: 0.01,
            normalize_latents: true,
            lod: 0.0,
            fused_scale: FusedScale::Auto,
            blur_filter: vec![1.0, 2.0, 1.0],
            activation_before_blur: false,
            norm_epsilon: 1e-8,
            style_offset: 1.0,
            equalized: true,
            tanh: false,
        }
    }
}

/// Configuration of a StyleGAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The settings besides sizes.
    pub given: Given,
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of the label, 0 for none.
    pub c_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// Whether a tensor holds the level of detail.
    pub stored_lod: bool,
    /// The layers, two at each resolution.
    pub layers: Vec<LayerPlan>,
    /// Of each resolution, whether its picture's weights are there.
    pub rgbs: Vec<bool>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// Its name: `b8.conv0`.
    pub name: String,
    /// Side of its map in pixels.
    pub side: usize,
    /// Channels that it reads; 0 of the first layer, which is a constant.
    pub inputs: usize,
    /// Channels of its map.
    pub outputs: usize,
    /// Whether it doubles the map that it reads.
    pub doubles: bool,
    /// Whether it has a bias.
    pub bias: bool,
    /// Strengths of its noise: as many as channels, or one; 0 without noise.
    pub noise: usize,
}

/// The side of the pictures that a file's tensors make: `None` without a second layer at 4×4.
///
/// # Errors
/// For pictures above the limit.
pub(super) fn resolution(tensors: &Listing) -> Result<Option<usize>> {
    if !tensors.has("synthesis.b4.conv1.weight") {
        return Ok(None);
    }
    let mut side = 4;
    while tensors.has(&format!("synthesis.b{}.conv1.weight", side * 2)) {
        side *= 2;
        if side > LIMITS.image_side as usize {
            let message = format!("pictures of {side} pixels a side");
            return Err(Error::new(Kind::Limit, message)
                .hint(format!("up to {} are supported", LIMITS.image_side)));
        }
    }
    Ok(Some(side))
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "StyleGAN")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, and on unsupported settings.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let resolution =
            resolution(tensors)?.ok_or_else(|| missing("synthesis.b4.conv1.weight"))?;
        let seen = Seen(tensors);
        let mapping_layers =
            (0..).take_while(|i| tensors.has(&format!("mapping.fc{i}.weight"))).count();
        let w_dim = seen.dims("synthesis.b4.conv1.affine.weight", 2)?[1];
        let inputs = match mapping_layers {
            0 => w_dim,
            _ => seen.dims("mapping.fc0.weight", 2)?[1],
        };
        let (mut c_dim, mut z_dim) = (0, inputs);
        if tensors.has("mapping.embed.weight") {
            let embed = seen.dims("mapping.embed.weight", 2)?;
            (c_dim, z_dim) = (embed[0], inputs.saturating_sub(embed[1]));
            if z_dim == 0 {
                return Err(refuse(format!("{inputs} mapping inputs leave no room for z"))
                    .hint("the embedding of its labels belongs to another mapping network"));
            }
        }
        let sides: Vec<usize> = (2..=resolution.ilog2()).map(|i| 1usize << i).collect();
        let rgb = |side: usize| format!("synthesis.b{side}.torgb.weight");
        let rgbs: Vec<bool> = sides.iter().map(|&side| tensors.has(&rgb(side))).collect();
        let pictured = sides.iter().rev().find(|&&side| tensors.has(&rgb(side)));
        let channels = seen.dims(&rgb(*pictured.unwrap_or(&resolution)), 4)?[0];
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| "stylegan".into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, z_dim)?,
            c_dim: family::agree(refuse, "c_dim", self.c_dim, c_dim)?,
            w_dim: family::agree(refuse, "w_dim", self.w_dim, w_dim)?,
            img_channels: family::agree(refuse, "img_channels", self.img_channels, channels)?,
            mapping_layers: family::agree(
                refuse,
                "mapping_layers",
                self.mapping_layers,
                mapping_layers,
            )?,
            stored_lod: tensors.has("synthesis.lod"),
            layers: seen.layers(&sides)?,
            rgbs,
            given: self.clone(),
        };
        family::agree(refuse, "img_resolution", self.img_resolution, resolution)?;
        config.check()?;
        Ok(config)
    }
}

/// The tensors of a file as the layers see them.
struct Seen<'a>(&'a Listing);

impl Seen<'_> {
    /// The sizes of a tensor that must be there.
    fn dims(&self, name: &str, rank: usize) -> Result<Vec<usize>> {
        match self.0.shape(name) {
            Some(s) if s.len() == rank && s.iter().all(|&n| n > 0) => Ok(s.to_vec()),
            Some(s) => {
                Err(refuse(format!("tensor `{name}` has shape {s:?}, expected {rank} dimensions"))
                    .hint("the file is not whole, or of a changed architecture"))
            }
            None => Err(missing(name)),
        }
    }

    fn layers(&self, sides: &[usize]) -> Result<Vec<LayerPlan>> {
        let mut layers: Vec<LayerPlan> = Vec::new();
        for &side in sides {
            for part in ["conv0", "conv1"] {
                let name = format!("b{side}.{part}");
                let of = |what: &str| format!("synthesis.{name}.{what}");
                let outputs = match layers.last() {
                    None => self.dims("synthesis.b4.const", 3)?[0],
                    Some(_) => self.dims(&of("weight"), 4)?[0],
                };
                let strengths = self.0.shape(&of("noise_strength"));
                let noise = strengths.map_or(0, |s| s.iter().product());
                if ![0, 1, outputs].contains(&noise) {
                    return Err(refuse(format!(
                        "`{}` has shape {strengths:?}",
                        of("noise_strength")
                    ))
                    .hint("one strength a channel, or one for all, is supported"));
                }
                layers.push(LayerPlan {
                    inputs: layers.last().map_or(0, |l| l.outputs),
                    outputs,
                    doubles: part == "conv0" && side > 4,
                    bias: self.0.has(&of("bias")),
                    noise,
                    name,
                    side,
                });
            }
        }
        Ok(layers)
    }
}

fn missing(name: &str) -> Error {
    refuse(format!("tensor `{name}` is missing")).hint("`gannet info` shows what the file holds")
}

impl Config {
    /// Side of the picture.
    pub fn resolution(&self) -> usize {
        self.layers.last().map_or(4, |l| l.side)
    }

    /// Whether a layer that doubles its map is fused with the upsampling.
    pub(super) fn fused(&self, plan: &LayerPlan) -> bool {
        match self.given.fused_scale {
            FusedScale::Auto => plan.side >= FUSED_FROM,
            FusedScale::Always(yes) => yes,
        }
    }

    /// The layers that read styles, in the order in which they run: each its scales, then its
    /// shifts.
    pub fn styles(&self) -> Vec<StyleLayer> {
        let style = |(row, l): (usize, &LayerPlan)| StyleLayer {
            name: l.name.clone(),
            row,
            size: 2 * l.outputs,
        };
        self.layers.iter().enumerate().map(style).collect()
    }

    /// The points that can be tapped and entered: every layer, after its styles.
    pub(super) fn points(&self) -> Vec<Layer> {
        self.layers.iter().map(|l| Layer::square(&l.name, l.outputs, l.side)).collect()
    }

    fn check(&self) -> Result<()> {
        let given = &self.given;
        if !(1..=4).contains(&self.img_channels) {
            return Err(refuse(format!("pictures of {} channels", self.img_channels))
                .hint("1 to 4 channels are supported"));
        }
        let positive = [
            ("mapping_lr_multiplier", given.mapping_lr_multiplier, "0.01"),
            ("norm_epsilon", given.norm_epsilon, "1e-8"),
        ];
        for (key, value, usual) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(format!("a `{key}` of {value}"))
                    .hint(format!("{usual} is usual, it must be above 0")));
            }
        }
        if !given.style_offset.is_finite() {
            return Err(
                refuse(format!("a `style_offset` of {}", given.style_offset)).hint("1 is usual")
            );
        }
        let taps = &given.blur_filter;
        let even = !taps.is_empty() && taps.len().is_multiple_of(2);
        let skewed = taps.iter().zip(taps.iter().rev()).any(|(a, b)| a != b);
        if even || skewed || taps.len() > 63 || !taps.iter().all(|t| t.is_finite()) {
            let first = &taps[..taps.len().min(8)];
            return Err(refuse(format!("a blur_filter of {} taps, {first:?}", taps.len()))
                .hint("[1, 2, 1] is usual: an odd number of taps, symmetric, up to 63"));
        }
        Ok(())
    }
}
