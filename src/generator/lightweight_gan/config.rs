//! Configuration of a lightweight GAN, read from the names and shapes of its tensors.

use super::layouts::NAME;
use crate::error::{Error, Kind, Result};
use crate::generator::{Layer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Pixels of a side of the first map.
pub(super) const FIRST: usize = 4;
/// Blocks from the one whose map gives factors to the one whose map they multiply.
pub(super) const EXCITED: usize = 3;

/// Settings given for a model; the tensors say the rest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
}

/// Configuration of a lightweight GAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Channels of the picture: 1, 3 or 4.
    pub img_channels: usize,
    /// Channels of the first map, 4×4.
    pub first: usize,
    /// The blocks after it; each doubles the side.
    pub blocks: Vec<BlockPlan>,
}

/// A block: attention, doubling, a convolution with its gate.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Its name: `layers.0`.
    pub name: String,
    /// Side of its map.
    pub side: usize,
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels between doubling and convolution.
    pub doubled: usize,
    /// Channels of its map.
    pub channels: usize,
    /// Side of the convolution's kernel.
    pub kernel: usize,
    /// Module of the convolution, below `name.0`.
    pub conv: &'static str,
    /// Module of the batch norm, below `name.0`.
    pub norm: &'static str,
    /// Whether it adds noise.
    pub noisy: bool,
    /// Whether a 1×1 convolution makes the four pixels of each pixel, in place of repeating it.
    pub shuffles: bool,
    /// Whether the doubled map is blurred.
    pub blurs: bool,
    /// Whether its input passes attention.
    pub attends: bool,
    /// How its map gives factors for the channels of a map 8 times as large.
    pub excites: Option<Excites>,
}

/// How a map becomes one number a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excites {
    /// Its mean, weighted by attention (global context, Cao et al. 2020).
    Context,
    /// Its cosine transform at one frequency a channel (Qin et al. 2020, FcaNet).
    Frequency,
}

/// Modules of a block's sequence in the versions of the code: doubling, blur, convolution, noise,
/// norm.
const FORMS: [(&str, &str, bool); 3] = [("2.1", "4", true), ("2", "4", true), ("2", "3", false)];

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "lightweight GAN")
    }

    /// The configuration that the tensors show.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the one before it, and on an older network.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let Some(&[z_dim, doubled, FIRST, FIRST]) = tensors.shape("initial_conv.0.weight") else {
            return Err(refuse("`initial_conv.0.weight` is not [z, 2C, 4, 4]".into()));
        };
        let Some(&[img_channels, last, _, _]) = tensors.shape("out_conv.weight") else {
            return Err(refuse("`out_conv.weight` is not [C, I, k, k]".into()));
        };
        let first = halved("initial_conv.0", doubled)?;
        let (mut blocks, mut inputs) = (Vec::new(), first);
        let has_block = |i: usize| {
            let prefix = format!("layers.{i}.");
            tensors.tensors.keys().any(|name| name.starts_with(&prefix))
        };
        while has_block(blocks.len()) {
            let block = block(tensors, blocks.len(), inputs)?;
            if block.side > LIMITS.image_side as usize {
                return Err(refuse(format!("pictures of {} pixels are too large", block.side)));
            }
            inputs = block.channels;
            blocks.push(block);
        }
        if blocks.is_empty() || inputs != last || !(1..=4).contains(&img_channels) {
            return Err(refuse(format!(
                "`out_conv` makes {img_channels} channels of {last}, the last block has {inputs}"
            )));
        }
        let end = blocks.len();
        if blocks.iter().enumerate().any(|(i, b)| b.excites.is_some() && i + EXCITED >= end) {
            return Err(refuse("an excitation has no block that it multiplies".into()));
        }
        let name = self.name.clone().unwrap_or_else(|| NAME.into());
        Ok(Config { name, z_dim, img_channels, first, blocks })
    }
}

impl Config {
    /// Side of the picture.
    pub fn side(&self) -> usize {
        FIRST << self.blocks.len()
    }

    /// Sides of the noise maps, in the order in which they are read.
    pub(super) fn noise_sizes(&self) -> Vec<[usize; 2]> {
        self.blocks.iter().filter(|b| b.noisy).map(|b| [b.side; 2]).collect()
    }

    /// The points that can be tapped and entered: the first map, and the map of every block before
    /// its channels are multiplied.
    pub(super) fn points(&self) -> Vec<Layer> {
        let first = Layer::square("initial_conv", self.first, FIRST);
        let blocks = self.blocks.iter().map(|b| Layer::square(&b.name, b.channels, b.side));
        std::iter::once(first).chain(blocks).collect()
    }
}

/// The plan of block `i`, which reads `inputs` channels.
fn block(tensors: &Listing, i: usize, inputs: usize) -> Result<BlockPlan> {
    let name = format!("layers.{i}");
    let has = |part: &str| tensors.has(&format!("{name}.{part}"));
    let fits = |(conv, norm, _): &&(&str, &str, bool)| {
        has(&format!("0.{conv}.weight")) && has(&format!("0.{norm}.running_mean"))
    };
    let Some(&(conv, norm, noisy)) = FORMS.iter().find(fits) else {
        return Err(refuse(format!("the modules of `{name}.0` are not of a known form")));
    };
    let shuffles = has("0.0.net.0.weight");
    let doubled = match tensors.shape(&format!("{name}.0.0.net.0.weight")) {
        Some(&[four, read, 1, 1]) if read == inputs && four % 4 == 0 => four / 4,
        Some(found) => {
            let message = format!("`{name}.0.0.net.0.weight` is {found:?} after {inputs} channels");
            return Err(refuse(message));
        }
        None => inputs,
    };
    let Some(&[outputs, read, kernel, _]) = tensors.shape(&format!("{name}.0.{conv}.weight"))
    else {
        return Err(refuse(format!("`{name}.0.{conv}.weight` is not [O, I, k, k]")));
    };
    if read != doubled {
        return Err(refuse(format!("`{name}.0.{conv}` reads {read} channels, not {doubled}")));
    }
    let attends = has("2.norm.g") && has("2.fn.to_out.weight");
    let prefix = format!("{name}.2.");
    if !attends && tensors.tensors.keys().any(|tensor| tensor.starts_with(&prefix)) {
        return Err(refuse(format!("`{name}.2` is attention of an older version")));
    }
    let excites = match () {
        () if has("1.to_k.weight") => Some(Excites::Context),
        () if has("1.dct_weights") => Some(Excites::Frequency),
        () => None,
    };
    Ok(BlockPlan {
        side: (2 * FIRST).checked_shl(i as u32).unwrap_or(usize::MAX),
        inputs,
        doubled,
        channels: halved(&name, outputs)?,
        kernel,
        conv,
        norm,
        noisy,
        shuffles,
        blurs: has("0.1.f"),
        attends,
        excites,
        name,
    })
}

/// Channels after a gated unit.
fn halved(name: &str, channels: usize) -> Result<usize> {
    if channels == 0 || channels % 2 == 1 {
        return Err(refuse(format!("`{name}` has {channels} outputs, which a gate cannot halve")));
    }
    Ok(channels / 2)
}

/// Refuses a file; the message says what is wrong with it.
pub(super) fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a lightweight GAN that gannet can run: {message}"))
        .hint("`gannet info` shows what the file holds; versions from 0.16 of the package run")
}
