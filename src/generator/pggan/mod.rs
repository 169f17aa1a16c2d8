//! PGGAN, also called ProGAN (Karras et al. 2018, "Progressive Growing of GANs for Improved
//! Quality, Stability, and Variation"), by the arithmetic of NVIDIA's TensorFlow code.
//!
//! Square pictures of any power of two from 4 pixels, 1 to 4 channels, any number of features a
//! layer, with or without labels beside z; at any level of detail: a network that was stored while
//! a resolution faded in gives the same blend of two resolutions.
//!
//! Its tensors, R the side of a map: `b4.dense.weight` `[16·O, I]`, `b4.conv`, `bR.conv0` (after
//! doubling the map by repeating its pixels), `bR.conv1`, `bR.torgb`, each with weight and bias,
//! and `lod`, a number. Layouts with fused upsampling turn its weights: `layers/growing.rs`.

mod config;
mod family;
mod layouts;
mod refuse;
mod synthesis;
#[cfg(test)]
mod tests;

pub use config::{Block, Config, Given};
pub use family::FAMILY;

use super::layers::{Epsilon, Named, Reader, pixel_norm, replaced};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;
use synthesis::Synthesis;

/// The spaces that its codes can live in.
pub const SPACES: [Space; 1] = [Space::Z];

/// A PGGAN generator.
pub struct Pggan {
    config: Config,
    spec: Spec,
    device: Device,
    synthesis: Synthesis,
    parameters: Named,
    buffers: Named,
}

impl Pggan {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, when `given` and the tensors disagree, and on
    /// unsupported settings. Tensors left in `source` were not understood.
    pub fn new(
        source: &mut Weights,
        given: &Given,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let config = given.complete(source.list())?;
        let spec = family::spec(&config, source.list(), fingerprint);
        Self::build(source, config, spec, device)
    }

    fn build(source: &mut Weights, config: Config, spec: Spec, device: &Device) -> Result<Self> {
        let mut r = Reader::new(source, device);
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        Ok(Self { config, spec, device: device.clone(), synthesis, parameters, buffers })
    }

    /// Input of the first layer: z and the label, `[N, z_dim + c_dim]`.
    fn inputs(&self, z: &Tensor, n: usize, input: &Input) -> Result<Tensor> {
        let z =
            if self.config.given.normalize_z { pixel_norm(z, Epsilon::USUAL)? } else { z.clone() };
        Ok(match input.labels_of(n, self.spec.c_dim)? {
            Some(labels) => Tensor::cat(&[&z, &labels], 1)?,
            None => z,
        })
    }
}

impl Generator for Pggan {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, _: &Tensor, _: &Input) -> Result<Tensor> {
        Err(generator::no_codes(&self.spec, to))
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, z, n) = generator::from_z(&self.spec, start, taps)?;
        match from {
            Some(feature) => self.synthesis.tapped(Ok(feature), taps),
            None => self.synthesis.tapped(Err(&self.inputs(z, n, input)?), taps),
        }
    }

    fn mean(&self, _: Space) -> Option<&Tensor> {
        None
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    fn weights(&self) -> Result<Named> {
        Ok(self.parameters.clone())
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let mut source = replaced(&self.spec.name, (&self.parameters, &self.buffers), weights)?;
        let (config, spec) = (self.config.clone(), self.spec.clone());
        Ok(Arc::new(Self::build(&mut source, config, spec, &self.device)?))
    }
}
