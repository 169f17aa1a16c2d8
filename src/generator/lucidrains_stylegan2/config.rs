//! Configuration of a StyleGAN2 by lucidrains: given, or read from the names and shapes of its
//! tensors.

use super::layouts::NAME;
use crate::error::{Error, Kind, Result};
use crate::generator::{Layer, StyleLayer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Pixels of a side of the first map.
pub(super) const FIRST: usize = 4;

/// Settings given for a model; the tensors say the rest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Learning-rate multiplier of the mapping network, 0.1 when not said.
    pub mapping_lr_multiplier: Option<f64>,
}

/// Configuration of a StyleGAN2 by lucidrains.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z and of w.
    pub dim: usize,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// Learning-rate multiplier of the mapping network.
    pub mapping_lr_multiplier: f64,
    /// Channels of the picture: 3, or 4 with an opacity.
    pub img_channels: usize,
    /// Channels of the first map.
    pub first: usize,
    /// Whether the first map is made from the mean of the styles, in place of a constant.
    pub no_const: bool,
    /// The blocks; each but the first doubles the side.
    pub blocks: Vec<BlockPlan>,
}

/// A block: attention, doubling, two convolutions, its part of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Its name: `blocks.0`.
    pub name: String,
    /// Side of its map.
    pub side: usize,
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels of its map.
    pub channels: usize,
    /// Module of the attention that its input passes.
    pub attention: Option<String>,
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "StyleGAN2 (lucidrains)")
    }

    /// Completes the settings from the tensors.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the one before it, and on an older network.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let layers = (0..).take_while(|i| tensors.has(&format!("mapping.fc{i}.weight"))).count();
        let Some(&[dim, inputs]) = tensors.shape("mapping.fc0.weight") else {
            return Err(refuse("`mapping.fc0.weight` is missing".into()));
        };
        if dim != inputs {
            return Err(refuse(format!("z has {inputs} dimensions and w {dim}")));
        }
        let lr = self.mapping_lr_multiplier.unwrap_or(0.1);
        if !(lr.is_finite() && lr > 0.0) {
            return Err(refuse(format!("`mapping_lr_multiplier` is {lr}")));
        }
        let Some(&[first, read, 3, 3]) = tensors.shape("synthesis.initial_conv.weight") else {
            return Err(refuse("`initial_conv` is missing: versions before 0.20 lack it".into()));
        };
        let no_const = tensors.has("synthesis.to_initial_block.weight");
        if first != read {
            return Err(refuse(format!("`initial_conv` makes {first} channels of {read}")));
        }
        let (mut blocks, mut inputs, mut colours) = (Vec::new(), first, None);
        while tensors.has(&format!("synthesis.blocks.{}.conv1.weight", blocks.len())) {
            let (block, channels) = block(tensors, blocks.len(), inputs)?;
            if block.side > LIMITS.image_side as usize {
                return Err(refuse(format!("pictures of {} pixels are too large", block.side)));
            }
            if colours.is_some_and(|c| c != channels) || !(3..=4).contains(&channels) {
                return Err(refuse(format!("`{}` makes {channels} colours", block.name)));
            }
            (inputs, colours) = (block.channels, Some(channels));
            blocks.push(block);
        }
        let Some(img_channels) = colours else {
            return Err(refuse("it has no blocks".into()));
        };
        Ok(Config {
            name: self.name.clone().unwrap_or_else(|| NAME.into()),
            dim,
            mapping_layers: layers,
            mapping_lr_multiplier: lr,
            img_channels,
            first,
            no_const,
            blocks,
        })
    }
}

impl Config {
    /// Side of the picture.
    pub fn side(&self) -> usize {
        self.blocks.last().map_or(FIRST, |b| b.side)
    }

    /// The layers that read styles, each block those of one row.
    pub(super) fn styles(&self) -> Vec<StyleLayer> {
        if self.no_const {
            return Vec::new();
        }
        let of = |(row, b): (usize, &BlockPlan)| {
            [("conv1", b.inputs), ("conv2", b.channels), ("to_rgb", b.channels)]
                .map(|(part, size)| StyleLayer { name: format!("{}.{part}", b.name), row, size })
        };
        self.blocks.iter().enumerate().flat_map(of).collect()
    }

    /// The points that can be tapped and entered: both convolutions of every block.
    pub(super) fn points(&self) -> Vec<Layer> {
        let of = |b: &BlockPlan| {
            ["conv1", "conv2"]
                .map(|part| Layer::square(format!("{}.{part}", b.name), b.channels, b.side))
        };
        self.blocks.iter().flat_map(of).collect()
    }
}

/// The plan of block `i`, which reads `inputs` channels, and the colours of its picture.
fn block(tensors: &Listing, i: usize, inputs: usize) -> Result<(BlockPlan, usize)> {
    let name = format!("blocks.{i}");
    let shape = |part: &str| tensors.shape(&format!("synthesis.{name}.{part}.weight"));
    let (Some(&[channels, read, 3, 3]), Some(&[colours, _, 1, 1])) =
        (shape("conv1"), shape("to_rgb.conv"))
    else {
        return Err(refuse(format!("`{name}` is not two 3×3 convolutions and a picture")));
    };
    if read != inputs {
        return Err(refuse(format!("`{name}.conv1` reads {read} channels, not {inputs}")));
    }
    let attention = format!("attns.{i}");
    let prefix = format!("synthesis.{attention}.");
    let attends = tensors.tensors.keys().any(|name| name.starts_with(&prefix));
    if attends && !tensors.has(&format!("{prefix}0.fn.norm.g")) {
        return Err(refuse(format!("`{attention}` is attention of an older version")));
    }
    let side = FIRST.checked_shl(i as u32).unwrap_or(usize::MAX);
    let attention = attends.then_some(attention);
    Ok((BlockPlan { name, side, inputs, channels, attention }, colours))
}

/// Refuses a file; the message says what is wrong with it.
pub(super) fn refuse(message: String) -> Error {
    let message = format!("not a StyleGAN2 of lucidrains that gannet can run: {message}");
    Error::new(Kind::Format, message)
        .hint("`gannet info` shows what the file holds; versions from 1.1 of the package run")
}
