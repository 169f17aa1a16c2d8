//! The mapping network, and the fully connected layer that the whole model shares.

use super::Reader;
use super::config::Config;
use crate::error::{Error, Result};
use crate::tensor::{Activation, bias_act, linear};
use candle_core::{D, Tensor};

/// A fully connected layer with equalised learning rate: `x · wᵀ · lr/√I + b · lr`.
pub(super) struct Dense {
    weight: Tensor,
    bias: Tensor,
    weight_gain: f64,
    bias_gain: f64,
    activation: Activation,
}

impl Dense {
    /// Reads `name.weight` `[outputs, inputs]` and `name.bias` `[outputs]`.
    pub(super) fn read(
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

    fn activated(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// How many numbers it makes.
    pub(super) fn outputs(&self) -> usize {
        self.bias.elem_count()
    }

    /// x `[N, inputs]` → `[N, outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = (linear(x, &self.weight)? * self.weight_gain)?;
        let bias =
            if self.bias_gain == 1.0 { self.bias.clone() } else { (&self.bias * self.bias_gain)? };
        Ok(bias_act(&y, &bias, self.activation)?)
    }
}

/// From z and the label to w.
pub(super) struct Mapping {
    embed: Option<Dense>,
    layers: Vec<Dense>,
    z_dim: usize,
    c_dim: usize,
}

impl Mapping {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let mut width = c.z_dim;
        let mut embed = None;
        if c.c_dim > 0 {
            let features = r.shape("mapping.embed.weight")?.first().copied().unwrap_or(0);
            embed = Some(Dense::read(r, "mapping.embed", [c.c_dim, features], 1.0)?);
            width += features;
        }
        let mut layers = Vec::new();
        for i in 0..c.mapping_layers {
            let name = format!("mapping.fc{i}");
            let last = i + 1 == c.mapping_layers;
            let out = if last {
                c.w_dim
            } else {
                r.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0)
            };
            layers.push(
                Dense::read(r, &name, [width, out], c.mapping_lr_multiplier)?
                    .activated(Activation::LRELU),
            );
            width = out;
        }
        Ok(Self { embed, layers, z_dim: c.z_dim, c_dim: c.c_dim })
    }

    /// z `[N, z_dim]`, labels `[N, c_dim]` → w `[N, w_dim]`.
    pub(super) fn forward(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let n = z.dims().first().copied().unwrap_or(0);
        if z.dims() != [n, self.z_dim] {
            return Err(Error::runtime(format!(
                "z has shape {:?}, the generator reads [N, {}]",
                z.dims(),
                self.z_dim
            ))
            .hint("use a code that was made for this generator"));
        }
        let mut x = normalize(z)?;
        match (&self.embed, labels) {
            (Some(embed), Some(c)) if c.dims() == [n, self.c_dim] => {
                x = Tensor::cat(&[&x, &normalize(&embed.forward(c)?)?], 1)?;
            }
            (Some(_), Some(c)) => {
                let message = format!(
                    "labels have shape {:?}, the generator reads [{n}, {}]",
                    c.dims(),
                    self.c_dim
                );
                return Err(Error::runtime(message).hint("give one label a code"));
            }
            (Some(_), None) => {
                return Err(Error::runtime(format!(
                    "the generator is conditional: it needs a label of {} numbers",
                    self.c_dim
                ))
                .hint("say which class"));
            }
            (None, Some(_)) => {
                return Err(Error::runtime(
                    "the generator is not conditional, but a label was given",
                )
                .hint("leave the label out"));
            }
            (None, None) => {}
        }
        self.layers.iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

/// `x / √(mean x² + 1e-8)` over the last dimension.
fn normalize(x: &Tensor) -> Result<Tensor> {
    let scale = x.sqr()?.mean_keepdim(D::Minus1)?.affine(1.0, 1e-8)?.sqrt()?.recip()?;
    Ok(x.broadcast_mul(&scale)?)
}
