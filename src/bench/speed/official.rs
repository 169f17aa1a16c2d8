//! A StyleGAN2 of the published widths with random weights: as much work as a trained one, and no
//! file.

use crate::error::{Error, Kind, Result};
use crate::generator::stylegan2::{Given, StyleGan2};
use crate::rng::Rng;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Dimensions of w.
const W_DIM: usize = 512;
/// Features of a layer at most (`channel_max`).
const WIDEST: usize = 512;
/// Channels of the picture.
const PICTURE: usize = 3;

/// The name of the rows.
pub const NAME: &str = "official";

/// `channel_base`: 32768, and half of it in the published networks of 256² (`fmaps=0.5`).
const fn base(resolution: usize) -> usize {
    if resolution == 256 { 16384 } else { 32768 }
}

/// Features at one side of a network of that resolution.
fn width(resolution: usize, side: usize) -> usize {
    (base(resolution) / side).min(WIDEST)
}

/// Refuses sides that no network has.
///
/// # Errors
/// When it is not a power of two from 4 to 1024.
pub fn check(resolution: usize) -> Result<()> {
    if resolution.is_power_of_two() && (4..=1024).contains(&resolution) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("there is no StyleGAN2 of {resolution} pixels a side"))
        .hint("a power of two from 4 to 1024: --resolution 64,256"))
}

/// The generator of a seed. It has no mapping network, as mapping is not timed.
///
/// # Errors
/// As [`check`].
pub fn build(resolution: usize, seed: u64, device: &Device) -> Result<StyleGan2> {
    check(resolution)?;
    let drawn: Result<Vec<(String, Tensor)>> =
        plan(resolution).into_par_iter().map(|p| Ok((p.name.clone(), p.draw(seed)?))).collect();
    let mut tensors = Weights::of_tensors(NAME, drawn?.into_iter().collect());
    let given = Given { name: Some(NAME.into()), ..Given::default() };
    StyleGan2::new(&mut tensors, &given, &format!("{NAME} {resolution} {seed}"), device)
}

/// A tensor to be drawn from N(mean, spread²).
struct Part {
    name: String,
    shape: Vec<usize>,
    mean: f64,
    spread: f64,
}

impl Part {
    fn draw(&self, seed: u64) -> Result<Tensor> {
        let mut rng = Rng::derive(seed, &self.name);
        let one = |_| (self.mean + self.spread * rng.normal()) as f32;
        let data: Vec<f32> = (0..self.shape.iter().product()).map(one).collect();
        Ok(Tensor::from_vec(data, self.shape.as_slice(), &Device::Cpu)?)
    }
}

/// All tensors, as the official code initialises them; only noise counts for something, so that its
/// work is not lost.
fn plan(resolution: usize) -> Vec<Part> {
    let mut all = Vec::new();
    let mut put = |name: String, shape: &[usize], mean: f64, spread: f64| {
        all.push(Part { name, shape: shape.to_vec(), mean, spread });
    };
    put("mapping.w_avg".into(), &[W_DIM], 0.0, 0.0);
    let mut inputs = 0;
    for side in (2..=resolution.ilog2()).map(|i| 1usize << i) {
        let (block, outputs) = (format!("synthesis.b{side}"), width(resolution, side));
        let mut layers = vec![("conv1", outputs, outputs, 3), ("torgb", outputs, PICTURE, 1)];
        if inputs == 0 {
            put(format!("{block}.const"), &[outputs, 4, 4], 0.0, 1.0);
        } else {
            layers.insert(0, ("conv0", inputs, outputs, 3));
        }
        for (layer, inputs, outputs, taps) in layers {
            let name = format!("{block}.{layer}");
            put(format!("{name}.weight"), &[outputs, inputs, taps, taps], 0.0, 1.0);
            put(format!("{name}.bias"), &[outputs], 0.0, 0.0);
            put(format!("{name}.affine.weight"), &[inputs, W_DIM], 0.0, 1.0);
            put(format!("{name}.affine.bias"), &[inputs], 1.0, 0.0);
            if layer != "torgb" {
                put(format!("{name}.noise_const"), &[side, side], 0.0, 1.0);
                put(format!("{name}.noise_strength"), &[], 0.1, 0.0);
            }
        }
        inputs = outputs;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Generator, Input, spaces};
    use crate::space::Space;
    use candle_core::DType;

    #[test]
    fn widths_are_the_published_ones() {
        let of = |r: usize| (2..=r.ilog2()).map(|i| width(r, 1 << i)).collect::<Vec<_>>();
        assert_eq!(of(64), [512, 512, 512, 512, 512]);
        assert_eq!(of(256), [512, 512, 512, 512, 256, 128, 64]);
        assert_eq!(of(1024), [512, 512, 512, 512, 512, 256, 128, 64, 32]);
        // Config f at 1024² has 28.27 million parameters in its synthesis network (30.37 with the
        // mapping's 2.10).
        let parts = plan(1024);
        let buffers = ["noise_const", "w_avg"];
        let parameters = parts.iter().filter(|p| !buffers.iter().any(|b| p.name.ends_with(b)));
        let count: usize = parameters.map(|p| p.shape.iter().product::<usize>()).sum();
        assert_eq!(count, 30_370_060 - 8 * (512 * 512 + 512));
    }

    #[test]
    fn a_random_one_makes_pictures_that_are_numbers() {
        let g = build(8, 3, &Device::Cpu).expect("generator");
        assert_eq!(
            (g.spec().num_ws, g.spec().noise_sizes.as_slice()),
            (4, &[[4, 4], [8, 8], [8, 8]][..])
        );
        let ws = Tensor::ones((2, 4, 512), DType::F32, &Device::Cpu).expect("ws");
        let p = spaces::picture(&g, &ws, Space::WPlus, &Input::default()).expect("pictures");
        assert_eq!(p.dims(), [2, 3, 8, 8]);
        let size =
            p.sqr().and_then(|p| p.mean_all()).and_then(|m| m.to_scalar::<f32>()).expect("mean");
        assert!(size.is_finite() && size > 1e-3, "{size}");
        assert!(check(96).is_err() && check(2).is_err() && check(2048).is_err());
    }
}
