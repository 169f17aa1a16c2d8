//! The hypernetwork: a network that looks at a picture and at what its code makes, and says by how
//! much each weight of some convolutions changes.
//!
//! After HyperStyle (Alaluf et al. 2022): a weight θ becomes θ·(1 + Δ), with one Δ for each pair
//! of channels. Here Δ is a product of two thin matrices, as in My3DGen (Qi et al. 2023), which
//! keeps the network small. What it changes holds for all codes of the picture, so edits carry it
//! along.

use super::encoder::{averaged, fits, seen_pair};
use super::layers::{Dense, Taker};
use super::{Encoder, Move, Seen, Trunk};
use crate::error::{Error, Kind, Result};
use crate::latent::Part;
use crate::safe::Safe;
use crate::space::Dims;
use crate::weights::Weights;
use candle_core::{Device, Tensor};

/// The settings of a hypernetwork's file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HyperConfig {
    /// Side of the pictures that it was trained on; others are resized.
    pub input_resolution: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    pub leaky: f64,
    /// The last map is averaged to this many places a side.
    pub grid: usize,
    /// Columns of the thin matrices.
    pub rank: usize,
    /// Names of the generator's weights that it changes.
    pub weights: Vec<String>,
    /// Sha256 of the file of the generator that it belongs to.
    pub generator_sha256: String,
}

/// A network that finds gains of weights.
pub struct HyperNet {
    name: String,
    config: HyperConfig,
    trunk: Trunk,
    code: Dense,
    heads: Vec<Head>,
}

/// What finds the gain of one weight.
struct Head {
    /// Its place among the generator's weights.
    weight: usize,
    /// `[N, K]` → `[N, O·rank]`
    left: Dense,
    /// `[N, K]` → `[N, rank·I]`
    right: Dense,
}

impl HyperNet {
    /// Builds the network from its tensors: `conv{i}` as [`Trunk::take`] reads them, on twice the
    /// pictures' channels; `code.weight` `[K, C·grid²]` and `code.bias`; for each weight `[O, I, …]`
    /// that it changes `left{i}.weight` `[O·rank, K]`, `left{i}.bias`, `right{i}.weight`
    /// `[rank·I, K]` and `right{i}.bias`. `host` are names and shapes of the generator's weights.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over, and when the generator has no
    /// such weight.
    pub fn new(
        name: &str,
        config: HyperConfig,
        mut weights: Weights,
        host: &[(String, Vec<usize>)],
        device: &Device,
    ) -> Result<Self> {
        let c = &config;
        if [c.input_resolution, c.grid, c.rank, c.weights.len()].contains(&0) {
            return Err(bad(name, "none of its sizes may be 0"));
        }
        let trunk = Trunk::take(&mut weights, &c.strides, c.leaky, device)?;
        let fits = trunk.check_pair().and_then(|()| trunk.check_grid(c.input_resolution, c.grid));
        fits.map_err(|what| bad(name, &what))?;
        let mut taker = Taker::new(&mut weights, device);
        let code = taker.dense("code", trunk.outputs() * c.grid * c.grid, 1.0)?;
        let mut heads = Vec::with_capacity(c.weights.len());
        for (i, changed) in c.weights.iter().enumerate() {
            let at = host.iter().position(|(own, shape)| own == changed && shape.len() >= 2);
            let Some((weight, [rows, columns, ..])) =
                at.and_then(|at| Some((at, host.get(at)?.1.as_slice())))
            else {
                let what = format!("it changes {}, which the generator lacks", Safe(changed));
                return Err(bad(name, &what));
            };
            let left = taker.dense(&format!("left{i}"), code.outputs(), 1.0)?;
            let right = taker.dense(&format!("right{i}"), code.outputs(), 1.0)?;
            if [left.outputs(), right.outputs()] != [rows * c.rank, c.rank * columns] {
                let what = format!(
                    "its factors for {} are not those of {rows}×{columns} channels",
                    Safe(changed)
                );
                return Err(bad(name, &what));
            }
            heads.push(Head { weight, left, right });
        }
        weights.finish()?;
        Ok(Self { name: name.into(), config, trunk, code, heads })
    }

    /// The gains, each with the place of its weight.
    ///
    /// # Shapes
    /// two of `[N, C, H, W]`, about [-1, 1] → `[N, O, I]` each
    ///
    /// # Errors
    /// When the pictures have other channels than it reads.
    fn gains(&self, seen: &Seen<'_>) -> Result<Vec<(usize, Tensor)>> {
        let c = &self.config;
        let pair = seen_pair(seen, (self.trunk.inputs() / 2, c.input_resolution))?;
        let places = averaged(&self.trunk.last(&pair)?, c.grid)?;
        let n = places.dim(0)?;
        let code = self.code.forward(&places)?;
        let code = candle_nn::ops::leaky_relu(&code, c.leaky)?; // [NK]
        let one = |head: &Head| -> Result<(usize, Tensor)> {
            let left = head.left.forward(&code)?.reshape((n, (), c.rank))?;
            let right = head.right.forward(&code)?.reshape((n, c.rank, ()))?;
            Ok((head.weight, left.matmul(&right)?))
        };
        self.heads.iter().map(one).collect()
    }
}

impl Encoder for HyperNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        1
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let sizes = |channels| [channels, dims.num_ws, dims.w_dim];
        fits(&self.name, sizes(self.trunk.inputs() / 2), (model, sizes(channels)))
    }

    fn pass(&self, _: &Seen<'_>) -> Result<Move> {
        Ok(Move::Stay)
    }

    /// The gains, added to those that are there already.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let whole = |(weight, found): (usize, Tensor)| {
            let own = Part::Gain(weight);
            Ok((
                own,
                match seen.part(own) {
                    Some(before) => before.broadcast_add(&found)?,
                    None => found,
                },
            ))
        };
        self.gains(seen)?.into_iter().map(whole).collect()
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the unchanged file of scripts/train/train_hyper.py for this generator")
}

#[cfg(test)]
#[path = "hyper_tests.rs"]
pub(crate) mod tests;
