//! The mapping network of StyleGAN2, StyleGAN3 and StyleGAN-XL.

use super::{Dense, Reader, mean_of_mapping};
use crate::error::{Error, Kind, Result};
use crate::tensor::{Activation, linear};
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

/// What the label adds to z.
enum Embedding {
    /// A fully connected layer of the labels.
    Dense(Dense),
    /// Rows of a table `[size, classes]`, weighed by the labels, and a fully connected layer after
    /// them (StyleGAN-XL). The official code takes the row of the largest label; for one-hot labels
    /// that is the same, and here labels have gradients.
    Table(Tensor, Dense),
}

impl Embedding {
    /// Reads `mapping.embed`, and `mapping.embed_proj` where it is there.
    fn read(r: &mut Reader<'_>, classes: usize) -> Result<(Self, usize)> {
        let table = r.shape("mapping.embed.weight")?;
        let first = table.first().copied().unwrap_or(0);
        if !r.has("mapping.embed_proj.weight") {
            let dense = Dense::read(r, "mapping.embed", [classes, first], 1.0)?;
            return Ok((Self::Dense(dense), first));
        }
        let [rows, size] = match table[..] {
            [rows, size] if rows >= classes => [rows, size],
            _ => return Err(few(&table, classes)),
        };
        let features = r.shape("mapping.embed_proj.weight")?.first().copied().unwrap_or(0);
        let rows = r.parameter("mapping.embed.weight", &[rows, size])?;
        let dense = Dense::read(r, "mapping.embed_proj", [size, features], 1.0)?;
        let used = rows.narrow(0, 0, classes)?.t()?.contiguous()?;
        Ok((Self::Table(used, dense.activated(Activation::LRELU)), features))
    }

    /// Labels `[N, c_dim]` → `[N, features]`.
    fn forward(&self, labels: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(dense) => dense.forward(labels),
            Self::Table(table, dense) => dense.forward(&linear(labels, table)?),
        }
    }
}

fn few(table: &[usize], classes: usize) -> Error {
    let message = format!("`mapping.embed.weight` has shape {table:?} for {classes} classes");
    Error::new(Kind::Format, message).hint("the table needs a row for every class")
}

/// The mapping network from z and the label to w.
pub(in crate::generator) struct Mapping {
    embed: Option<Embedding>,
    layers: Vec<Dense>,
    z_dim: usize,
    c_dim: usize,
}

impl Mapping {
    /// Reads `mapping.embed`, `mapping.embed_proj` where it is there, and `mapping.fc0`,
    /// `mapping.fc1`, … .
    pub(in crate::generator) fn read(r: &mut Reader<'_>, c: &MappingSizes) -> Result<Self> {
        let mut width = c.z_dim;
        let mut embed = None;
        if c.c_dim > 0 {
            let (embedding, features) = Embedding::read(r, c.c_dim)?;
            embed = Some(embedding);
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
