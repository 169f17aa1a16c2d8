//! StyleGAN, the first of its name (Karras et al. 2019, "A Style-Based Generator Architecture for
//! Generative Adversarial Networks"), by the arithmetic of NVIDIA's TensorFlow code.
//!
//! Square pictures of any power of two from 4 pixels, 1 to 4 channels, any number of features a
//! layer, with or without labels; at any level of detail: a network that was stored while a
//! resolution faded in gives the same blend of two resolutions. Not run: a first layer other than
//! the constant, other norms than instance normalisation.
//!
//! A style code has two numbers for each channel of a layer, first all scales, then all shifts:
//! `x · (s + 1) + t`.
//!
//! Its tensors: `mapping.fc{i}`, `mapping.embed.weight` `[c_dim, z_dim]`, `mapping.w_avg`, and of
//! the synthesis `b4.const`, `lod`, `b{R}.conv0` and `conv1` with `weight` (but `b4.conv0`),
//! `bias`, `affine`, `noise_strength` `[C]`, `noise_const` `[R, R]`, and `b{R}.torgb`.

mod config;
mod family;
mod layouts;
mod mapping;
mod refuse;
mod synthesis;
#[cfg(test)]
mod tests;

pub use config::{Config, FusedScale, Given, LayerPlan};
pub use family::FAMILY;

use super::layers::{COMPUTED, Named, NoiseMaps, Reader, W_AVG, mean_or, replaced, styles_of};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use mapping::Mapping;
use std::sync::Arc;
use synthesis::Synthesis;

/// The spaces that its codes can live in.
pub const SPACES: [Space; 4] = [Space::Z, Space::W, Space::WPlus, Space::S];

/// A StyleGAN generator.
pub struct StyleGan1 {
    config: Config,
    spec: Spec,
    device: Device,
    mapping: Mapping,
    synthesis: Synthesis,
    noise: NoiseMaps,
    mean_w: Tensor,
    parameters: Named,
    buffers: Named,
}

impl StyleGan1 {
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
        let mapping = Mapping::read(&mut r, &config)?;
        let mean_w = match r.has(W_AVG) {
            true => r.buffer(W_AVG, &[config.w_dim])?,
            false => mean_or(&mut r, config.w_dim, || mapping.mean(device))?,
        };
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, mut buffers) = r.finish();
        // A copy with other weights keeps the mean.
        buffers.remove(COMPUTED);
        buffers.insert(W_AVG.into(), mean_w.clone());
        let noise = NoiseMaps::stored(synthesis.noise().cloned().collect(), device)?;
        let device = device.clone();
        Ok(Self { config, spec, device, mapping, synthesis, noise, mean_w, parameters, buffers })
    }

    /// The styles of every layer, one tensor `[N, size]` each, and N.
    fn codes(&self, space: Space, data: &Tensor) -> Result<(Vec<Tensor>, usize)> {
        styles_of(&self.spec, (space, data), &|ws| self.synthesis.styles(ws))
    }
}

impl Generator for StyleGan1 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        match to {
            Space::W => {
                let labels = input.labels_for(parent.dims().first().copied().unwrap_or(0))?;
                self.mapping.forward(parent, labels.as_ref())
            }
            Space::S => Ok(Tensor::cat(&self.codes(Space::WPlus, parent)?.0, 1)?),
            other => Err(generator::no_codes(&self.spec, other)),
        }
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = start.parts();
        let (styles, n) = self.codes(space, data)?;
        generator::check_points(&self.spec, n, from, taps)?;
        let maps = self.noise.of(&input.noise, n)?;
        self.synthesis.tapped(&styles, maps, (from, taps))
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W).then_some(&self.mean_w)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.noise.fixed()
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
