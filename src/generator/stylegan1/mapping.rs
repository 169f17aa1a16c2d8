//! The mapping network. Unlike StyleGAN2's it normalises z and the embedded label together, and its
//! biases come after the gain of √2.

use super::config::Config;
use crate::error::Result;
use crate::generator;
use crate::generator::input::check_labels;
use crate::generator::layers::{Epsilon, Reader, mean_of_mapping, pixel_norm};
use crate::tensor::{Activation, bias_act, linear};
use candle_core::{Device, Tensor};

/// A leaky ReLU of slope 0.2, without gain.
pub(super) const LRELU: Activation = Activation { slope: 0.2, gain: 1.0, clamp: None };

/// `lrelu(x · wᵀ · √2 · lr / √I + b · lr)`.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    gain: f64,
    bias_gain: f64,
}

/// The mapping network from z and the label to w.
pub(super) struct Mapping {
    /// A row for each number of the label, `[c_dim, I]`.
    embed: Option<Tensor>,
    layers: Vec<Layer>,
    normalize: bool,
    z_dim: usize,
    c_dim: usize,
}

impl Mapping {
    /// Reads `mapping.embed.weight` and `mapping.fc0`, `mapping.fc1`, … .
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let mut width = c.z_dim;
        let mut embed = None;
        if c.c_dim > 0 {
            let features = r.shape("mapping.embed.weight")?.last().copied().unwrap_or(0);
            embed = Some(r.parameter("mapping.embed.weight", &[c.c_dim, features])?);
            width += features;
        }
        let lr = c.given.mapping_lr_multiplier;
        let mut layers = Vec::new();
        for i in 0..c.mapping_layers {
            let name = format!("mapping.fc{i}");
            let out = match i + 1 == c.mapping_layers {
                true => c.w_dim,
                false => r.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0),
            };
            let he = if c.given.equalized { (2.0 / width as f64).sqrt() } else { 1.0 };
            layers.push(Layer {
                weight: r.parameter(&format!("{name}.weight"), &[out, width])?,
                bias: r.parameter(&format!("{name}.bias"), &[out])?,
                gain: he * lr,
                bias_gain: lr,
            });
            width = out;
        }
        let normalize = c.given.normalize_latents;
        Ok(Self { embed, layers, normalize, z_dim: c.z_dim, c_dim: c.c_dim })
    }

    /// The mean of w over the prior, `[w_dim]`; the classes of a conditional generator take turns.
    pub(super) fn mean(&self, device: &Device) -> Result<Tensor> {
        let c = self.c_dim;
        mean_of_mapping(self.z_dim, device, &|z, first| {
            let n = z.dim(0)?;
            let hot = |i: usize| (0..c).map(move |k| f32::from(u8::from((first + i) % c == k)));
            let labels = (c > 0)
                .then(|| Tensor::from_iter((0..n).flat_map(hot), device)?.reshape((n, c)))
                .transpose()?;
            self.forward(z, labels.as_ref())
        })
    }

    /// z `[N, z_dim]`, labels `[N, c_dim]` → w `[N, w_dim]`.
    pub(super) fn forward(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let n = generator::reads(z, &[self.z_dim])?;
        check_labels(labels, n, self.c_dim)?;
        let mut x = match (&self.embed, labels) {
            (Some(embed), Some(labels)) => {
                Tensor::cat(&[z, &linear(labels, &embed.t()?.contiguous()?)?], 1)?
            }
            _ => z.clone(),
        };
        if self.normalize {
            x = pixel_norm(&x, Epsilon::USUAL)?;
        }
        self.layers.iter().try_fold(x, |x, layer| {
            let y = (linear(&x, &layer.weight)? * layer.gain)?;
            Ok(bias_act(&y, &(&layer.bias * layer.bias_gain)?, LRELU)?)
        })
    }
}
