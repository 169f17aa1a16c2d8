//! A first convolution, and residual units one after the other.

use crate::error::Result;
use crate::network::body::{Stage, Unit};
use crate::network::irse;
use crate::network::layers::{Conv, Prelu, Taker};
use crate::tensor::Activation;
use candle_core::Tensor;

/// A convolution, a normalisation and a leaky ReLU with slopes.
pub(super) struct Stem {
    conv: Conv,
    slopes: Prelu,
}

impl Stem {
    /// Takes the stem `name` of maps of so many channels.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, name: &str, inputs: usize) -> Result<Self> {
        let part = |k: usize| format!("{name}.{k}");
        let conv = t.conv_norm([&part(0), &part(1)], inputs, [3, 1, 1])?;
        let slopes = t.prelu(&part(2), conv.outputs())?;
        Ok(Self { conv, slopes })
    }

    /// Channels of its result.
    pub fn outputs(&self) -> usize {
        self.conv.outputs()
    }

    /// With gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.slopes.forward(&self.conv.forward(x, Activation::LINEAR)?)
    }
}

/// Residual units.
pub(super) struct Chain {
    units: Stage,
    inputs: usize,
}

impl Chain {
    /// Takes the units `NAME.0`, `NAME.1`, … of maps of so many channels; the first has that
    /// stride.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, name: &str, (inputs, first): (usize, usize)) -> Result<Self> {
        let (mut units, mut now) = (Stage::new(), inputs);
        while t.has(&format!("{name}.{}.res_layer.1.weight", units.len())) {
            let stride = if units.is_empty() { first } else { 1 };
            let unit = irse::unit(&mut t.below(&format!("{name}.{}.", units.len())), now, stride)?;
            now = unit.outputs();
            units.push(Box::new(unit));
        }
        Ok(Self { units, inputs })
    }

    /// Channels of its result.
    pub fn outputs(&self) -> usize {
        self.units.last().map_or(self.inputs, |unit| unit.outputs())
    }

    /// With gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.units.iter().try_fold(x.clone(), |x, unit| unit.forward(&x))
    }
}
