//! FastGAN (Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot
//! Image Synthesis") and the generator of projected GAN (Sauer et al. 2021, "Projected GANs
//! Converge Faster"), which is a FastGAN.
//!
//! z becomes a map of 4×4, blocks of one or two convolutions double it, and small maps multiply the
//! channels of maps 16 times as large. Square pictures from 8 pixels, 1 to 4 channels, any numbers
//! of features; batch norms that depend on the class. The only space is Z: projected GAN's mapping
//! network gives z itself.
//!
//! Noise: the official code draws it anew in every run. Here [`super::Noise::Const`] is a fixed map
//! a layer, so that a program gives the same bytes each time; `Random` draws as the official code.

mod config;
mod excite;
mod family;
mod layouts;
mod synthesis;

pub use config::{BlockPlan, Config, ConvPlan, Given};
pub use family::FAMILY;

use super::layers::{Drawn, Named, NoiseMaps, Reader, replaced};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;
use synthesis::{Inputs, Synthesis};

/// A FastGAN generator.
pub struct FastGan {
    config: Config,
    spec: Spec,
    device: Device,
    synthesis: Synthesis,
    /// The table of its classes, `[rows, z_dim]`.
    table: Option<Tensor>,
    noise: NoiseMaps,
    parameters: Named,
    buffers: Named,
}

impl FastGan {
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
        let rows = r.shape("embed.weight").ok().and_then(|s| s.first().copied());
        let table =
            rows.map(|rows| r.parameter("embed.weight", &[rows, config.z_dim])).transpose()?;
        let (parameters, buffers) = r.finish();
        let device = device.clone();
        Ok(Self { config, spec, device, synthesis, table, noise, parameters, buffers })
    }

    /// The rows of the classes, `[N, z_dim]`; a mixture of labels gives the mixture of their rows.
    fn class(&self, input: &Input, n: usize) -> Result<Option<Tensor>> {
        let Some(table) = &self.table else { return Ok(None) };
        let Some(labels) = input.labels_of(n, self.config.c_dim)? else { return Ok(None) };
        let rows = table.narrow(0, 0, self.config.c_dim)?.t()?.contiguous()?;
        Ok(Some(linear(&labels, &rows)?))
    }
}

impl Generator for FastGan {
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
        let (class, maps) = (self.class(input, n)?, self.noise.of(&input.noise, n)?);
        self.synthesis.tapped(z, &Inputs { class, maps, from, taps })
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
