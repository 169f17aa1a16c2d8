//! Configuration of an R3GAN, read from the names and shapes of its tensors.

use super::layouts::NAME;
use crate::error::{Error, Kind, Result};
use crate::generator::{Inputs, Layer, Prior, Spec, family};
use crate::limits::LIMITS;
use crate::space::Space;
use crate::weights::Listing;
use serde::Deserialize;

/// Settings of a manifest: a name alone, the shapes say the rest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Given {
    name: Option<String>,
}

/// Configuration of an R3GAN.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// Name, as shown.
    pub(super) name: String,
    /// Dimensions of z.
    pub(super) z_dim: usize,
    /// Number of classes, 0 for none.
    pub(super) c_dim: usize,
    /// Numbers of a class's row that follow z, 0 without classes.
    pub(super) embedded: usize,
    /// Height and width of the basis.
    pub(super) base: [usize; 2],
    /// Channels of the picture.
    pub(super) channels: usize,
    /// The stages; each but the first doubles the map.
    pub(super) stages: Vec<Stage>,
}

/// One stage: the basis or a doubling, then residual blocks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    /// Channels of its map.
    pub(super) channels: usize,
    /// Whether a 1×1 convolution comes before the doubling.
    pub(super) mixes: bool,
    /// Its residual blocks.
    pub(super) blocks: Vec<Block>,
}

/// One residual block: 1×1, grouped k×k, 1×1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// Channels between its convolutions.
    pub(super) inner: usize,
    /// Groups of the convolution in the middle (the cardinality).
    pub(super) groups: usize,
    /// Side of the kernel of that convolution, odd.
    pub(super) kernel: usize,
}

/// Refuses a file; the message says what is wrong with it.
fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not an R3GAN that gannet can run: {message}"))
        .hint("`gannet info` shows what the file holds")
}

/// The sizes of a tensor that must be there.
fn sizes<const RANK: usize>(tensors: &Listing, name: &str) -> Result<[usize; RANK]> {
    let Some(shape) = tensors.shape(name) else {
        return Err(refuse(format!("tensor `{name}` is missing")));
    };
    let found = <[usize; RANK]>::try_from(shape).ok().filter(|s| s.iter().all(|&n| n > 0));
    found.ok_or_else(|| refuse(format!("tensor `{name}` has shape {shape:?}")))
}

/// How often a name with a counted part is there, from 0 on.
fn count(tensors: &Listing, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|&i| tensors.has(&name(i))).count()
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When a tensor is missing or its shape does not fit the others.
    pub(super) fn new(tensors: &Listing, config: &family::Config) -> Result<Self> {
        let given: Given = family::parse(&config.named(), "R3GAN")?;
        let [_, height, width] = sizes(tensors, "stages.0.basis")?;
        let [_, read] = sizes(tensors, "stages.0.linear.weight")?;
        let [embedded, c_dim] = match tensors.has("embed.weight") {
            true => sizes(tensors, "embed.weight")?,
            false => [0, 0],
        };
        let Some(z_dim) = read.checked_sub(embedded).filter(|&z| z > 0) else {
            return Err(refuse(format!("a class of {embedded} numbers leaves no room for z")));
        };
        let more = count(tensors, |i| format!("stages.{}.filter", i + 1));
        let side = |side: usize| side.checked_shl(more as u32).filter(|n| n >> more == side);
        let most = LIMITS.image_side as usize;
        if ![height, width].iter().all(|&n| side(n).is_some_and(|n| n <= most)) {
            return Err(refuse(format!("a basis of {height}×{width} doubled {more} times")));
        }
        let [channels, _, _, _] = sizes(tensors, "rgb.weight")?;
        if !(1..=4).contains(&channels) {
            return Err(refuse(format!("pictures of {channels} channels, 1 to 4 are supported")));
        }
        Ok(Self {
            name: given.name.unwrap_or_else(|| NAME.into()),
            z_dim,
            c_dim,
            embedded,
            base: [height, width],
            channels,
            stages: stages(tensors, more + 1)?,
        })
    }

    /// Height and width of the map of stage `s`.
    pub(super) fn size(&self, s: usize) -> [usize; 2] {
        self.base.map(|side| side << s)
    }

    /// The points that can be tapped and entered: the basis, every doubled map, every block.
    fn points(&self) -> Vec<Layer> {
        let mut all = Vec::new();
        for (s, stage) in self.stages.iter().enumerate() {
            let [height, width] = self.size(s);
            let first = if s == 0 { "basis" } else { "up" }.to_owned();
            let blocks = (0..stage.blocks.len()).map(|b| format!("blocks.{b}"));
            let point = |part: String| Layer {
                name: format!("stages.{s}.{part}"),
                channels: stage.channels,
                height,
                width,
            };
            all.extend(std::iter::once(first).chain(blocks).map(point));
        }
        all
    }

    /// Describes the generator of these tensors.
    pub(super) fn spec(&self, tensors: &Listing, fingerprint: &str) -> Spec {
        let [height, width] = self.size(self.stages.len() - 1);
        Spec {
            name: self.name.clone(),
            family: NAME.into(),
            width,
            height,
            channels: self.channels,
            z_dim: self.z_dim,
            w_dim: self.z_dim,
            c_dim: self.c_dim,
            num_ws: 0,
            spaces: vec![Space::Z],
            styles: Vec::new(),
            layers: self.points(),
            prior: Prior::Normal,
            inputs: Inputs { class: self.c_dim > 0, ..Inputs::default() },
            parameters: family::parameters(tensors, &[".filter"]),
            noise_sizes: Vec::new(),
            fingerprint: fingerprint.into(),
        }
    }
}

/// The first `n` stages.
fn stages(tensors: &Listing, n: usize) -> Result<Vec<Stage>> {
    let [mut channels, _, _] = sizes(tensors, "stages.0.basis")?;
    let mut all = Vec::new();
    for s in 0..n {
        let mixing = format!("stages.{s}.conv.weight");
        let mixes = s > 0 && tensors.has(&mixing);
        if mixes {
            [channels, _, _, _] = sizes(tensors, &mixing)?;
        }
        let name = |b: usize| format!("stages.{s}.blocks.{b}.conv2.weight");
        let blocks = (0..count(tensors, name)).map(|b| block(tensors, &name(b)));
        all.push(Stage { channels, mixes, blocks: blocks.collect::<Result<_>>()? });
    }
    Ok(all)
}

/// The block whose grouped convolution has this name.
fn block(tensors: &Listing, name: &str) -> Result<Block> {
    let shape @ [inner, own, kernel, across] = sizes(tensors, name)?;
    if inner % own != 0 || kernel != across || kernel % 2 == 0 {
        return Err(refuse(format!("tensor `{name}` has shape {shape:?}")));
    }
    Ok(Block { inner, groups: inner / own, kernel })
}
