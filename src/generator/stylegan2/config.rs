//! Configuration of a StyleGAN2: given, or read from the shapes of its tensors.

use crate::error::{Error, Kind, Result};
use crate::generator::layers::{BESIDE, MappingSizes};
use crate::generator::{StyleLayer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::{Deserialize, Serialize};

/// Connection of the blocks of the synthesis network (Karras et al. 2020, figure 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A picture at every resolution, upsampled and summed.
    #[default]
    Skip,
    /// Residual blocks and one picture at the end.
    Resnet,
    /// Plain blocks and one picture at the end.
    Orig,
}

/// Settings given for a model, each optional: missing ones are read from the tensors.
///
/// Its JSON form uses the keys of the `gannet` manifest's `config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Number of the last block: the side of a square picture, the height of most others.
    pub img_resolution: Option<usize>,
    /// Channels of the picture.
    pub img_channels: Option<usize>,
    /// Layers of a W+ code.
    pub num_ws: Option<usize>,
    /// Layers of the mapping network.
    pub mapping_layers: Option<usize>,
    /// Learning-rate multiplier of the mapping network, 0.01 when not said.
    pub mapping_lr_multiplier: Option<f64>,
    /// Connection of the blocks.
    pub architecture: Option<Architecture>,
    /// Taps of the resampling filter, `[1, 3, 3, 1]` when not said.
    pub resample_filter: Option<Vec<f64>>,
    /// Limit of the activations, `None` if not given.
    pub conv_clamp: Option<f64>,
}

/// One block of the synthesis network: its name and the size of its maps.
///
/// A block is called after the number that its file gives it, twice that of the block before. Code
/// bases that draw rectangles number by height (StyleGAN-Human), or as if the picture were square.
/// The sizes do not follow from the number: they are those of the constant, doubled by every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Number in its name: 8 of `synthesis.b8`.
    pub number: usize,
    /// Height of its maps.
    pub height: usize,
    /// Width of its maps.
    pub width: usize,
}

/// Configuration of a StyleGAN2.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of the label, 0 for none.
    pub c_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Number in the name of the last block: the side of a square picture from 4×4.
    pub img_resolution: usize,
    /// The blocks, from the lowest resolution on.
    pub blocks: Vec<Size>,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Layers of a W+ code: two a block.
    pub num_ws: usize,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// Learning-rate multiplier of the mapping network.
    pub mapping_lr_multiplier: f64,
    /// Connection of the blocks.
    pub architecture: Architecture,
    /// Taps of the resampling filter; none said: those that the tensors hold, or `[1, 3, 3, 1]`.
    pub resample_filter: Option<Vec<f64>>,
    /// Limit of the activations.
    pub conv_clamp: Option<f64>,
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "StyleGAN2")
    }

    /// Completes the given settings from the tensors.
    ///
    /// Errors where both speak and disagree, and on what is not supported.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let c = self.complete_features(tensors)?;
        if !(1..=4).contains(&c.img_channels) {
            return Err(refuse(format!("pictures of {} channels", c.img_channels))
                .hint("1 to 4 channels are supported"));
        }
        Ok(c)
    }

    /// As [`Given::complete`] for a network whose pictures are features, of any number of channels.
    pub(in crate::generator) fn complete_features(&self, tensors: &Listing) -> Result<Config> {
        let seen = Seen::look(tensors)?;
        let resolution = seen.blocks.last().map_or(0, |b| b.number);
        let c = Config {
            name: self.name.clone().unwrap_or_else(|| "stylegan2".into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, seen.z_dim)?,
            c_dim: family::agree(refuse, "c_dim", self.c_dim, seen.c_dim)?,
            w_dim: family::agree(refuse, "w_dim", self.w_dim, seen.w_dim)?,
            img_resolution: family::agree(
                refuse,
                "img_resolution",
                self.img_resolution,
                resolution,
            )?,
            img_channels: family::agree(refuse, "img_channels", self.img_channels, seen.channels)?,
            num_ws: family::agree(refuse, "num_ws", self.num_ws, 2 * seen.blocks.len())?,
            mapping_layers: family::agree(
                refuse,
                "mapping_layers",
                self.mapping_layers,
                seen.mapping_layers,
            )?,
            mapping_lr_multiplier: self.mapping_lr_multiplier.unwrap_or(0.01),
            // A single block is the same in all three.
            architecture: match self.architecture {
                Some(said) if seen.blocks.len() == 1 => said,
                said => family::agree(refuse, "architecture", said, seen.architecture)?,
            },
            resample_filter: self.resample_filter.clone(),
            conv_clamp: self.conv_clamp,
            blocks: seen.blocks,
        };
        c.check()?;
        Ok(c)
    }
}

fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a StyleGAN2 that gannet can run: {message}"))
}

impl Config {
    fn check(&self) -> Result<()> {
        if !(self.mapping_lr_multiplier.is_finite() && self.mapping_lr_multiplier > 0.0) {
            return Err(refuse(format!(
                "a mapping_lr_multiplier of {}",
                self.mapping_lr_multiplier
            ))
            .hint("0.01 is usual"));
        }
        if self.conv_clamp.is_some_and(|c| c.is_nan() || c <= 0.0) {
            return Err(
                refuse(format!("a conv_clamp of {:?}", self.conv_clamp)).hint("use null for none")
            );
        }
        if let Some(taps) = &self.resample_filter {
            let usable = taps.len() <= 64
                && taps.iter().all(|t| t.is_finite())
                && taps.iter().sum::<f64>().is_normal();
            if !usable {
                let first = &taps[..taps.len().min(8)];
                return Err(refuse(format!("a resample_filter of {} taps, {first:?}", taps.len()))
                    .hint("[1, 3, 3, 1] is usual; up to 64 taps whose sum is not zero"));
            }
        }
        Ok(())
    }

