//! A tiny seeded StyleGAN3 with random weights, for tests.

use super::config::Rates;
use super::{Given, StyleGan3};
use crate::error::Result;
use crate::generator::toy::Draw;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// Settings of a toy generator.
#[derive(Clone, Debug)]
pub(crate) struct Toy {
    /// Seed of the weights.
    pub(crate) seed: u64,
    /// Side of its pictures.
    pub(crate) resolution: usize,
    /// Channels of every layer.
    pub(crate) features: usize,
    /// Dimensions of the label, 0 for none.
    pub(crate) c_dim: usize,
    /// Whether labels choose rows of a table and means of w, as in StyleGAN-XL.
    pub(crate) by_class: bool,
    /// Layers before the one that makes the picture.
    pub(crate) num_layers: usize,
    /// Configuration R: 1×1 convolutions and non-separable filters.
    pub(crate) radial: bool,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            seed: 0,
            resolution: 16,
            features: 6,
            c_dim: 0,
            by_class: false,
            num_layers: 4,
            radial: false,
        }
    }
}

/// Dimensions of z and of w.
const DIM: usize = 8;

impl Toy {
    /// Makes the generator.
    pub(crate) fn build(&self, device: &Device) -> Result<StyleGan3> {
        let mut weights = Weights::of_tensors("toy3", self.tensors(device)?);
        let fingerprint = weights.fingerprint()?;
        StyleGan3::new(&mut weights, &self.given(), &fingerprint, device)
    }

    /// Settings besides the tensors.
    pub(crate) fn given(&self) -> Given {
        Given { name: Some("toy3".into()), margin_size: Some(4), ..Given::default() }
    }

    /// Its tensors by name.
    pub(crate) fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        let given = self.given();
        let rates = given.rates(self.resolution, self.num_layers)?;
        let mut d = Draw { seed: self.seed, device, tensors: BTreeMap::new() };
        let means: &[usize] = if self.by_class { &[self.c_dim, DIM] } else { &[DIM] };
        if self.by_class {
            // A table may have more rows than there are classes.
            d.put("mapping.embed.weight", &[self.c_dim + 1, 3], 0.0, 1.0)?;
            d.dense("mapping.embed_proj", 3, DIM, 1.0, 0.0)?;
        } else if self.c_dim > 0 {
            d.dense("mapping.embed", self.c_dim, DIM, 1.0, 0.0)?;
        }
        let read = if self.c_dim > 0 { 2 * DIM } else { DIM };
        d.dense("mapping.fc0", read, DIM, 100.0, 0.0)?;
        d.dense("mapping.fc1", DIM, DIM, 100.0, 0.0)?;
        d.put("mapping.w_avg", means, 0.0, 0.2)?;
        let c = self.features;
        d.put("synthesis.input.weight", &[c, c], 0.0, 1.0)?;
        d.put("synthesis.input.freqs", &[c, 2], 0.0, rates.bandwidth / 2.0)?;
        d.put("synthesis.input.phases", &[c], 0.0, 0.3)?;
        d.dense("synthesis.input.affine", DIM, 4, 0.0, 1.0)?;
        let upright = Tensor::from_vec(vec![1f32, 0.0, 0.0, 0.0], 4, device)?;
        d.tensors.insert("synthesis.input.affine.bias".into(), upright);
        let eye = Tensor::eye(3, candle_core::DType::F32, device)?;
        d.tensors.insert("synthesis.input.transform".into(), eye);
        for i in 0..=self.num_layers {
            self.layer(&mut d, (&given, &rates), i)?;
        }
        Ok(d.tensors)
    }

    fn layer(&self, d: &mut Draw<'_>, (given, rates): (&Given, &Rates), i: usize) -> Result<()> {
        let torgb = i == self.num_layers;
        let outputs = if torgb { 3 } else { self.features };
        let name = format!("synthesis.L{i}_{}_{outputs}", rates.sizes[i]);
        let k = if torgb || self.radial { 1 } else { 3 };
        d.dense(&format!("{name}.affine"), DIM, self.features, 1.0, 1.0)?;
        d.put(&format!("{name}.weight"), &[outputs, self.features, k, k], 0.0, 1.0)?;
        d.put(&format!("{name}.bias"), &[outputs], 0.0, 0.2)?;
        d.put(&format!("{name}.magnitude_ema"), &[], 0.9, 0.0)?;
        let [up, down] = given.resampling(rates, i).taps;
        let critical = i + 2 >= self.num_layers;
        let [before, rate] = [i.saturating_sub(1), i].map(|i| rates.sampling[i]);
        let between = before.max(rate) * 2.0;
        let bands = [before.min(between / 2.0), rate].map(|rate| rate / 2.0 / between);
        for (which, taps, band, round) in [
            ("up_filter", up, bands[0], false),
            ("down_filter", down, bands[1], self.radial && !critical),
        ] {
            if taps > 1 {
                let (values, shape) = lowpass(taps, band, round);
                let filter = Tensor::from_vec(values, shape, d.device)?;
                d.tensors.insert(format!("{name}.{which}"), filter);
            }
        }
        Ok(())
    }
}

/// A low-pass filter of `taps` taps that keeps frequencies up to `band` cycles a tap: a line, or a
/// matrix that depends on the distance from its middle alone.
fn lowpass(taps: usize, band: f64, round: bool) -> (Vec<f32>, Vec<usize>) {
    let middle = (taps as f64 - 1.0) / 2.0;
    let at = |r: f64| {
        let x = 2.0 * band * r;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
        let edge = (r / (middle + 0.5)).min(1.0);
        sinc * (0.5 + 0.5 * (PI * edge).cos())
    };
    let line = (0..taps).map(|i| i as f64 - middle);
    let (values, shape): (Vec<f64>, Vec<usize>) = if round {
        let place = |y: f64| line.clone().map(move |x| x.hypot(y));
        (line.clone().flat_map(place).map(at).collect(), vec![taps, taps])
    } else {
        (line.map(|x| at(x.abs())).collect(), vec![taps])
    };
    let sum: f64 = values.iter().sum();
    (values.into_iter().map(|v| (v / sum) as f32).collect(), shape)
}
