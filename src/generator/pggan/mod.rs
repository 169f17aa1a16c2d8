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

use super::layers::growing::{Epsilon, pixel_norm};
use super::layers::{Named, Reader, with_variables};
use super::{Generator, Input, Spec, Start, Tap, Tapped, Variables};
use crate::error::{Error, Result};
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
    fn inputs(&self, z: &Tensor, input: &Input) -> Result<Tensor> {
        let n = generator::reads(z, &[self.spec.z_dim])?;
        let classes = self.spec.c_dim;
        let z =
            if self.config.given.normalize_z { pixel_norm(z, Epsilon::USUAL)? } else { z.clone() };
        match input.labels_for(n)? {
            None if classes == 0 => Ok(z),
            Some(labels) if classes > 0 && labels.dims() == [n, classes] => {
                Ok(Tensor::cat(&[&z, &labels], 1)?)
            }
            None => Err(Error::runtime(format!(
                "the generator is conditional: it needs a label of {classes} numbers"
            ))
            .hint("say which class")),
            Some(_) if classes == 0 => {
                Err(Error::runtime("the generator is not conditional, but a label was given")
                    .hint("leave the label out"))
            }
            Some(labels) => Err(Error::runtime(format!(
                "labels have shape {:?}, the generator reads [{n}, {classes}]",
                labels.dims()
            ))
            .hint("give one label a code")),
        }
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
        Err(Error::runtime(format!("PGGAN computes no codes of {to}")).hint("its only space is Z"))
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = match *start {
            Start::Code { space, data } => (None, space, data),
            Start::Feature { feature, space, data } => (Some(feature), space, data),
        };
        if space != Space::Z {
            return Err(
                Error::runtime(format!("PGGAN reads Z, not {space}")).hint("its only space is Z")
            );
        }
        let n = generator::reads(data, &[self.spec.z_dim])?;
        generator::check_points(&self.spec, n, from, taps)?;
        match from {
            Some(feature) => self.synthesis.tapped(Ok(feature), taps),
            None => self.synthesis.tapped(Err(&self.inputs(data, input)?), taps),
        }
    }

    fn mean(&self, _: Space) -> Option<&Tensor> {
        None
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    fn tuned(&self, which: &dyn Fn(&str) -> bool) -> Result<(Arc<dyn Generator>, Variables)> {
        let (tensors, variables) = with_variables((&self.parameters, &self.buffers), which)?;
        let mut source = Weights::of_tensors(&self.spec.name, tensors);
        let (config, spec) = (self.config.clone(), self.spec.clone());
        Ok((Arc::new(Self::build(&mut source, config, spec, &self.device)?), variables))
    }
}
