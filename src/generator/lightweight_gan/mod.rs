//! lightweight-gan by lucidrains, after FastGAN (Liu et al. 2021, "Towards Faster and Stabilized
//! GAN Training for High-fidelity Few-shot Image Synthesis").
//!
//! z becomes a map of 4×4 whose pixels have length 1, blocks double it, and small maps multiply the
//! channels of maps 8 times as large. Square pictures of any power of two from 8 pixels; RGB, RGBA
//! or grey; with or without blur, attention, and either kind of excitation; versions of the package
//! from 0.16 on. The only space is Z.
//!
//! The official code trains on pictures in [0, 1] and clamps to that; pictures here are `2x − 1` of
//! what the network gives, not clamped. It draws noise anew in every run: here
//! [`super::Noise::Const`] is a fixed map a layer, so that a program gives the same bytes each
//! time.

mod config;
mod excite;
mod family;
mod layouts;
mod synthesis;

pub use config::{BlockPlan, Config, Excites, Given};
pub use family::FAMILY;

use super::layers::{Drawn, Named, NoiseMaps, Reader, replaced};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;
use synthesis::Synthesis;

/// A lightweight GAN.
pub struct LightweightGan {
    config: Config,
    spec: Spec,
    device: Device,
    synthesis: Synthesis,
    noise: NoiseMaps,
    parameters: Named,
    buffers: Named,
}

impl LightweightGan {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape. Tensors left in `source` were not understood.
    pub fn new(
        source: &mut Weights,
        config: Config,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let spec = family::spec(&config, source.list(), fingerprint);
        let noise = NoiseMaps::new(&spec.noise_sizes, Drawn::Normal, device)?;
        let mut r = Reader::new(source, device);
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        let device = device.clone();
        Ok(Self { config, spec, device, synthesis, noise, parameters, buffers })
    }
}

impl Generator for LightweightGan {
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
        self.synthesis.tapped(z, self.noise.of(&input.noise, n)?, (from, taps))
    }

    fn mean(&self, _: Space) -> Option<&Tensor> {
        None
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.noise.fixed()
    }

    fn weights(&self) -> Result<Named> {
        Ok(self.parameters.clone())
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let mut source = replaced(&self.spec.name, (&self.parameters, &self.buffers), weights)?;
        let (config, fingerprint) = (self.config.clone(), &self.spec.fingerprint);
        let copy = Self::new(&mut source, config, fingerprint, &self.device)?;
        Ok(Arc::new(copy))
    }
}
