//! A tiny seeded plain generator with random weights: for tests, examples and first steps.

use super::{Class, Config, Dcgan, Op};
use crate::error::Result;
use crate::rng::Rng;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Form of the first layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stem {
    /// A transposed convolution of one pixel.
    Transposed,
    /// A fully connected layer, then a reshape.
    Linear,
}

/// Settings of a toy generator.
#[derive(Clone, Debug)]
pub struct Toy {
    /// Seed of the weights.
    pub seed: u64,
    /// Height and width of the first map.
    pub base: [usize; 2],
    /// Number of times the first map is doubled.
    pub doublings: usize,
    /// Channels of its pictures, 1 to 4.
    pub channels: usize,
    /// Channels of its maps.
    pub features: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Number of classes, 0 for none; they are one-hot after z.
    pub c_dim: usize,
    /// Its first layer.
    pub stem: Stem,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            seed: 0,
            base: [4, 4],
            doublings: 2,
            channels: 3,
            features: 8,
            z_dim: 12,
            c_dim: 0,
            stem: Stem::Transposed,
        }
    }
}

impl Toy {
    /// Makes the generator.
    ///
    /// # Errors
    /// When the sizes do not give a picture.
    pub fn build(&self, device: &Device) -> Result<Dcgan> {
        let mut weights = Weights::of_tensors("toy", self.tensors(device)?);
        let fingerprint = weights.fingerprint()?;
        Dcgan::new(&self.config(), &mut weights, &fingerprint, device)
    }

    /// Its settings.
    pub fn config(&self) -> Config {
        let (mut layers, [height, width]) = (Vec::new(), self.base);
        let name = |at: usize| format!("main.{at}");
        match self.stem {
            Stem::Transposed => layers.push(Op::Transposed {
                name: name(0),
                stride: 1,
                padding: 0,
                output_padding: 0,
                cut: 0,
            }),
            Stem::Linear => {
                layers.push(Op::Linear { name: name(0) });
                layers.push(Op::Reshape {
                    channels: self.features,
                    height,
                    width,
                    channels_last: false,
                });
            }
        }
        for step in 0..self.doublings {
            let at = 3 * step;
            layers.push(Op::Norm { name: name(at + 1), eps: 1e-5 });
            layers.push(Op::Relu { slope: 0.0 });
            layers.push(Op::Transposed {
                name: name(at + 3),
                stride: 2,
                padding: 1,
                output_padding: 0,
                cut: 0,
            });
        }
        layers.push(Op::Tanh);
        let class = if self.c_dim > 0 { Class::OneHotLast } else { Class::None };
        Config {
            name: "toy".into(),
            z_dim: self.z_dim,
            c_dim: self.c_dim,
            class,
            layers,
            assumed: Vec::new(),
        }
    }

    /// Its tensors by name.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::new();
        let mut put = |name: String, shape: &[usize], mean: f64, spread: f64| -> Result<()> {
            let mut rng = Rng::derive(self.seed, &name);
            let values: Vec<f32> = (0..shape.iter().product::<usize>())
                .map(|_| (mean + spread * rng.normal()) as f32)
                .collect();
            all.insert(name, Tensor::from_vec(values, shape, device)?);
            Ok(())
        };
        let ([h, w], f, inputs) = (self.base, self.features, self.z_dim + self.c_dim);
        let spread = 1.0 / (self.z_dim as f64).sqrt();
        match self.stem {
            Stem::Transposed => put("main.0.weight".into(), &[inputs, f, h, w], 0.0, spread)?,
            Stem::Linear => {
                put("main.0.weight".into(), &[f * h * w, inputs], 0.0, spread)?;
                put("main.0.bias".into(), &[f * h * w], 0.0, 0.1)?;
            }
        }
        for step in 0..self.doublings {
            let norm = format!("main.{}", 3 * step + 1);
            put(format!("{norm}.weight"), &[f], 1.0, 0.1)?;
            put(format!("{norm}.bias"), &[f], 0.0, 0.2)?;
            put(format!("{norm}.running_mean"), &[f], 0.0, 0.1)?;
            put(format!("{norm}.running_var"), &[f], 1.0, 0.05)?;
            let o = if step + 1 == self.doublings { self.channels } else { f };
            let spread = 0.5 / (f as f64).sqrt();
            put(format!("main.{}.weight", 3 * step + 3), &[f, o, 4, 4], 0.0, spread)?;
        }
        Ok(all)
    }
}
