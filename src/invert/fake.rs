//! A small generator of tests: normalised z, one leaky layer, pictures by tanh of a linear map a layer, and noise.

use crate::error::Result;
use crate::generator::{Generator, Noise, Spec};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{Device, Tensor};

const Z: usize = 8;
const LAYERS: usize = 4;
const SIDE: usize = 16;
const PIXELS: usize = SIDE * SIDE;

/// A small generator of tests.
pub(super) struct Fake {
    spec: Spec,
    mapping: Tensor,
    layers: Vec<Tensor>,
    mean: Tensor,
    noise: Tensor,
}

impl Fake {
    pub fn new() -> Self {
        let mut rng = Rng::new(77);
        let mut draw = |shape: &[usize], scale: f32| {
            let data: Vec<f32> = rng.normals(shape.iter().product()).into_iter().map(|v| v * scale).collect();
            Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
        };
        let spec = Spec {
            name: "fake".into(),
            family: "fake".into(),
            resolution: SIDE,
            channels: 1,
            z_dim: Z,
            w_dim: Z,
            c_dim: 0,
            num_ws: LAYERS,
            spaces: vec![Space::Z, Space::W, Space::WPlus],
            parameters: 0,
            noise_sizes: vec![SIDE],
            fingerprint: "fa4e".into(),
        };
        let mapping = draw(&[Z, Z], 0.5);
        let layers = (0..LAYERS).map(|_| draw(&[Z, PIXELS], 0.25)).collect();
        let mut fake = Self { spec, mapping, layers, mean: draw(&[Z], 0.0), noise: draw(&[1, 1, SIDE, SIDE], 1.0) };
        let z = draw(&[4000, Z], 1.0);
        fake.mean = fake.map(&z, None).unwrap().mean(0).unwrap();
        fake
    }
}

impl Generator for Fake {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn map(&self, z: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        let z = z.broadcast_div(&(z.sqr()?.mean_keepdim(1)? + 1e-8)?.sqrt()?)?;
        let x = z.matmul(&self.mapping)?;
        Ok(((x.relu()? * 0.8)? + (x * 0.2)?)?)
    }

    fn mean_w(&self) -> &Tensor {
        &self.mean
    }

    fn synthesize(&self, ws: &Tensor, noise: &Noise) -> Result<Tensor> {
        let n = ws.dims()[0];
        let mut x: Option<Tensor> = None;
        for (i, layer) in self.layers.iter().enumerate() {
            let y = ws.narrow(1, i, 1)?.squeeze(1)?.contiguous()?.matmul(layer)?;
            x = Some(match x {
                Some(x) => (x.tanh()? + y)?,
                None => y,
            });
        }
        let x = x.unwrap().reshape((n, 1, SIDE, SIDE))?;
        let map = match noise {
            Noise::Maps(maps) => maps[0].clone(),
            Noise::Const => self.noise.clone(),
            _ => self.noise.zeros_like()?,
        };
        Ok(x.broadcast_add(&(map * 0.05)?)?.tanh()?)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        vec![self.noise.clone()]
    }
}
