//! A tiny seeded StyleGAN2 with random weights: for tests, examples and first steps.

use super::prior_space::with_prior_spaces;
use super::stylegan2::{Architecture, Given, StyleGan2};
use super::{Generator, Input};
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Draws whose mean is the toy's `w_avg`.
const AVERAGED: usize = 1000;
/// The mapping network's learning-rate multiplier.
const LR: f64 = 0.01;

/// The toy generator of a seed: 32 pixels, three channels, 8 layers; the same numbers for the same
/// seed, in milliseconds.
pub fn toy(seed: u64, device: &Device) -> Result<Arc<dyn Generator>> {
    Ok(with_prior_spaces(Arc::new(Toy { seed, ..Toy::default() }.build(device)?)))
}

/// Settings of a toy generator; the default is the one that [`toy`] makes.
#[derive(Clone, Debug)]
pub struct Toy {
    /// Seed of the weights.
    pub seed: u64,
    /// Side of its pictures: a power of two from 4.
    pub resolution: usize,
    /// Channels of its pictures.
    pub channels: usize,
    /// Features at 4 and 8 pixels; half as many at every further doubling, at least four.
    pub features: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Dimensions of the label, 0 for none.
    pub c_dim: usize,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// Connection of its blocks.
    pub architecture: Architecture,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            seed: 0,
            resolution: 32,
            channels: 3,
            features: 16,
            z_dim: 16,
            w_dim: 16,
            c_dim: 0,
            mapping_layers: 2,
            architecture: Architecture::Skip,
        }
    }
}

impl Toy {
    /// Makes the generator.
    ///
    /// Errors on a resolution that is not a power of two from 4, and on sizes of zero.
    pub fn build(&self, device: &Device) -> Result<StyleGan2> {
        let mut tensors = self.tensors(device)?;
        // The mean of w needs the mapping network; a first build with a mean of zero lends it.
        let mut first = Weights::of_tensors("toy", tensors.clone());
        let draft = StyleGan2::new(&mut first, &self.given(), "", device)?;
        tensors.insert("mapping.w_avg".into(), self.average(&draft)?);
        let mut weights = Weights::of_tensors("toy", tensors);
        let fingerprint = weights.fingerprint()?;
        StyleGan2::new(&mut weights, &self.given(), &fingerprint, device)
    }

    /// Settings besides the tensors.
    pub fn given(&self) -> Given {
        Given {
            name: Some("toy".into()),
            mapping_lr_multiplier: Some(LR),
            architecture: Some(self.architecture),
            ..Given::default()
        }
    }

    /// Features at a resolution.
    fn width(&self, resolution: usize) -> usize {
        (self.features * 8 / resolution).clamp(self.features.min(4), self.features)
    }

