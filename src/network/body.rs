//! What encoders and recognisers of other people's code begin with: a residual network of four
//! stages.

use super::layers::{Conv, Prelu};
use crate::error::{Error, Result};
use crate::tensor::Activation;
use candle_core::{DType, Tensor};

/// A residual unit.
pub(super) trait Unit: Send + Sync {
    /// Channels of its result.
    fn outputs(&self) -> usize;

    /// Its map, with gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    fn forward(&self, x: &Tensor) -> Result<Tensor>;
}

/// The units of a stage.
pub(super) type Stage = Vec<Box<dyn Unit>>;

/// Such a network without what it ends with.
pub(super) struct Body {
    input: Conv,
    slopes: Prelu,
    stages: Vec<Stage>,
}

impl Body {
    /// A first convolution and the stages.
    pub fn new(input: Conv, slopes: Prelu, stages: Vec<Stage>) -> Self {
        Self { input, slopes, stages }
    }

    /// Channels of the pictures that it reads.
    pub fn inputs(&self) -> usize {
        self.input.inputs()
    }

    /// Channels of the last map of a stage; 0 where there is none.
    pub fn channels(&self, stage: usize) -> usize {
        self.stages.get(stage).and_then(|s| s.last()).map_or(0, |unit| unit.outputs())
    }

    /// Channels of the last map.
    pub fn outputs(&self) -> usize {
        self.channels(self.stages.len().saturating_sub(1))
    }

    /// The last maps of the first stages, each half the side of the one before, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C_i, H / 2^i, W / 2^i]`, `i` from 1, sides rounded up.
    ///
    /// # Errors
    /// When the pictures do not fit.
    pub fn maps<const N: usize>(&self, pictures: &Tensor) -> Result<[Tensor; N]> {
        let x = pictures.to_dtype(DType::F32)?;
        let mut x = self.slopes.forward(&self.input.forward(&x, Activation::LINEAR)?)?;
        let mut maps = Vec::with_capacity(N);
        for units in self.stages.iter().take(N) {
            x = units.iter().try_fold(x, |x, unit| unit.forward(&x))?;
            maps.push(x.clone());
        }
        maps.try_into().map_err(|_| Error::runtime("a network lacks its stages"))
    }

    /// The last map alone; see [`Self::maps`].
    ///
    /// # Errors
    /// When the pictures do not fit.
    pub fn last(&self, pictures: &Tensor) -> Result<Tensor> {
        let [.., last] = self.maps::<4>(pictures)?;
        Ok(last)
    }
}
