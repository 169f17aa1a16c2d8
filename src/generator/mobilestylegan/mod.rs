//! MobileStyleGAN (Belousov 2021, arXiv 2104.04767): a StyleGAN2 made small by distillation, with
//! separable convolutions, and wavelets in place of upsampling filters.
//!
//! A constant and a styled 3×3 convolution; then blocks that scale their input by styles, double
//! its side by an inverse Haar wavelet and run two separable convolutions (3×3 of every channel,
//! then 1×1). The demodulation does not depend on the styles, so it is part of the weights. The
//! picture is the inverse wavelet of the bands that the last block's head makes. The mapping
//! network is that of the StyleGAN2 it was taught by, so its directions in W apply.

mod config;
mod family;
mod layer;
mod layouts;
mod mapping;
mod synthesis;
#[cfg(test)]
mod tests;

pub use config::{Config, Given};
pub use family::FAMILY;

use super::layers::{Named, NoiseMaps, Reader, W_AVG, mean_or, replaced, styles_of};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::generator::input::check_labels;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use mapping::Mapping;
use std::sync::Arc;
use synthesis::Synthesis;

/// The spaces that its codes can live in.
pub const SPACES: [Space; 4] = [Space::Z, Space::W, Space::WPlus, Space::S];

/// A MobileStyleGAN generator.
pub struct MobileStyleGan {
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

impl MobileStyleGan {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, and on unsupported settings. Tensors left in
    /// `source` were not understood.
    pub fn new(
        source: &mut Weights,
        given: &Given,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let config = given.complete(source.list())?;
        let spec = family::spec(&config, source.list(), fingerprint);
        Self::build(source, config, spec, (device, None))
    }

    /// Builds the generator; `mean` is the mean of w where it is known.
    fn build(
        source: &mut Weights,
        config: Config,
        spec: Spec,
        (device, mean): (&Device, Option<&Tensor>),
    ) -> Result<Self> {
        let mut r = Reader::new(source, device);
        let mapping = Mapping::read(&mut r, &config)?;
        let stored = mean_of_file(&mut r, &config)?;
        let mean_w = match stored.or(mean.cloned()) {
            Some(mean) => mean,
            None => mean_or(&mut r, config.w_dim, || mapping.mean(device))?,
        };
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        let noise = NoiseMaps::stored(synthesis.noise(), device)?;
        let device = device.clone();
        Ok(Self { config, spec, device, mapping, synthesis, noise, mean_w, parameters, buffers })
    }

    /// The styles of every layer that reads any, one tensor `[N, size]` each, and N.
    fn codes(&self, space: Space, data: &Tensor) -> Result<(Vec<Tensor>, usize)> {
        styles_of(&self.spec, (space, data), &|ws| self.synthesis.styles(ws))
    }
}

/// The mean of w that a file stores, `[w_dim]`: the first of its rows, which are all equal.
fn mean_of_file(r: &mut Reader<'_>, c: &Config) -> Result<Option<Tensor>> {
    if !r.has(W_AVG) {
        return Ok(None);
    }
    let shape = r.shape(W_AVG)?;
    let stored = r.buffer(W_AVG, &shape)?;
    match shape[..] {
        [n] if n == c.w_dim => Ok(Some(stored)),
        [rows, n] if n == c.w_dim && (rows == 1 || rows == c.num_ws()) => {
            Ok(Some(stored.narrow(0, 0, 1)?.squeeze(0)?.contiguous()?))
        }
        _ => Err(config::refuse(format!("`{W_AVG}` is {shape:?}, w has {} numbers", c.w_dim))),
    }
}

impl Generator for MobileStyleGan {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        match to {
            Space::W => {
                check_labels(input.labels.as_ref(), 1, 0)?;
                self.mapping.forward(parent)
            }
            Space::S => Ok(Tensor::cat(&self.codes(Space::WPlus, parent)?.0, 1)?),
            other => Err(generator::no_codes(&self.spec, other)),
        }
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = start.parts();
        let (styles, n) = self.codes(space, data)?;
        generator::check_points(&self.spec, n, from, taps)?;
        self.synthesis.tapped(&styles, &self.noise.of(&input.noise, n)?, (from, taps))
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
        let mean = Some(&self.mean_w);
        let copy = Self::build(&mut source, config, spec, (&self.device, mean))?;
        Ok(Arc::new(copy))
    }
}
