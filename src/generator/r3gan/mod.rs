//! R3GAN (Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline"), by the
//! arithmetic of its official code, in single precision.
//!
//! A basis of 4×4 maps weighed by z, then residual blocks with grouped convolutions, doublings by a
//! stored filter, and a 1×1 convolution to the picture; no norm, no noise, no mapping network. A
//! class adds a row of a table behind z. Any number of stages, blocks, channels and groups.

mod config;
mod family;
mod layouts;
mod network;
#[cfg(test)]
mod tests;

pub use family::FAMILY;

use super::layers::{Named, Reader, replaced};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use config::Config;
use network::Network;
use std::sync::Arc;

/// An R3GAN generator.
pub struct R3Gan {
    config: Config,
    spec: Spec,
    device: Device,
    network: Network,
    parameters: Named,
    buffers: Named,
}

impl R3Gan {
    /// Builds the generator from its tensors.
    fn build(source: &mut Weights, config: Config, spec: Spec, device: &Device) -> Result<Self> {
        let mut r = Reader::new(source, device);
        let network = Network::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        Ok(Self { config, spec, device: device.clone(), network, parameters, buffers })
    }
}

impl Generator for R3Gan {
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
        let inputs = || self.network.inputs(z, input.labels_of(n, self.spec.c_dim)?.as_ref());
        self.network.run(inputs, (from, taps))
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
        let copy = Self::build(&mut source, config, spec, &self.device)?;
        Ok(Arc::new(copy))
    }
}
