//! Configuration of a PGGAN: given, or read from the shapes of its tensors.

use super::refuse::refuse;
use crate::error::{Error, Kind, Result};
use crate::generator::layers::Epsilon;
use crate::generator::{Layer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

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
    /// Dimensions of the label, 0 for none: the last inputs of the first layer.
    pub c_dim: usize,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Channels of the picture.
    pub img_channels: Option<usize>,
    /// Level of detail, where no tensor `lod` says it: 0 is the full picture, 0.25 has a quarter of
    /// the resolution below.
    pub lod: f64,
    /// Whether z (and the label) is normalised.
    pub normalize_latents: bool,
    /// Whether z is normalised once before the label is put beside it, as genforce does.
    pub normalize_z: bool,
    /// Whether features are normalised after each activation.
    pub pixel_norm: bool,
    /// Added to the root mean square that features are divided by, as mmgeneration does, in place
    /// of 1e-8 to the mean square.
    pub norm_offset: Option<f64>,
    /// Slope of the leaky ReLU below zero.
    pub slope: f64,
    /// Whether weights are scaled at run time (equalised learning rate).
    pub equalized: bool,
    /// Whether biases are scaled like the weights, as `pytorch_GAN_zoo` does.
    pub scaled_biases: bool,
    /// Whether the scale of a layer that doubles its map counts the channels that it makes, as the
    /// transposed convolutions of mmgeneration do.
    pub scaled_by_outputs: bool,
    /// Whether the picture ends with a tanh.
    pub tanh: bool,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            name: None,
            z_dim: None,
            c_dim: 0,
            img_resolution: None,
            img_channels: None,
            lod: 0.0,
            normalize_latents: true,
            normalize_z: false,
            pixel_norm: true,
            norm_offset: None,
            slope: 0.2,
            equalized: true,
            scaled_biases: false,
            scaled_by_outputs: false,
            tanh: false,
        }
    }
}

/// Configuration of a PGGAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The settings besides sizes.
    pub given: Given,
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Whether a tensor holds the level of detail.
    pub stored_lod: bool,
    /// The resolutions, from 4×4 on.
    pub blocks: Vec<Block>,
}

/// Two layers at one resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Side of its maps.
    pub side: usize,
    /// Channels that it reads; of the first block, the numbers of z and label.
    pub inputs: usize,
    /// Channels after its first and its second layer.
    pub outputs: [usize; 2],
    /// Whether its picture's weights are there.
    pub rgb: bool,
}

impl Block {
    /// The names of its layers.
    pub fn layers(&self) -> [String; 2] {
        let names = if self.side == 4 { ["dense", "conv"] } else { ["conv0", "conv1"] };
        names.map(|name| format!("b{}.{name}", self.side))
    }
}

/// The side of the pictures that a file's tensors make: `None` without a second layer at 4×4.
///
/// # Errors
/// For pictures above the limit.
pub(super) fn resolution(tensors: &Listing) -> Result<Option<usize>> {
    if !tensors.has("b4.conv.weight") {
        return Ok(None);
    }
    let mut side = 4;
    while tensors.has(&format!("b{}.conv1.weight", side * 2)) {
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
        family::parse(json, "PGGAN")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, and on unsupported settings.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let resolution = resolution(tensors)?.ok_or_else(|| {
            refuse("tensor `b4.conv.weight` is missing".into())
                .hint("`gannet info` shows what the file holds")
        })?;
        // Outputs and inputs; the first layer has 16 outputs for each of its channels.
        let shape = |name: &str| match tensors.shape(name) {
            Some(&[o, i, h, w]) if o > 0 && i > 0 && h > 0 && w > 0 => Ok([o, i]),
            Some(&[o, i]) if o > 0 && i > 0 && o % 16 == 0 => Ok([o / 16, i]),
            Some(s) => Err(refuse(format!("tensor `{name}` has shape {s:?}"))
                .hint("the weight of a convolution, or `[16·O, I]` of the first layer, is needed")),
            None => Err(refuse(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")),
        };
        let mut blocks = Vec::new();
        for side in (2..=resolution.ilog2()).map(|i| 1usize << i) {
            let rgb = tensors.has(&format!("b{side}.torgb.weight"));
            let mut block = Block { side, inputs: 0, outputs: [0; 2], rgb };
            let [first, second] = block.layers().map(|layer| shape(&format!("{layer}.weight")));
            let ([inner, inputs], [outer, _]) = (first?, second?);
            (block.inputs, block.outputs) = (inputs, [inner, outer]);
            blocks.push(block);
        }
        let inputs = blocks.first().map_or(0, |b| b.inputs);
        let z_dim = inputs.checked_sub(self.c_dim).filter(|&z| z > 0).ok_or_else(|| {
            refuse(format!("{inputs} inputs leave no room for z beside {} labels", self.c_dim))
                .hint("correct `c_dim` in the settings")
        })?;
        let pictured = blocks.iter().rev().find(|b| b.rgb).ok_or_else(|| {
            refuse("no `b….torgb.weight` makes a picture".into())
                .hint("`gannet info` shows what the file holds")
        })?;
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| "pggan".into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, z_dim)?,
            img_channels: family::agree(
                refuse,
                "img_channels",
                self.img_channels,
                shape(&format!("b{}.torgb.weight", pictured.side))?[0],
            )?,
            stored_lod: tensors.has("lod"),
            blocks,
            given: self.clone(),
        };
        family::agree(refuse, "img_resolution", self.img_resolution, resolution)?;
        config.check()?;
        Ok(config)
    }
}

impl Config {
    /// Side of the picture.
    pub fn resolution(&self) -> usize {
        self.blocks.last().map_or(4, |b| b.side)
    }

    /// What keeps the norms of its features from dividing by zero.
    pub(super) fn epsilon(&self) -> Epsilon {
        self.given.norm_offset.map_or(Epsilon::USUAL, Epsilon::Outside)
    }

    /// The points that can be tapped and entered: every layer, after its norm.
    pub(super) fn points(&self) -> Vec<Layer> {
        let of = |block: &Block| {
            let layers = block.layers().into_iter().zip(block.outputs);
            let point = |(name, channels)| Layer::square(name, channels, block.side);
            layers.map(point).collect::<Vec<_>>()
        };
        self.blocks.iter().flat_map(of).collect()
    }

    fn check(&self) -> Result<()> {
        if !(1..=4).contains(&self.img_channels) {
            return Err(refuse(format!("pictures of {} channels", self.img_channels))
                .hint("1 to 4 channels are supported"));
        }
        if self.given.norm_offset.is_some_and(|e| !(e.is_finite() && e > 0.0)) {
            return Err(refuse(format!("a `norm_offset` of {:?}", self.given.norm_offset))
                .hint("1e-5 is usual where there is one"));
        }
        let slope = self.given.slope;
        if !(0.0..=1.0).contains(&slope) {
            return Err(refuse(format!("a `slope` of {slope}")).hint("0.2 is usual, 0 is a ReLU"));
        }
        Ok(())
    }
}