    /// Its tensors by name; the mean of w is still zero.
    pub fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        let sizes = [self.channels, self.features, self.z_dim, self.w_dim];
        if !self.resolution.is_power_of_two() || self.resolution < 4 || sizes.contains(&0) {
            return Err(Error::runtime(format!(
                "cannot make a toy generator of {} pixels and sizes {sizes:?}",
                self.resolution
            ))
            .hint("the resolution must be a power of two from 4, and no size zero"));
        }
        let mut d = Draw { seed: self.seed, device, tensors: BTreeMap::new() };
        let mut width = self.z_dim;
        if self.c_dim > 0 {
            d.dense("mapping.embed", self.c_dim, self.w_dim, 1.0, 0.0)?;
            width += self.w_dim;
        }
        for i in 0..self.mapping_layers {
            d.dense(&format!("mapping.fc{i}"), width, self.w_dim, 1.0 / LR, 0.0)?;
            width = self.w_dim;
        }
        d.put("mapping.w_avg", &[self.w_dim], 0.0, 0.0)?;
        let (mut resolution, mut inputs) = (4, 0);
        while resolution <= self.resolution {
            inputs = self.block(&mut d, resolution, inputs)?;
            resolution *= 2;
        }
        Ok(d.tensors)
    }

    fn block(&self, d: &mut Draw<'_>, resolution: usize, inputs: usize) -> Result<usize> {
        let (name, outputs) = (format!("synthesis.b{resolution}"), self.width(resolution));
        if inputs == 0 {
            d.put(&format!("{name}.const"), &[outputs, 4, 4], 0.0, 1.0)?;
        } else {
            self.layer(d, &format!("{name}.conv0"), resolution, [inputs, outputs])?;
        }
        self.layer(d, &format!("{name}.conv1"), resolution, [outputs, outputs])?;
        if self.architecture == Architecture::Skip || resolution == self.resolution {
            let torgb = format!("{name}.torgb");
            d.dense(&format!("{torgb}.affine"), self.w_dim, outputs, 1.0, 1.0)?;
            // With features of about unit variance, the pictures then span about [-1, 1].
            let share = if self.architecture == Architecture::Skip {
                self.resolution.ilog2() - 1
            } else {
                1
            };
            let spread = 0.4 / f64::from(share).sqrt();
            d.put(&format!("{torgb}.weight"), &[self.channels, outputs, 1, 1], 0.0, spread)?;
            d.put(&format!("{torgb}.bias"), &[self.channels], 0.0, 0.05)?;
        }
        if inputs > 0 && self.architecture == Architecture::Resnet {
            d.put(&format!("{name}.skip.weight"), &[outputs, inputs, 1, 1], 0.0, 1.0)?;
        }
        Ok(outputs)
    }

    fn layer(
        &self,
        d: &mut Draw<'_>,
        name: &str,
        resolution: usize,
        [inputs, outputs]: [usize; 2],
    ) -> Result<()> {
        d.dense(&format!("{name}.affine"), self.w_dim, inputs, 2.5, 1.0)?;
        d.put(&format!("{name}.weight"), &[outputs, inputs, 3, 3], 0.0, 1.0)?;
        d.put(&format!("{name}.bias"), &[outputs], 0.0, 0.2)?;
        d.put(&format!("{name}.noise_const"), &[resolution, resolution], 0.0, 1.0)?;
        d.put(&format!("{name}.noise_strength"), &[], 0.05, 0.0)
    }

    /// The mean of w over a thousand draws of z (and of labels), `[w_dim]`.
    fn average(&self, draft: &StyleGan2) -> Result<Tensor> {
        let device = draft.device();
        let z = Rng::derive(self.seed, "toy w_avg").normals(AVERAGED * self.z_dim);
        let z = Tensor::from_vec(z, (AVERAGED, self.z_dim), device)?;
        let labels = if self.c_dim > 0 {
            let hot: Vec<f32> = (0..AVERAGED * self.c_dim)
                .map(|i| if i / self.c_dim % self.c_dim == i % self.c_dim { 1.0 } else { 0.0 })
                .collect();
            Some(Tensor::from_vec(hot, (AVERAGED, self.c_dim), device)?)
        } else {
            None
        };
        let mean = draft
            .enter(Space::W, &z, &Input { labels, ..Input::default() })?
            .mean(0)?
            .to_vec1::<f32>()?;
        // Rounded, so that the last bits of one machine's arithmetic do not give another toy.
        let mean: Vec<f32> = mean.into_iter().map(|v| (v * 4096.0).round() / 4096.0).collect();
        Ok(Tensor::from_vec(mean, self.w_dim, device)?)
    }
}

