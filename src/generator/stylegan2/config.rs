//! Configuration of a StyleGAN2: given, or read from the shapes of its tensors.

use crate::error::{Error, Kind, Result};
use crate::generator::layers::MappingSizes;
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
    /// Side of the picture.
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
    /// Side of the picture, a power of two from 4.
    pub img_resolution: usize,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Layers of a W+ code: 2·log2(resolution) − 2.
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
        let seen = Seen::look(tensors)?;
        let c = Config {
            name: self.name.clone().unwrap_or_else(|| "stylegan2".into()),
            z_dim: agree("z_dim", self.z_dim, seen.z_dim)?,
            c_dim: agree("c_dim", self.c_dim, seen.c_dim)?,
            w_dim: agree("w_dim", self.w_dim, seen.w_dim)?,
            img_resolution: agree("img_resolution", self.img_resolution, seen.resolution)?,
            img_channels: agree("img_channels", self.img_channels, seen.channels)?,
            num_ws: agree("num_ws", self.num_ws, 2 * seen.resolution.ilog2() as usize - 2)?,
            mapping_layers: agree("mapping_layers", self.mapping_layers, seen.mapping_layers)?,
            mapping_lr_multiplier: self.mapping_lr_multiplier.unwrap_or(0.01),
            // A single block is the same in all three.
            architecture: match self.architecture {
                Some(said) if seen.resolution == 4 => said,
                said => agree("architecture", said, seen.architecture)?,
            },
            resample_filter: self.resample_filter.clone(),
            conv_clamp: self.conv_clamp,
        };
        c.check()?;
        Ok(c)
    }
}

fn agree<T: PartialEq + std::fmt::Debug>(key: &str, said: Option<T>, seen: T) -> Result<T> {
    match said {
        Some(said) if said != seen => {
            Err(refuse(format!("`{key}` is given as {said:?}, but the tensors say {seen:?}")).hint(
                "its configuration and its tensors do not belong together; leave the key out to \
               trust the tensors",
            ))
        }
        _ => Ok(seen),
    }
}

fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a StyleGAN2 that gannet can run: {message}"))
}

impl Config {
    fn check(&self) -> Result<()> {
        if !(1..=4).contains(&self.img_channels) {
            return Err(refuse(format!("pictures of {} channels", self.img_channels))
                .hint("1 to 4 channels are supported"));
        }
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
    pub(super) fn mapping(&self) -> MappingSizes {
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
        for resolution in self.resolutions() {
            for layer in ["conv0", "conv1", "torgb"] {
                let name = format!("b{resolution}.{layer}");
                let affine = tensors.shape(&format!("synthesis.{name}.affine.weight"));
                if let Some(&size) = affine.and_then(|s| s.first()) {
                    all.push(StyleLayer { name, row, size });
                    row += usize::from(layer != "torgb");
                }
            }
        }
        all
    }

    /// The resolutions of the blocks: 4, 8, … .
    pub fn resolutions(&self) -> impl Iterator<Item = usize> + use<> {
        (2..=self.img_resolution.ilog2()).map(|i| 1usize << i)
    }
}

/// Settings read from the tensors.
struct Seen {
    z_dim: usize,
    c_dim: usize,
    w_dim: usize,
    resolution: usize,
    channels: usize,
    mapping_layers: usize,
    architecture: Architecture,
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
        if has("synthesis.b4.conv0.weight") || dim("synthesis.b4.const", 3, 1)? != 4 {
            return Err(refuse("its first block is not a constant of 4x4".into())
                .hint("train or convert with square pictures"));
        }
        let mut resolution = 4;
        while has(&format!("synthesis.b{}.conv1.weight", resolution * 2)) {
            resolution *= 2;
            if resolution > LIMITS.image_side as usize {
                return Err(Error::new(
                    Kind::Limit,
                    format!("pictures of {resolution} pixels a side"),
                )
                .hint(format!("up to {} are supported", LIMITS.image_side)));
            }
        }
        let mapping_layers = (0..).take_while(|i| has(&format!("mapping.fc{i}.weight"))).count();
        let w_dim = dim("synthesis.b4.conv1.affine.weight", 2, 1)?;
        let (mut c_dim, mut embedded) = (0, 0);
        if has("mapping.embed.weight") {
            (c_dim, embedded) =
                (dim("mapping.embed.weight", 2, 1)?, dim("mapping.embed.weight", 2, 0)?);
        }
        let input = if mapping_layers == 0 { w_dim } else { dim("mapping.fc0.weight", 2, 1)? };
        let z_dim = input.checked_sub(embedded).filter(|&z| z > 0);
        let architecture = if resolution > 4 && has("synthesis.b8.skip.weight") {
            Architecture::Resnet
        } else if resolution == 4 || has("synthesis.b4.torgb.weight") {
            Architecture::Skip
        } else {
            Architecture::Orig
        };
        Ok(Self {
            z_dim: z_dim
                .ok_or_else(|| refuse(format!("{input} mapping inputs leave no room for z")))?,
            c_dim,
            w_dim,
            resolution,
            channels: dim(&format!("synthesis.b{resolution}.torgb.weight"), 4, 0)?,
            mapping_layers,
            architecture,
        })
    }
}