    /// Sizes of the mapping network.
    pub(in crate::generator) fn mapping(&self) -> MappingSizes {
        MappingSizes {
            z_dim: self.z_dim,
            c_dim: self.c_dim,
            w_dim: self.w_dim,
            layers: self.mapping_layers,
            lr: self.mapping_lr_multiplier,
        }
    }

    /// The layers that read styles, in the order in which they run, by the shapes of their affine
    /// maps.
    ///
    /// A block's picture shares its row with the first layer of the next block.
    pub fn styles(&self, tensors: &Listing) -> Vec<StyleLayer> {
        let mut all = Vec::new();
        let mut row = 0;
        for block in &self.blocks {
            for layer in ["conv0", "conv1", "torgb"] {
                let name = format!("b{}.{layer}", block.number);
                let affine = tensors.shape(&format!("synthesis.{name}.affine.weight"));
                if let Some(&size) = affine.and_then(|s| s.first()) {
                    all.push(StyleLayer { name, row, size });
                    row += usize::from(layer != "torgb");
                }
            }
        }
        all
    }

    /// Height and width of the pictures.
    pub fn size(&self) -> [usize; 2] {
        self.blocks.last().map_or([0; 2], |b| [b.height, b.width])
    }
}

/// Settings read from the tensors.
struct Seen {
    z_dim: usize,
    c_dim: usize,
    w_dim: usize,
    blocks: Vec<Size>,
    channels: usize,
    mapping_layers: usize,
    architecture: Architecture,
}

/// The number of the first block: that of the one constant.
fn first_block(t: &Listing) -> Result<usize> {
    let number =
        |name: &String| name.strip_prefix("synthesis.b")?.strip_suffix(".const")?.parse().ok();
    match t.tensors.keys().filter_map(number).collect::<Vec<u32>>()[..] {
        [first @ (1..)] => Ok(first as usize),
        [] => Err(refuse("tensor `synthesis.b4.const` is missing".into())
            .hint("`gannet info` shows what the file holds")),
        _ => Err(refuse("it has several first blocks".into())
            .hint("a synthesis network begins with one constant")),
    }
}

/// The blocks, from that of the constant on.
fn blocks(t: &Listing, [height, width]: [usize; 2]) -> Result<Vec<Size>> {
    let first = first_block(t)?;
    if t.has(&format!("synthesis.b{first}.conv0.weight")) {
        return Err(refuse(format!(
            "its first block b{first} has a constant and two convolutions"
        ))
        .hint("a first block has one"));
    }
    let side = LIMITS.image_side as usize;
    let mut next = Size { number: first, height, width };
    let mut blocks = Vec::new();
    loop {
        let Size { number, height, width } = next;
        if height.max(width) > side {
            let message = format!("pictures of {width}×{height} pixels");
            return Err(Error::new(Kind::Limit, message)
                .hint(format!("up to {side} pixels a side are supported")));
        }
        blocks.push(next);
        next = Size { number: number * 2, height: height * 2, width: width * 2 };
        if !t.has(&format!("synthesis.b{}.conv1.weight", next.number)) {
            return Ok(blocks);
        }
    }
}

impl Seen {
    fn look(t: &Listing) -> Result<Self> {
        let has = |name: &str| t.shape(name).is_some();
        let dim = |name: &str, rank: usize, axis: usize| match t.shape(name) {
            Some(s) if s.len() == rank && s.iter().all(|&n| n > 0) => Ok(s[axis]),
            Some(s) => {
                Err(refuse(format!("tensor `{name}` has shape {s:?}, expected {rank} dimensions")))
            }
            None => Err(refuse(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")),
        };
        let constant = format!("synthesis.b{}.const", first_block(t)?);
        let blocks = blocks(t, [dim(&constant, 3, 1)?, dim(&constant, 3, 2)?])?;
        let block = |i: usize, part: &str| {
            blocks.get(i).map_or_else(String::new, |b| format!("synthesis.b{}.{part}", b.number))
        };
        let mapping_layers = (0..).take_while(|i| has(&format!("mapping.fc{i}.weight"))).count();
        let w_dim = dim(&block(0, "conv1.affine.weight"), 2, 1)?;
        let (mut c_dim, mut embedded) = (0, 0);
        if has("mapping.embed.weight") {
            (c_dim, embedded) =
                (dim("mapping.embed.weight", 2, 1)?, dim("mapping.embed.weight", 2, 0)?);
        }
        if has(BESIDE) {
            (c_dim, embedded) = (dim(BESIDE, 2, 0)?, dim(BESIDE, 2, 1)?);
        }
        let input = if mapping_layers == 0 { w_dim } else { dim("mapping.fc0.weight", 2, 1)? };
        let z_dim = input.checked_sub(embedded).filter(|&z| z > 0);
        let architecture = if has(&block(1, "skip.weight")) {
            Architecture::Resnet
        } else if blocks.len() == 1 || has(&block(0, "torgb.weight")) {
            Architecture::Skip
        } else {
            Architecture::Orig
        };
        Ok(Self {
            z_dim: z_dim
                .ok_or_else(|| refuse(format!("{input} mapping inputs leave no room for z")))?,
            c_dim,
            w_dim,
            channels: dim(&block(blocks.len() - 1, "torgb.weight"), 4, 0)?,
            blocks,
            mapping_layers,
            architecture,
        })
    }
}