/// Random tensors, each from a stream of its own name.
pub(super) struct Draw<'a> {
    pub(super) seed: u64,
    pub(super) device: &'a Device,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Draw<'_> {
    /// A tensor with the given mean and spread.
    pub(super) fn put(
        &mut self,
        name: &str,
        shape: &[usize],
        mean: f64,
        spread: f64,
    ) -> Result<()> {
        let mut rng = Rng::derive(self.seed, name);
        let data: Vec<f32> =
            (0..shape.iter().product()).map(|_| (mean + spread * rng.normal()) as f32).collect();
        self.tensors.insert(name.into(), Tensor::from_vec(data, shape, self.device)?);
        Ok(())
    }

    /// Weights and bias of a fully connected layer.
    pub(super) fn dense(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        spread: f64,
        bias: f64,
    ) -> Result<()> {
        self.put(&format!("{name}.weight"), &[outputs, inputs], 0.0, spread)?;
        self.put(&format!("{name}.bias"), &[outputs], bias, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Noise, codes, spaces};

    fn pictures(g: &dyn Generator, n: usize) -> Tensor {
        let codes = spaces::sample(g, n, spaces::Draw { seed: 1, ..spaces::Draw::default() })
            .expect("codes");
        codes::synthesize(g, &codes, &Input::default()).expect("pictures")
    }

    #[test]
    fn pictures_fill_their_range_and_differ() {
        for seed in 0..4 {
            let g = toy(seed, &Device::Cpu).expect("toy");
            let p = pictures(g.as_ref(), 16);
            assert_eq!(p.dims(), [16, 3, 32, 32]);
            let rows = p.flatten_from(1).expect("flat").to_vec2::<f32>().expect("rows");
            let all: Vec<f32> = rows.concat();
            let std = (all.iter().map(|v| v * v).sum::<f32>() / all.len() as f32).sqrt();
            assert!((0.25..0.9).contains(&std), "seed {seed}: rms {std}");
            let inside = all.iter().filter(|v| v.abs() <= 1.0).count() as f32 / all.len() as f32;
            assert!(inside > 0.8, "seed {seed}: {inside} inside [-1, 1]");
            for i in 1..16 {
                let d = rows[0].iter().zip(&rows[i]).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
                    / rows[0].len() as f32;
                assert!(d.sqrt() > 0.1, "seed {seed}: pictures 0 and {i} differ by {}", d.sqrt());
            }
        }
    }

    #[test]
    fn a_seed_is_one_generator() {
        let [a, b, c] = [1, 1, 2].map(|s| toy(s, &Device::Cpu).expect("toy"));
        assert_eq!(a.spec(), b.spec());
        assert_ne!(a.spec().fingerprint, c.spec().fingerprint);
        assert_eq!(
            (a.spec().num_ws, a.spec().noise_sizes.as_slice()),
            (8, &[4, 8, 8, 16, 16, 32, 32].map(|side| [side, side])[..])
        );
        let mean = spaces::mean(a.as_ref(), Space::W, None).expect("mean");
        let norm = mean
            .point()
            .sqr()
            .and_then(|t| t.sum_all())
            .and_then(|t| t.to_scalar::<f32>())
            .expect("norm");
        assert!(norm > 0.01, "w_avg is computed, not left zero: {norm}");
    }

    #[test]
    fn every_configuration_runs() {
        for (i, architecture) in
            [Architecture::Skip, Architecture::Resnet, Architecture::Orig].into_iter().enumerate()
        {
            for resolution in [4, 8, 16] {
                let toy = Toy {
                    resolution,
                    channels: i + 2,
                    features: 5,
                    c_dim: i,
                    architecture,
                    ..Toy::default()
                };
                let g = toy.build(&Device::Cpu).expect("toy");
                let labels = (i > 0).then(|| {
                    Tensor::ones((2, i), candle_core::DType::F32, &Device::Cpu).expect("labels")
                });
                let z = Tensor::ones((2, 16), candle_core::DType::F32, &Device::Cpu).expect("z");
                let input = Input {
                    noise: Noise::Random { seed: 3, first: 0 },
                    labels,
                    ..Input::default()
                };
                let p = spaces::picture(&g, &z, Space::Z, &input).expect("picture");
                assert_eq!(p.dims(), [2, i + 2, resolution, resolution]);
            }
        }
        assert!(Toy { resolution: 24, ..Toy::default() }.build(&Device::Cpu).is_err());
    }
}
