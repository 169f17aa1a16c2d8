//! A regression from pictures to w: the encoder that is fitted to a generator's own samples.
//!
//! It reads the maps of a trunk, averaged to a few places, with one linear map. A pass compares two
//! pictures: the code moves by what the regression says of the target less what it says of the
//! picture that the code makes now. So a shift that both have in common cancels, and passes go on
//! until the regression sees no difference.

use super::encoder::looked;
use crate::error::{Error, Kind, Result};
use crate::network::{Encoder, Move, Seen, Trunk};
use crate::safe::Safe;
use crate::space::Dims;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{Device, Tensor};

/// The value of `kind` in the settings of such a file.
pub const REGRESSION: &str = "regression";

/// Where a regression looks: the maps of a trunk that it averages.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Places {
    /// Convolutions whose maps are read, by their index.
    pub layers: Vec<usize>,
    /// Each map is averaged to this many places a side.
    pub grid: usize,
}

impl Places {
    /// The averages of the maps, `[N, C, R, R]` → `[N, P]`, with gradients.
    ///
    /// # Errors
    /// When a map cannot be divided into the places.
    pub fn read(&self, trunk: &Trunk, pictures: &Tensor) -> Result<Tensor> {
        let maps = trunk.maps(pictures)?;
        let mut parts = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let map = maps.get(*layer).ok_or_else(|| Error::runtime("the trunk is too short"))?;
            let size = map.dims4()?.2 / self.grid;
            let map = if size > 1 { map.avg_pool2d(size)? } else { map.clone() };
            parts.push(map.flatten_from(1)?);
        }
        Ok(Tensor::cat(&parts, 1)?)
    }
}

/// The settings of the file of a regression.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RegressorConfig {
    /// Always [`REGRESSION`].
    pub kind: String,
    /// Side of the pictures that it was fitted to; others are resized.
    pub input_resolution: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    pub leaky: f64,
    /// What it reads of the trunk's maps.
    #[serde(flatten)]
    pub places: Places,
    /// Rows of the codes; the regression gives all of them the same.
    pub num_ws: usize,
    /// Dimensions of a row.
    pub w_dim: usize,
    /// Fingerprint of the generator that it was fitted to.
    pub generator: String,
    /// Passes after which it is meant to be done.
    pub steps: usize,
}

/// An encoder that was fitted to the samples of a generator.
pub struct Regressor {
    name: String,
    config: RegressorConfig,
    trunk: Trunk,
    weight: Tensor,
}

impl Regressor {
    /// Builds the encoder from its tensors: `conv{i}` as [`Trunk::take`] reads them, and
    /// `base.weight` `[w_dim, P]`.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over, and when the settings
    /// contradict themselves.
    pub fn new(
        name: &str,
        config: RegressorConfig,
        mut weights: Weights,
        device: &Device,
    ) -> Result<Self> {
        let c = &config;
        let sizes = [c.input_resolution, c.places.grid, c.num_ws, c.w_dim, c.steps];
        if sizes.contains(&0) || c.places.layers.is_empty() {
            return Err(bad(name, "none of its sizes may be 0"));
        }
        let trunk = Trunk::take(&mut weights, &c.strides, c.leaky, device)?;
        let mut inputs = 0;
        for &layer in &c.places.layers {
            let Some((channels, side)) = trunk.shape_of(layer, c.input_resolution) else {
                return Err(bad(name, &format!("its trunk has no convolution {layer}")));
            };
            if !side.is_multiple_of(c.places.grid) {
                let grid = c.places.grid;
                let what = format!("a map of {side}² does not divide into {grid}×{grid} places");
                return Err(bad(name, &what));
            }
            inputs += channels * c.places.grid * c.places.grid;
        }
        let weight = weights.take("base.weight", &[c.w_dim, inputs])?.to_device(device)?;
        weights.finish()?;
        Ok(Self { name: name.into(), config, trunk, weight })
    }

    /// What the regression says of pictures, up to a constant, `[N, C, H, W]` → `[N, w_dim]`.
    fn says(&self, pictures: &Tensor) -> Result<Tensor> {
        let x = looked(pictures, (self.trunk.inputs(), self.config.input_resolution))?;
        Ok(linear(&self.config.places.read(&self.trunk, &x)?, &self.weight)?)
    }
}

impl Encoder for Regressor {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        self.config.steps
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let mine = [self.trunk.inputs(), self.config.num_ws, self.config.w_dim];
        super::encoder::fits(&self.name, mine, (model, [channels, dims.num_ws, dims.w_dim]))
    }

    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        let base = (self.says(seen.pictures)? - self.says(seen.current)?)?; // [ND]
        let (n, d) = base.dims2()?;
        let rows = base.unsqueeze(1)?.broadcast_as((n, self.config.num_ws, d))?;
        Ok(Move::By(rows.contiguous()?))
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("fit the encoder again: gannet fit encoder MODEL")
}
