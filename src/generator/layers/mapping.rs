//! The mapping network of StyleGAN2 and StyleGAN3.

use super::{Dense, Reader, mean_of_mapping};
use crate::error::{Error, Result};
use crate::tensor::Activation;
use candle_core::{D, Device, Tensor};

/// Sizes of a mapping network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::generator) struct MappingSizes {
    /// Dimensions of z.
    pub(in crate::generator) z_dim: usize,
    /// Dimensions of the label, 0 for none.
    pub(in crate::generator) c_dim: usize,
    /// Dimensions of w.
    pub(in crate::generator) w_dim: usize,
    /// Number of layers.
    pub(in crate::generator) layers: usize,
    /// Learning-rate multiplier of the layers.
    pub(in crate::generator) lr: f64,
}

/// The mapping network from z and the label to w.
pub(in crate::generator) struct Mapping {
    embed: Option<Dense>,
    layers: Vec<Dense>,
    z_dim: usize,
    c_dim: usize,
}

impl Mapping {
    /// Reads `mapping.embed` and `mapping.fc0`, `mapping.fc1`, … .
    pub(in crate::generator) fn read(r: &mut Reader<'_>, c: &MappingSizes) -> Result<Self> {
        let mut width = c.z_dim;
        let mut embed = None;
        if c.c_dim > 0 {
            let features = r.shape("mapping.embed.weight")?.first().copied().unwrap_or(0);
            embed = Some(Dense::read(r, "mapping.embed", [c.c_dim, features], 1.0)?);
            width += features;
        }
        let mut layers = Vec::new();
        for i in 0..c.layers {
            let name = format!("mapping.fc{i}");
            let last = i + 1 == c.layers;
            let out = if last {
                c.w_dim
            } else {
                r.shape(&format!("{name}.weight"))?.first().copied().unwrap_or(0)
            };
            layers.push(Dense::read(r, &name, [width, out], c.lr)?.activated(Activation::LRELU));
            width = out;
        }
        Ok(Self { embed, layers, z_dim: c.z_dim, c_dim: c.c_dim })
    }

    /// The mean of w over the prior, `[w_dim]`; the classes of a conditional generator take turns.
    pub(in crate::generator) fn mean(&self, device: &Device) -> Result<Tensor> {
        let c = self.c_dim;
        mean_of_mapping(self.z_dim, device, &|z, first| {
            if c == 0 {
                return self.forward(z, None);
            }
            let n = z.dim(0)?;
            let hot = |i: usize| (0..c).map(move |k| f32::from(u8::from((first + i) % c == k)));
            let labels = Tensor::from_iter((0..n).flat_map(hot), device)?.reshape((n, c))?;
            self.forward(z, Some(&labels))
        })
    }

    /// z `[N, z_dim]`, labels `[N, c_dim]` → w `[N, w_dim]`.
    pub(in crate::generator) fn forward(
        &self,
        z: &Tensor,
        labels: Option<&Tensor>,
    ) -> Result<Tensor> {
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
