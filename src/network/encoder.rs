//! The encoder: a network that looks at a picture and at what a code makes now, and says how to
//! change the code.
//!
//! After e4e (Tov et al. 2021): one base vector for all layers plus small offsets a layer, so that
//! codes stay near W; run again and again on its own results as ReStyle does (Alaluf et al. 2021):
//! w ← w + pass(x, G(w)), beginning at the mean of w. Here is a single pass; `invert` runs them.

use super::resize_to;
use crate::error::{Error, Kind, Result};
use crate::latent::Part;
use crate::network::Trunk;
use crate::safe::Safe;
use crate::space::{Dims, Space};
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};

/// A network that improves codes by looking at pictures.
pub trait Encoder: Send + Sync {
    /// Its name, for provenance: it distinguishes two encoders.
    fn name(&self) -> &str;

    /// Passes after which it is meant to be done.
    fn passes(&self) -> usize;

    /// The space of its codes: W+, whose rows are averaged in W, S, or Z.
    fn space(&self) -> Space {
        Space::WPlus
    }

    /// The code at which its passes begin, `[num_ws, w_dim]`, in Z `[1, z_dim]`; `None` for the
    /// generator's own mean of w.
    fn start(&self) -> Option<&Tensor> {
        None
    }

    /// One pass.
    ///
    /// # Shapes
    /// → `[N, num_ws, w_dim]`, in S `[N, 1, s_dim]`, in Z `[N, 1, z_dim]`
    ///
    /// # Errors
    /// When the pictures have other channels than it reads.
    fn pass(&self, seen: &Seen<'_>) -> Result<Move>;

    /// The labels of a conditional generator that pictures show, `[N, c_dim]`, one-hot; `None` for
    /// an encoder that does not tell them.
    ///
    /// # Errors
    /// As [`Encoder::pass`].
    fn labels(&self, pictures: &Tensor) -> Result<Option<Tensor>> {
        let _ = pictures;
        Ok(None)
    }

    /// What a pass finds beside the code, each part as it is after the pass: gains of weights
    /// (HyperStyle), the change of a feature map (HFGI).
    ///
    /// # Errors
    /// As [`Encoder::pass`].
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let _ = seen;
        Ok(Vec::new())
    }

    /// Checks that its codes and pictures fit the generator called `model`.
    ///
    /// # Errors
    /// When they do not.
    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let _ = (model, channels, dims);
        Ok(())
    }
}

/// What an encoder looks at in a pass.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The pictures to encode, `[N, C, H, W]`, about [-1, 1].
    pub pictures: &'a Tensor,
    /// What the codes make now, alike.
    pub current: &'a Tensor,
    /// The pass, counted from 0.
    pub pass: usize,
    /// What is beside the codes now, each `[N, …]`.
    pub found: &'a [(Part, Tensor)],
}

impl<'a> Seen<'a> {
    /// What it looks at in its first pass.
    pub fn first(pictures: &'a Tensor, current: &'a Tensor) -> Self {
        Self { pictures, current, pass: 0, found: &[] }
    }

    /// A part that is beside the codes now.
    pub fn part(&self, part: Part) -> Option<&'a Tensor> {
        self.found.iter().find(|(own, _)| *own == part).map(|(_, tensor)| tensor)
    }
}

/// What a pass of an encoder finds, `[N, num_ws, w_dim]`.
#[derive(Clone, Debug)]
pub enum Move {
    /// The code itself, wherever it is now.
    To(Tensor),
    /// A step from the code that it is now.
    By(Tensor),
    /// The code stays: the pass finds what is beside it.
    Stay,
}

impl Move {
    /// The code after the move, from codes `[N, num_ws, w_dim]`, or `[N, w_dim]` for the mean of
    /// the rows.
    ///
    /// # Errors
    /// When its rows are not those of the codes.
    pub fn from(&self, codes: &Tensor) -> Result<Tensor> {
        let (Self::To(found) | Self::By(found)) = self else { return Ok(codes.clone()) };
        let found = if codes.rank() == 2 { found.mean(1)? } else { found.clone() };
        Ok(match self {
            Self::By(_) => codes.broadcast_add(&found)?,
            _ => found,
        })
    }
}

/// Refuses an encoder of other sizes than those of a generator: each is channels of pictures, rows
/// of codes and dimensions of a row.
///
/// # Errors
/// When they differ.
pub(super) fn fits(
    name: &str,
    mine: [usize; 3],
    (model, wanted): (&str, [usize; 3]),
) -> Result<()> {
    if mine == wanted {
        return Ok(());
    }
    let said = |[channels, rows, dim]: [usize; 3]| {
        format!("{channels}-channel pictures and codes of {rows}×{dim}")
    };
    let model = Safe(model);
    Err(Error::new(
        Kind::Format,
        format!("{name}: it is for {}, {model} makes {}", said(mine), said(wanted)),
    )
    .hint("put the encoder there that was trained for this generator"))
}

