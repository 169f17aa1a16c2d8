//! The pair of encoders of a conditional generator: one finds the code of a picture, the other
//! tells its class.
//!
//! After IcGAN (Perarnau et al. 2016, "Invertible Conditional GANs for image editing"): E_z is
//! trained on the generator's own pictures, whose codes are known, E_y on pictures whose classes
//! are known. A picture is edited by drawing its code with another class.

use super::encoder::{averaged, fits, looked};
use crate::error::{Error, Kind, Result};
use crate::network::{Encoder, Move, Seen, Trunk};
use crate::safe::Safe;
use crate::space::{Dims, Space};
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};

/// The value of `kind` in the settings of such a file.
pub const PAIR: &str = "pair";

/// The settings of the file of a pair.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PairConfig {
    /// Always [`PAIR`].
    pub kind: String,
    /// Side of the pictures that both were trained on; others are resized.
    pub input_resolution: usize,
    /// Stride of every convolution, alike in both.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    pub leaky: f64,
    /// The last maps are averaged to this many places a side.
    pub grid: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Number of classes.
    pub classes: usize,
    /// Sha256 of the file of the generator that it belongs to.
    pub generator_sha256: String,
}

/// One of the two: a trunk, its last map averaged to places, and a linear layer.
struct Half {
    trunk: Trunk,
    weight: Tensor,
    bias: Tensor,
}

impl Half {
    /// Takes `{prefix}.conv{i}` as [`Trunk::take`] does, `{prefix}.out.weight [outputs, C·grid²]`
    /// and `{prefix}.out.bias`.
    fn take(
        weights: &Weights,
        (prefix, outputs): (&str, usize),
        c: &PairConfig,
        device: &Device,
    ) -> Result<Self> {
        let own = |name: &str| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        let mut own = weights.clone().chosen(own)?;
        let trunk = Trunk::take(&mut own, &c.strides, c.leaky, device)?;
        let grid = trunk.check_grid(c.input_resolution, c.grid);
        grid.map_err(|what| bad(own.file(), &what))?;
        let places = trunk.outputs() * c.grid * c.grid;
        let weight = own.take("out.weight", &[outputs, places])?.to_device(device)?;
        let bias = own.take("out.bias", &[outputs])?.to_device(device)?;
        own.finish()?;
        Ok(Self { trunk, weight, bias })
    }

    /// What it says of pictures, `[N, C, H, W]` → `[N, outputs]`.
    fn says(&self, pictures: &Tensor, c: &PairConfig) -> Result<Tensor> {
        let x = looked(pictures, (self.trunk.inputs(), c.input_resolution))?;
        let places = averaged(&self.trunk.last(&x)?, c.grid)?;
        Ok(linear(&places, &self.weight)?.broadcast_add(&self.bias)?)
    }
}

/// A pair of encoders.
pub struct PairNet {
    name: String,
    config: PairConfig,
    code: Half,
    class: Half,
    /// The middle of the prior, `[1, z_dim]`.
    start: Tensor,
}

impl PairNet {
    /// Builds the pair from its tensors: those of E_z begin with `z.`, those of E_y with `y.`.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over, and when the settings
    /// contradict themselves.
    pub fn new(name: &str, config: PairConfig, weights: &Weights, device: &Device) -> Result<Self> {
        let c = &config;
        if [c.input_resolution, c.grid, c.z_dim, c.classes].contains(&0) {
            return Err(bad(name, "none of its sizes may be 0"));
        }
        let known = |tensor: &String| ["z.", "y."].iter().any(|prefix| tensor.starts_with(prefix));
        if let Some(other) = weights.list().tensors.keys().find(|tensor| !known(tensor)) {
            return Err(bad(name, &format!("`{}` belongs to neither encoder", Safe(other))));
        }
        let code = Half::take(weights, ("z", c.z_dim), c, device)?;
        let class = Half::take(weights, ("y", c.classes), c, device)?;
        if code.trunk.inputs() != class.trunk.inputs() {
            return Err(bad(name, "its encoders read pictures of different channels"));
        }
        let start = Tensor::zeros((1, c.z_dim), DType::F32, device)?;
        Ok(Self { name: name.into(), config, code, class, start })
    }
}

impl Encoder for PairNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        1
    }

    fn space(&self) -> Space {
        Space::Z
    }

    fn start(&self) -> Option<&Tensor> {
        Some(&self.start)
    }

    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        Ok(Move::To(self.code.says(seen.pictures, &self.config)?.unsqueeze(1)?))
    }

    fn labels(&self, pictures: &Tensor) -> Result<Option<Tensor>> {
        let best = self.class.says(pictures, &self.config)?.argmax(1)?.to_vec1::<u32>()?;
        let mut rows = vec![0f32; best.len() * self.config.classes];
        for (row, class) in rows.chunks_exact_mut(self.config.classes).zip(&best) {
            row[*class as usize] = 1.0;
        }
        let shape = (best.len(), self.config.classes);
        Ok(Some(Tensor::from_vec(rows, shape, &Device::Cpu)?.to_device(pictures.device())?))
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let mine = [self.code.trunk.inputs(), 1, self.config.z_dim];
        fits(&self.name, mine, (model, [channels, 1, dims.z_dim]))
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the unchanged file of scripts/train/train_icgan.py")
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
