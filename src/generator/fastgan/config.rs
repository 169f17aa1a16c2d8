//! Configuration of a FastGAN: given, or read from the names and shapes of its tensors.

use super::layouts::NAME;
use crate::error::{Error, Kind, Result};
use crate::generator::{Layer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Pixels of a side of the first map.
pub(super) const FIRST: usize = 4;
/// Steps from the level that a channel-wise excitation reads to the level that it multiplies.
pub(super) const EXCITED: usize = 4;

/// Settings given for a model; missing ones are read from the tensors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Dimensions of z.
    pub z_dim: Option<usize>,
    /// Number of classes; the table of the classes may have more rows.
    pub c_dim: Option<usize>,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Whether z is brought to a mean square of 1, as projected GAN does; no when not said.
    pub normalize_z: bool,
    /// Whether the picture passes a tanh; only at 1024 pixels when not said.
    pub tanh: Option<bool>,
}

/// Configuration of a FastGAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Number of classes, 0 for none.
    pub c_dim: usize,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Whether z is brought to a mean square of 1.
    pub normalize_z: bool,
    /// Whether the picture passes a tanh.
    pub tanh: bool,
    /// Channels of the first map, 4×4.
    pub first: usize,
    /// The blocks after it; each doubles the side.
    pub blocks: Vec<BlockPlan>,
}

/// A block: doubling, then one convolution or two.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Its name: `feat_8`.
    pub name: String,
    /// Side of its map.
    pub side: usize,
    /// Channels of its map.
    pub channels: usize,
    /// Its convolutions; the first reads the doubled map.
    pub convs: Vec<ConvPlan>,
    /// Whether the map is multiplied by factors that a map of a sixteenth of the side gives.
    pub excited: bool,
}

/// A convolution with its norm and its gate.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvPlan {
    /// Module of its weight.
    pub weight: String,
    /// Module of its batch norm.
    pub norm: String,
    /// Whether the batch norm's gain and bias come from the class.
    pub by_class: bool,
    /// Tensor of its noise's strength.
    pub noise: Option<String>,
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels after the gate.
    pub outputs: usize,
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "FastGAN")
    }

    /// Completes the settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, when a tensor is missing, and on sizes that are not
    /// supported.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let Some(&[z_dim, doubled, FIRST, FIRST]) = weight(tensors, "init.init.0") else {
            return Err(refuse("`init.init.0` has no weight [z, 2C, 4, 4]".into()));
        };
        let Some(&[channels, last, ..]) = weight(tensors, "to_big") else {
            return Err(refuse("`to_big` has no weight [C, I, k, k]".into()));
        };
        let first = halved("init.init.0", doubled)?;
        let mut blocks = blocks(tensors, first)?;
        let ends = self.end(&blocks, last)?;
        blocks.truncate(ends);
        let side = FIRST << ends;
        let rows = tensors.shape("embed.weight").map_or(0, |shape| shape[0]);
        let c_dim = self.c_dim.unwrap_or(rows);
        if c_dim > rows || (rows > 0 && c_dim == 0) {
            let message = format!("`c_dim` is {c_dim}, the table `embed` has {rows} rows");
            return Err(refuse(message));
        }
        if !(1..=4).contains(&channels) {
            return Err(refuse(format!("pictures of {channels} channels; 1 to 4 are supported")));
        }
        Ok(Config {
            name: self.name.clone().unwrap_or_else(|| NAME.into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, z_dim)?,
            c_dim,
            img_channels: channels,
            normalize_z: self.normalize_z,
            tanh: self.tanh.unwrap_or(side == 1024),
            first,
            blocks,
        })
    }

    /// Number of blocks up to the picture: a file may hold larger ones that its code never runs.
    fn end(&self, blocks: &[BlockPlan], channels: usize) -> Result<usize> {
        let fits = |b: &BlockPlan| {
            b.channels == channels && self.img_resolution.is_none_or(|side| side == b.side)
        };
        let found = blocks.iter().rposition(fits).map(|i| i + 1);
        found.ok_or_else(|| {
            let said = self.img_resolution.map_or_else(String::new, |r| format!(" of {r} pixels"));
            refuse(format!("no block{said} has the {channels} channels that `to_big` reads"))
        })
    }
}

impl Config {
    /// Side of the picture.
    pub fn side(&self) -> usize {
        FIRST << self.blocks.len()
    }

    /// The convolutions with noise, and the sides of their maps, in the order in which they run.
    pub(super) fn noise_sizes(&self) -> Vec<[usize; 2]> {
        let noisy = |b: &BlockPlan| b.convs.iter().filter(|c| c.noise.is_some()).count();
        self.blocks.iter().flat_map(|b| vec![[b.side; 2]; noisy(b)]).collect()
    }

