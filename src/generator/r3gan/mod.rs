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

use super::layers::{Named, Reader, with_variables};
use super::{Generator, Input, Spec, Start, Tap, Tapped, Variables};
use crate::error::{Error, Result};
use crate::generator;
use crate::safe::Safe;
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

    /// What the first layer reads of a code and of the labels, `[N, z_dim + embedded]`.
    fn inputs(&self, z: &Tensor, input: &Input) -> Result<Tensor> {
        let n = generator::reads(z, &[self.config.z_dim])?;
        let (name, classes) = (Safe(&self.spec.name), self.config.c_dim);
        let labels = input.labels_for(n)?;
        let (message, hint) = match (&labels, classes) {
            (None, 0) => return Ok(z.clone()),
            (Some(c), classes) if classes > 0 && c.dims() == [n, classes] => {
                return self.network.inputs(z, Some(c));
            }
            (Some(_), 0) => (format!("{name} has no classes"), "leave the label out"),
            (Some(c), _) => {
                (format!("labels of shape {:?} for {classes} classes", c.dims()), "give `class: 0`")
            }
            (None, _) => (format!("{name} is conditional on {classes} classes"), "give `class: 0`"),
        };
        Err(Error::runtime(message).hint(hint))
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
        Err(Error::runtime(format!("R3GAN computes no codes of {to}")).hint("its only space is Z"))
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = match *start {
            Start::Code { space, data } => (None, space, data),
            Start::Feature { feature, space, data } => (Some(feature), space, data),
        };
        if space != Space::Z {
            return Err(
                Error::runtime(format!("R3GAN reads Z, not {space}")).hint("its only space is Z")
            );
        }
        let n = data.dims().first().copied().unwrap_or(0);
        generator::check_points(&self.spec, n, from, taps)?;
        self.network.run(|| self.inputs(data, input), (from, taps))
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
        let copy = Self::build(&mut source, config, spec, &self.device)?;
        Ok((Arc::new(copy), variables))
    }
}
