//! The linear layers of a BigGAN.

use super::weight::{Weight, stored};
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::tensor::{conv_nearest2, conv_transpose2d, conv2d, linear, nearest2_kernel};
use candle_core::Tensor;

/// Linear map of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// Fully connected, weight `[O, I]`.
    Linear,
    /// A convolution that keeps the size, weight `[O, I, k, k]`.
    Conv,
    /// The same on the picture doubled by repeated pixels.
    Doubled,
    /// A transposed convolution that doubles the size, weight `[I, O, 4, 4]`.
    Transposed,
}

/// A layer: weight and bias.
pub(super) struct Layer {
    map: Map,
    weight: Weight,
    /// The kernel as it runs, where nothing of it is searched.
    ready: Option<Tensor>,
    /// Outputs that are used: the first ones.
    used: usize,
    bias: Option<Tensor>,
}

impl Layer {
    /// Reads the layer called `name`, of the shape that its weight has.
    pub(super) fn read(r: &mut Reader<'_>, name: &str, map: Map) -> Result<Self> {
        let axis = usize::from(map == Map::Transposed);
        let end = stored(name, &|n| r.has(n)).unwrap_or("weight");
        let shape = r.shape(&format!("{name}.{end}"))?;
        let outputs = shape.get(axis).copied().unwrap_or(0);
        let weight = Weight::read(r, name, &shape, axis)?;
        let bias = format!("{name}.bias");
        let bias = r.has(&bias).then(|| r.parameter(&bias, &[outputs])).transpose()?;
        Self { map, weight, ready: None, used: outputs, bias }.prepared()
    }

    /// The layer with its first outputs alone.
    pub(super) fn narrowed(self, used: usize) -> Result<Self> {
        let bias = self.bias.as_ref().map(|b| b.narrow(0, 0, used)).transpose()?;
        Self { used, bias, ..self }.prepared()
    }

    fn prepared(mut self) -> Result<Self> {
        self.ready = if self.weight.searched() { None } else { Some(self.kernel()?) };
        Ok(self)
    }

    fn kernel(&self) -> Result<Tensor> {
        let weight = self.weight.tensor()?;
        let weight = match self.map {
            Map::Transposed => weight,
            _ if weight.dim(0)? == self.used => weight,
            _ => weight.narrow(0, 0, self.used)?.contiguous()?,
        };
        Ok(match self.map {
            Map::Doubled => nearest2_kernel(&weight)?,
            _ => weight,
        })
    }

    /// Number of its outputs.
    pub(super) fn outputs(&self) -> usize {
        self.used
    }

    /// Its bias `[O]`, which `forward` does not add.
    pub(super) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The map without its bias.
    ///
    /// # Shapes
    /// x `[N, I]` → `[N, O]`, or `[N, I, H, W]` → `[N, O, H', W']`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kernel = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.kernel()?,
        };
        Ok(match self.map {
            Map::Linear => linear(x, &kernel)?,
            Map::Conv => conv2d(x, &kernel, 1, kernel.dim(2)? / 2)?,
            Map::Doubled => conv_nearest2(x, &kernel)?,
            Map::Transposed => conv_transpose2d(x, &kernel, 2, 1)?,
        })
    }
}
