//! Configuration of a MobileStyleGAN: read from the names and shapes of its tensors.

use super::layouts::NAME;
use crate::error::{Error, Kind, Result};
use crate::generator::{Layer, StyleLayer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Settings given for a model, each optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Learning-rate multiplier of the mapping network, 0.01 when not said.
    pub mapping_lr_multiplier: Option<f64>,
    /// Whether the weights of the mapping network hold their scales already.
    pub mapping_folded: bool,
}

/// Configuration of a MobileStyleGAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Widths after every layer of the mapping network.
    pub mapping: Vec<usize>,
    /// Learning-rate multiplier of the mapping network; `None` where its weights hold all scales.
    pub mapping_lr: Option<f64>,
    /// Side of the constant.
    pub first: usize,
    /// Channels of the constant.
    pub channels: usize,
    /// Channels after every block; each doubles the side.
    pub blocks: Vec<usize>,
    /// Channels of the picture.
    pub img_channels: usize,
}

/// Bands of the wavelet.
pub(super) const BANDS: usize = 4;
/// Rows of w that a block has: its convolutions and its head.
const ROWS: usize = 3;
/// Blocks and mapping layers at most.
const MOST: usize = 64;

/// Refuses a file or its settings; the message says what is wrong with them.
pub(super) fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a MobileStyleGAN that gannet can run: {message}"))
        .hint("`gannet info` shows what the file holds")
}

/// Reads sizes of tensors.
struct Shapes<'a>(&'a Listing);

impl Shapes<'_> {
    /// The sizes of a tensor that must have this many dimensions.
    fn of<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape = self.0.shape(name).ok_or_else(|| refuse(format!("`{name}` is missing")))?;
        let found = shape
            .try_into()
            .map_err(|_| refuse(format!("`{name}` is {shape:?}, {N} dimensions are needed")))?;
        Ok(found)
    }

    /// Number of tensors of a series.
    fn count(&self, name: impl Fn(usize) -> String) -> Result<usize> {
        let count = (0..=MOST).take_while(|&i| self.0.has(&name(i))).count();
        if count > MOST {
            return Err(refuse(format!("more than {MOST} tensors like `{}`", name(0))));
        }
        Ok(count)
    }
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "MobileStyleGAN")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When sizes contradict each other, and for pictures that are too large.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let seen = Shapes(tensors);
        let layers = seen.count(|i| format!("mapping.fc{i}.weight"))?;
        let [_, z_dim] = seen.of("mapping.fc0.weight")?;
        let width =
            |i: usize| -> Result<usize> { Ok(seen.of::<2>(&format!("mapping.fc{i}.weight"))?[0]) };
        let mapping = (0..layers).map(width).collect::<Result<Vec<_>>>()?;
        let [_, w_dim] = seen.of("synthesis.conv1.affine.weight")?;
        let [_, channels, first, wide] = seen.of("synthesis.const")?;
        let blocks = seen.count(|i| format!("synthesis.b{i}.conv1.depthwise"))?;
        let channels_of = |i: usize| -> Result<usize> {
            Ok(seen.of::<4>(&format!("synthesis.b{i}.conv2.pointwise"))?[0])
        };
        let blocks = (0..blocks).map(channels_of).collect::<Result<Vec<_>>>()?;
        let Some(last) = blocks.len().checked_sub(1) else {
            return Err(refuse("it has no block `synthesis.b0`".into()));
        };
        let [bands, ..] = seen.of::<4>(&format!("synthesis.b{last}.head.weight"))?;
        let lr = self.mapping_lr_multiplier.unwrap_or(0.01);
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| NAME.into()),
            z_dim,
            w_dim,
            mapping,
            mapping_lr: (!self.mapping_folded).then_some(lr),
            first,
            channels,
            blocks,
            img_channels: bands / BANDS,
        };
        if !(lr.is_finite() && lr > 0.0) {
            return Err(refuse(format!("`mapping_lr_multiplier` is {lr}")));
        }
        if first != wide || first == 0 || bands % BANDS != 0 || bands == 0 {
            return Err(refuse(format!("a constant of {first}×{wide} and {bands} bands")));
        }
        if config.mapping.last() != Some(&w_dim) {
            return Err(refuse(format!(
                "the mapping network ends with {:?} numbers, the layers read {w_dim}",
                config.mapping.last()
            )));
        }
        let odd = |&&c: &&usize| c == 0 || c % BANDS != 0;
        let inputs = [&[channels][..], &config.blocks[..last]].concat();
        if let Some(c) = inputs.iter().find(odd) {
            return Err(refuse(format!("a wavelet of {c} channels, which is not four times one")));
        }
        config.bounded()?;
        Ok(config)
    }
}

impl Config {
    /// Refuses pictures that are larger than the limit.
    fn bounded(&self) -> Result<()> {
        let side = LIMITS.image_side as usize;
        let doubled = u32::try_from(self.blocks.len() + 1).ok().and_then(|n| 1usize.checked_shl(n));
        match doubled.and_then(|d| d.checked_mul(self.first)) {
            Some(found) if found <= side => Ok(()),
            _ => Err(Error::new(Kind::Limit, format!("pictures above {side} pixels a side"))
                .hint("a generator with fewer blocks is needed")),
        }
    }

    /// Side of the maps of block `i`.
    pub(super) fn side(&self, i: usize) -> usize {
        self.first << (i + 1)
    }

    /// Side of the picture.
    pub fn resolution(&self) -> usize {
        self.side(self.blocks.len())
    }

    /// Channels that block `i` reads.
    pub(super) fn inputs(&self, i: usize) -> usize {
        i.checked_sub(1).map_or(self.channels, |before| self.blocks[before])
    }

    /// Rows of a W+ code. As in the official code, it has one more than the layers read, and the
    /// rows of heads on the way do not change the picture.
    pub fn num_ws(&self) -> usize {
        self.blocks.len() * ROWS + 2
    }

    /// The layers that read styles, in the order in which they run.
    pub(super) fn styles(&self) -> Vec<StyleLayer> {
        let layer = |name: String, row, size| StyleLayer { name, row, size };
        let mut all = vec![layer("conv1".into(), 0, self.channels)];
        for (i, &channels) in self.blocks.iter().enumerate() {
            let row = ROWS * i + 1;
            all.push(layer(format!("b{i}.up"), row, self.inputs(i)));
            all.push(layer(format!("b{i}.conv1"), row, self.inputs(i) / BANDS));
            all.push(layer(format!("b{i}.conv2"), row + 1, channels));
        }
        if let (Some(last), Some(&channels)) =
            (self.blocks.len().checked_sub(1), self.blocks.last())
        {
            all.push(layer(format!("b{last}.head"), ROWS * last + 3, channels));
        }
        all
    }

    /// The layers that can be tapped: every convolution with an activation.
    pub(super) fn points(&self) -> Vec<Layer> {
        let mut all = vec![Layer::square("conv1", self.channels, self.first)];
        for (i, &channels) in self.blocks.iter().enumerate() {
            for conv in ["conv1", "conv2"] {
                all.push(Layer::square(format!("b{i}.{conv}"), channels, self.side(i)));
            }
        }
        all
    }
}
