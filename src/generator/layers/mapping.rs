//! The mapping network of StyleGAN2, StyleGAN3 and StyleGAN-XL.

use super::{Dense, Reader, mean_of_mapping, normalize};
use crate::error::{Error, Kind, Result};
use crate::generator;
use crate::generator::input::check_labels;
use crate::tensor::{Activation, linear};
use candle_core::{Device, Tensor};

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
    /// Rows of a table `[size, classes]`, weighed by the labels and put beside z before both are
    /// normalised together (Karras et al. 2020, without the later ADA).
    Beside(Tensor),
}

/// The table of [`Embedding::Beside`], `[classes, size]`.
pub(in crate::generator) const BESIDE: &str = "mapping.label.weight";

impl Embedding {
    /// Reads `mapping.label`, or `mapping.embed` and `mapping.embed_proj` where it is there.
    fn read(r: &mut Reader<'_>, classes: usize) -> Result<(Self, usize)> {
        if r.has(BESIDE) {
            let size = r.shape(BESIDE)?.get(1).copied().unwrap_or(0);
            let rows = r.parameter(BESIDE, &[classes, size])?;
            return Ok((Self::Beside(rows.t()?.contiguous()?), size));
        }
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
            Self::Beside(table) => Ok(linear(labels, table)?),
        }
    }

    /// What the layers read: z `[N, z_dim]` and labels `[N, c_dim]`, normalised.
    fn beside(&self, z: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let features = self.forward(labels)?;
        match self {
            Self::Beside(_) => normalize(&Tensor::cat(&[z, &features], 1)?),
            _ => Ok(Tensor::cat(&[&normalize(z)?, &normalize(&features)?], 1)?),
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
    /// Reads `mapping.embed` with `mapping.embed_proj` where it is there, or `mapping.label`, and
    /// `mapping.fc0`, `mapping.fc1`, … .
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
        let n = generator::reads(z, &[self.z_dim])?;
        check_labels(labels, n, self.c_dim)?;
        let x = match (&self.embed, labels) {
            (Some(embed), Some(labels)) => embed.beside(z, labels)?,
            _ => normalize(z)?,
        };
        self.layers.iter().try_fold(x, |x, layer| layer.forward(&x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;
    use std::collections::BTreeMap;

    /// Labels beside z have the length of both together; embedded ones have their own.
    #[test]
    fn labels_beside_z_are_normalised_with_it() {
        let tensor = |v: &[f32], shape: &[usize]| {
            Tensor::from_vec(v.to_vec(), shape, &Device::Cpu).expect("tensor")
        };
        let z = tensor(&[3.0, 4.0], &[1, 2]);
        let labels = tensor(&[0.0, 2.0], &[1, 2]);
        let forward = |name: &str, table: Tensor, bias: bool| {
            let mut all = BTreeMap::from([(format!("mapping.{name}.weight"), table)]);
            if bias {
                all.insert(format!("mapping.{name}.bias"), tensor(&[0.0], &[1]));
            }
            let mut weights = Weights::of_tensors("mapping", all);
            let mut r = Reader::new(&mut weights, &Device::Cpu);
            let sizes = MappingSizes { z_dim: 2, c_dim: 2, w_dim: 3, layers: 0, lr: 1.0 };
            let mapping = Mapping::read(&mut r, &sizes).expect("mapping");
            let w = mapping.forward(&z, Some(&labels)).expect("w");
            w.flatten_all().and_then(|w| w.to_vec1::<f32>()).expect("numbers")
        };
        let near = |a: &[f32], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        // 2 · 6 = 12 beside 3 and 4: a length of 13, and three numbers.
        let scale = 3f32.sqrt() / 13.0;
        let beside = forward("label", tensor(&[1.0, 6.0], &[2, 1]), false);
        assert!(near(&beside, [3.0 * scale, 4.0 * scale, 12.0 * scale]), "{beside:?}");
        let apart = forward("embed", tensor(&[1.0, 6.0], &[1, 2]), true);
        let scale = 2f32.sqrt() / 5.0;
        assert!(near(&apart, [3.0 * scale, 4.0 * scale, 1.0]), "{apart:?}");
    }
}
