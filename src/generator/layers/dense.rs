//! The fully connected layer of StyleGAN2 and StyleGAN3.

use super::Reader;
use crate::error::Result;
use crate::tensor::{Activation, bias_act, linear};
use candle_core::Tensor;

/// A fully connected layer with equalised learning rate: `x · wᵀ · lr/√I + b · lr`.
pub(in crate::generator) struct Dense {
    weight: Tensor,
    bias: Tensor,
    weight_gain: f64,
    bias_gain: f64,
    activation: Activation,
}

impl Dense {
    /// Reads `name.weight` `[outputs, inputs]` and `name.bias` `[outputs]`.
    pub(in crate::generator) fn read(
        r: &mut Reader<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        lr: f64,
    ) -> Result<Self> {
        Ok(Self {
            weight: r.parameter(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: r.parameter(&format!("{name}.bias"), &[outputs])?,
            weight_gain: lr / (inputs as f64).sqrt(),
            bias_gain: lr,
            activation: Activation::LINEAR,
        })
    }

    /// The same with an activation.
    pub(in crate::generator) fn activated(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Number of outputs.
    pub(in crate::generator) fn outputs(&self) -> usize {
        self.bias.elem_count()
    }

    /// x `[N, inputs]` → `[N, outputs]`.
    pub(in crate::generator) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = (linear(x, &self.weight)? * self.weight_gain)?;
        let bias =
            if self.bias_gain == 1.0 { self.bias.clone() } else { (&self.bias * self.bias_gain)? };
        Ok(bias_act(&y, &bias, self.activation)?)
    }
}
