//! The mapping network: that of StyleGAN2, whose scales an export may have folded into its weights.

use super::config::Config;
use crate::error::Result;
use crate::generator;
use crate::generator::layers::{Reader, mean_of_mapping, normalize};
use crate::tensor::{Activation, bias_act, linear};
use candle_core::{Device, Tensor};

/// Fully connected layers, each with an activation.
pub(super) struct Mapping {
    z_dim: usize,
    layers: Vec<Layer>,
}

/// One of them, with what its weights and biases are multiplied by.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    gains: Option<[f64; 2]>,
}

impl Mapping {
    /// Reads `mapping.fc0`, `mapping.fc1`, ….
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let (mut inputs, mut layers) = (c.z_dim, Vec::new());
        for (i, &outputs) in c.mapping.iter().enumerate() {
            layers.push(Layer {
                weight: r.parameter(&format!("mapping.fc{i}.weight"), &[outputs, inputs])?,
                bias: r.parameter(&format!("mapping.fc{i}.bias"), &[outputs])?,
                gains: c.mapping_lr.map(|lr| [lr / (inputs as f64).sqrt(), lr]),
            });
            inputs = outputs;
        }
        Ok(Self { z_dim: c.z_dim, layers })
    }

    /// z `[N, z_dim]` → w `[N, w_dim]`.
    pub(super) fn forward(&self, z: &Tensor) -> Result<Tensor> {
        generator::reads(z, &[self.z_dim])?;
        self.layers.iter().try_fold(normalize(z)?, |x, layer| {
            let y = linear(&x, &layer.weight)?;
            Ok(match layer.gains {
                Some([weight, bias]) => {
                    bias_act(&(y * weight)?, &(&layer.bias * bias)?, Activation::LRELU)?
                }
                None => bias_act(&y, &layer.bias, Activation::LRELU)?,
            })
        })
    }

    /// The mean of w over the prior, `[w_dim]`.
    pub(super) fn mean(&self, device: &Device) -> Result<Tensor> {
        mean_of_mapping(self.z_dim, device, &|z, _| self.forward(z))
    }
}
