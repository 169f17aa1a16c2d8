//! The mapping network.

use super::config::Config;
use crate::error::Result;
use crate::generator::layers::{Reader, unit_length};
use crate::tensor::{Activation, bias_act, linear};
use candle_core::Tensor;

/// The activation of the layers.
pub(super) const LRELU: Activation = Activation { slope: 0.2, gain: 1.0, clamp: None };

/// The mapping network: z of length 1, then fully connected layers whose weights and biases are
/// multiplied by one factor.
pub(super) struct Mapping {
    layers: Vec<(Tensor, Tensor)>,
    factor: f64,
}

impl Mapping {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let layer = |i: usize| -> Result<(Tensor, Tensor)> {
            let weight = r.parameter(&format!("mapping.fc{i}.weight"), &[c.dim, c.dim])?;
            Ok((weight, r.parameter(&format!("mapping.fc{i}.bias"), &[c.dim])?))
        };
        let layers = (0..c.mapping_layers).map(layer).collect::<Result<_>>()?;
        Ok(Self { layers, factor: c.mapping_lr_multiplier })
    }

    /// z `[N, D]` → w `[N, D]`.
    pub(super) fn forward(&self, z: &Tensor) -> Result<Tensor> {
        let mut x = unit_length(z)?;
        for (weight, bias) in &self.layers {
            let y = (linear(&x, weight)? * self.factor)?;
            x = bias_act(&y, &(bias * self.factor)?, LRELU)?;
        }
        Ok(x)
    }
}
