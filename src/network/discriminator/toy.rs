//! A tiny seeded discriminator for the toy generator: random weights, for tests and examples.

use super::{Discriminator, stylegan2};
use crate::error::Result;
use crate::rng::Rng;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// Channels of its maps.
const WIDTH: usize = 8;

/// A residual discriminator of StyleGAN2 with seeded weights, for square pictures whose side is a
/// power of two from 8; the same numbers for the same seed.
///
/// # Errors
/// When a tensor cannot be made on that device.
pub fn toy(
    seed: u64,
    [channels, side]: [usize; 2],
    device: &Device,
) -> Result<Box<dyn Discriminator>> {
    let mut tensors = BTreeMap::new();
    let mut put = |name: String, shape: &[usize], spread: f32| -> Result<()> {
        let mut rng = Rng::derive(seed, &format!("toy discriminator {name}"));
        let drawn = rng.normals(shape.iter().product()).into_iter().map(|v| v * spread);
        let tensor = Tensor::from_vec(drawn.collect::<Vec<f32>>(), shape, device)?;
        tensors.insert(name, tensor);
        Ok(())
    };
    let mut layer = |name: &str, shape: &[usize]| -> Result<()> {
        put(format!("{name}.weight"), shape, 1.0)?;
        put(format!("{name}.bias"), &shape[..1], 0.2)
    };
    layer(&format!("b{side}.fromrgb"), &[WIDTH, channels, 1, 1])?;
    let sides: Vec<usize> =
        std::iter::successors(Some(side), |s| Some(s / 2)).take_while(|s| *s > 4).collect();
    for side in &sides {
        layer(&format!("b{side}.conv0"), &[WIDTH, WIDTH, 3, 3])?;
        layer(&format!("b{side}.conv1"), &[WIDTH, WIDTH, 3, 3])?;
    }
    layer("b4.conv", &[WIDTH, WIDTH + 1, 3, 3])?;
    layer("b4.fc", &[WIDTH, WIDTH * 16])?;
    layer("b4.out", &[1, WIDTH])?;
    for side in &sides {
        put(format!("b{side}.skip.weight"), &[WIDTH, WIDTH, 1, 1], 1.0)?;
    }
    let weights = Weights::of_tensors("toy", tensors);
    (stylegan2::KIND.read)(weights, "the toy discriminator".into(), device)
}