    /// The points that can be tapped and entered: the first map, and the end of every block.
    pub(super) fn points(&self) -> Vec<Layer> {
        let first = Layer::square("init", self.first, FIRST);
        let blocks = self.blocks.iter().map(|b| Layer::square(&b.name, b.channels, b.side));
        std::iter::once(first).chain(blocks).collect()
    }

    /// Whether a tensor belongs to what runs; a file may hold blocks beyond the picture.
    pub(super) fn runs(&self, name: &str) -> bool {
        let number = |part: &str| name.strip_prefix(part)?.split('.').next()?.parse::<usize>().ok();
        let side = number("feat_").or_else(|| number("se_"));
        side.is_none_or(|side| side <= self.side())
    }
}

/// The blocks in the file, from 8 pixels on.
fn blocks(tensors: &Listing, first: usize) -> Result<Vec<BlockPlan>> {
    let modules: BTreeSet<&str> =
        tensors.tensors.keys().filter_map(|name| name.split('.').next()).collect();
    let (mut all, mut inputs) = (Vec::new(), first);
    loop {
        let side = FIRST << (all.len() + 1);
        let name = format!("feat_{side}");
        if !modules.contains(name.as_str()) {
            return Ok(all);
        }
        if side > LIMITS.image_side as usize {
            return Err(refuse(format!("pictures of {side} pixels are larger than supported")));
        }
        let convs = convs(tensors, &name, inputs)?;
        let channels = convs.last().map_or(0, |c: &ConvPlan| c.outputs);
        let excited = modules.contains(format!("se_{side}").as_str());
        if excited && all.len() + 1 < EXCITED {
            return Err(refuse(format!("`se_{side}` has no map of a sixteenth of its side")));
        }
        inputs = channels;
        all.push(BlockPlan { name, side, channels, convs, excited });
    }
}

/// The convolutions of a block, in one of four forms: numbered modules of a sequence, or named ones
/// whose batch norm depends on the class; each with one convolution, or with two and noise.
fn convs(tensors: &Listing, block: &str, inputs: usize) -> Result<Vec<ConvPlan>> {
    let has = |module: &str| weight(tensors, &format!("{block}.{module}")).is_some();
    let numbered = |at: usize| tensors.has(&format!("{block}.{at}.running_mean"));
    type Form = &'static [(&'static str, &'static str, Option<&'static str>)];
    let (form, by_class): (Form, bool) = match () {
        () if has("conv1") => {
            (&[("conv1", "bn1", Some("noise")), ("conv2", "bn2", Some("noise"))], true)
        }
        () if has("conv") => (&[("conv", "bn", None)], true),
        () if numbered(2) => (&[("1", "2", None)], false),
        () if numbered(3) && numbered(7) => {
            (&[("1", "3", Some("2")), ("5", "7", Some("6"))], false)
        }
        () => return Err(refuse(format!("the modules of `{block}` are not of a known form"))),
    };
    let mut inputs = inputs;
    let plan = |(conv, norm, noise): &(&str, &str, Option<&str>)| {
        let name = format!("{block}.{conv}");
        let Some(&[doubled, read, k, w]) = weight(tensors, &name) else {
            return Err(refuse(format!("`{name}` has no weight [O, I, k, k]")));
        };
        if read != inputs || k != w || k % 2 == 0 {
            let found = [doubled, read, k, w];
            return Err(refuse(format!("`{name}` has a weight {found:?} after {inputs} channels")));
        }
        let outputs = halved(&name, doubled)?;
        inputs = outputs;
        Ok(ConvPlan {
            weight: name,
            norm: format!("{block}.{norm}"),
            by_class,
            noise: noise.map(|part| format!("{block}.{part}.weight")),
            inputs: read,
            outputs,
        })
    };
    form.iter().map(plan).collect()
}

/// The shape of a module's weight, with spectral norm or without.
fn weight<'a>(tensors: &'a Listing, module: &str) -> Option<&'a [usize]> {
    let of = |part: &str| tensors.shape(&format!("{module}.{part}"));
    of("weight_orig").or_else(|| of("weight"))
}

/// Channels after a gated unit.
fn halved(name: &str, channels: usize) -> Result<usize> {
    match channels {
        0 => Err(refuse(format!("`{name}` has no outputs"))),
        odd if odd % 2 == 1 => Err(refuse(format!("`{name}` has {odd} outputs, an odd number"))),
        even => Ok(even / 2),
    }
}

/// Refuses a file or its settings; the message says what is wrong with them.
pub(super) fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a FastGAN that gannet can run: {message}"))
        .hint("`gannet info` shows what the file holds")
}