/// Pictures as a network of so many channels and that resolution reads them.
///
/// # Errors
/// When they have other channels.
pub(super) fn looked(pictures: &Tensor, (channels, side): (usize, usize)) -> Result<Tensor> {
    let given = pictures.dims4()?.1;
    if given != channels {
        return Err(Error::runtime(format!(
            "the encoder reads pictures of {channels} channels, these have {given}"
        ))
        .hint("use method: optimize"));
    }
    resize_to(&pictures.to_dtype(DType::F32)?.clamp(-1f32, 1f32)?, side, side)
}

/// Pictures and reconstructions side by side, of that many channels and that side:
/// `[N, 2C, side, side]`.
///
/// # Errors
/// When the pictures have other channels.
pub(super) fn seen_pair(seen: &Seen<'_>, like: (usize, usize)) -> Result<Tensor> {
    Ok(Tensor::cat(&[looked(seen.pictures, like)?, looked(seen.current, like)?], 1)?)
}

/// A square map averaged to `grid` places a side, which divide it.
///
/// # Shapes
/// `[N, C, H, H]` → `[N, C·grid²]`
pub(super) fn averaged(map: &Tensor, grid: usize) -> Result<Tensor> {
    Ok(map.avg_pool2d(map.dim(2)? / grid)?.flatten_from(1)?)
}

/// The settings of an encoder file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EncoderConfig {
    /// Side of the pictures that it was trained on; others are resized.
    pub input_resolution: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    #[serde(default = "slope")]
    pub leaky: f64,
    /// The base reads the last map averaged to this many places a side.
    #[serde(default = "one")]
    pub grid: usize,
    /// Rows of the codes.
    pub num_ws: usize,
    /// Dimensions of a row.
    pub w_dim: usize,
    /// Sha256 of the file of the generator that it belongs to.
    #[serde(default)]
    pub generator_sha256: Option<String>,
    /// Passes after which it is meant to be done.
    #[serde(default = "one")]
    pub steps: usize,
}

fn slope() -> f64 {
    0.2
}

fn one() -> usize {
    1
}

/// An encoder of our own format: a trunk over picture and reconstruction, a base head, an offset
/// head.
pub struct PassNet {
    name: String,
    config: EncoderConfig,
    trunk: Trunk,
    base: [Tensor; 2],
    offsets: [Tensor; 2],
}

impl PassNet {
    /// Builds the encoder from its tensors: `conv{i}` as [`Trunk::take`] reads them, on twice the
    /// pictures' channels; `base.weight` `[w_dim, C·grid²]` and `base.bias`; `offsets.weight`
    /// `[num_ws·w_dim, C]` and `offsets.bias`.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over.
    pub fn new(
        name: &str,
        config: EncoderConfig,
        mut weights: Weights,
        device: &Device,
    ) -> Result<Self> {
        let c = &config;
        if [c.input_resolution, c.grid, c.num_ws, c.w_dim, c.steps].contains(&0) {
            return Err(bad(name, "none of its sizes may be 0"));
        }
        let trunk = Trunk::take(&mut weights, &c.strides, c.leaky, device)?;
        let fits = trunk.check_pair().and_then(|()| trunk.check_grid(c.input_resolution, c.grid));
        fits.map_err(|what| bad(name, &what))?;
        let mut head = |name_of: &str, shape: [usize; 2]| -> Result<[Tensor; 2]> {
            Ok([
                weights.take(&format!("{name_of}.weight"), &shape)?.to_device(device)?,
                weights.take(&format!("{name_of}.bias"), &shape[..1])?.to_device(device)?,
            ])
        };
        let base = head("base", [c.w_dim, trunk.outputs() * c.grid * c.grid])?;
        let offsets = head("offsets", [c.num_ws * c.w_dim, trunk.outputs()])?;
        weights.finish()?;
        Ok(Self { name: name.into(), config, trunk, base, offsets })
    }

    /// Channels of the pictures that it reads.
    pub fn channels(&self) -> usize {
        self.trunk.inputs() / 2
    }
}

impl Encoder for PassNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        self.config.steps
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let mine = [self.channels(), self.config.num_ws, self.config.w_dim];
        fits(&self.name, mine, (model, [channels, dims.num_ws, dims.w_dim]))
    }

    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        let c = &self.config;
        let like = (self.channels(), c.input_resolution);
        let map = self.trunk.last(&seen_pair(seen, like)?)?;
        let n = map.dim(0)?;
        let places = averaged(&map, c.grid)?;
        let whole = map.flatten_from(2)?.mean(2)?; // [NC]
        let head =
            |x: &Tensor, [weight, bias]: &[Tensor; 2]| linear(x, weight)?.broadcast_add(bias);
        let base = head(&places, &self.base)?.unsqueeze(1)?; // [N1D]
        let offsets = head(&whole, &self.offsets)?.reshape((n, c.num_ws, c.w_dim))?; // [NLD]
        Ok(Move::By(offsets.broadcast_add(&base)?))
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the unchanged file of the training script")
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
pub(crate) mod tests;
