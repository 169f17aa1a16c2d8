//! BigGAN and BigGAN-deep (Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural
//! Image Synthesis"), and the residual and transposed-convolution generators of the same make:
//! SNGAN, SAGAN and others of PyTorch-StudioGAN.
//!
//! Residual blocks with two or four convolutions, or transposed convolutions; batch norm at rest
//! whose gain and bias read z and the class, the class, or nothing; self attention; spectral
//! normalisation. One table of names serves all of them, so a layout only renames.
//!
//! # Spaces
//! Z is the prior. W is the conditional vector: z, then the part of the class, which is a row
//! of the table of classes or the labels themselves. W+ has one such vector for the first layer and
//! one for each block. A block reads its part of its own row: all of it (BigGAN-deep), the class
//! and its own part of z (hierarchical BigGAN), or the class. So a search in W or W+ finds a class
//! embedding that no class has. Where blocks read nothing, Z is the only space.
//!
//! The mean of W has z = 0 and the mean row of the table.

mod attention;
mod config;
mod family;
mod layer;
mod layouts;
mod norm;
mod refuse;
mod synthesis;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod toy;
mod weight;

pub use config::{Config, Given, Kind, Reads, Stage};
pub use family::FAMILY;

use super::layers::{Named, Reader, replaced};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::{Error, Result};
use crate::generator;
use crate::space::Space;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;
use synthesis::Synthesis;

/// A BigGAN.
pub struct BigGan {
    config: Config,
    spec: Spec,
    device: Device,
    /// The table of classes, `[size, c_dim]`.
    table: Option<Tensor>,
    synthesis: Synthesis,
    /// The mean of W, `[w_dim]`.
    mean_w: Tensor,
    parameters: Named,
    buffers: Named,
}

impl BigGan {
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
        let table = match config.table {
            true => {
                let shape = [config.c_dim, config.class_size];
                Some(r.parameter("embedding.weight", &shape)?.t()?.contiguous()?)
            }
            false => None,
        };
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        let mean_w = mean_w(&config, table.as_ref(), device)?;
        let device = device.clone();
        Ok(Self { config, spec, device, table, synthesis, mean_w, parameters, buffers })
    }

    /// The class's part of w, `[N, class_size]`.
    fn class(&self, n: usize, input: &Input) -> Result<Option<Tensor>> {
        let labels = input.labels_of(n, self.config.c_dim)?;
        Ok(match (labels, &self.table) {
            (Some(labels), Some(table)) => Some(linear(&labels, table)?),
            (labels, _) => labels,
        })
    }

    /// The truncation whose statistics are used: from the first stored above zero to 1.
    fn truncation(&self, input: &Input) -> Result<f64> {
        let truncation = input.truncation.unwrap_or(1.0);
        if self.config.statistics == 1 || (truncation > 0.0 && truncation <= 1.0) {
            return Ok(truncation);
        }
        Err(Error::runtime(format!("a truncation of {truncation}"))
            .hint("statistics are stored for truncations above 0, up to 1"))
    }
}

/// The mean of w over the prior and all classes: z = 0, the mean row of the table.
fn mean_w(c: &Config, table: Option<&Tensor>, device: &Device) -> Result<Tensor> {
    let z = Tensor::zeros(c.z_dim, DType::F32, device)?;
    let class = match (table, c.class_size) {
        (_, 0) => return Ok(z),
        (Some(table), _) => table.detach().mean(1)?,
        (None, size) => Tensor::full(1.0 / size as f32, size, device)?,
    };
    Ok(Tensor::cat(&[z, class], 0)?)
}

impl Generator for BigGan {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        if to != Space::W || self.spec.num_ws == 0 {
            return Err(generator::no_codes(&self.spec, to));
        }
        let n = generator::reads(parent, &[self.spec.z_dim])?;
        Ok(match self.class(n, input)? {
            Some(class) => Tensor::cat(&[parent, &class], 1)?,
            None => parent.clone(),
        })
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = start.parts();
        let n = match (space, self.spec.num_ws) {
            (Space::Z, 0) => generator::reads(data, &[self.spec.z_dim])?,
            (Space::WPlus, rows) if rows > 0 => generator::reads(data, &[rows, self.spec.w_dim])?,
            (_, rows) => {
                let read = if rows == 0 { Space::Z } else { Space::WPlus };
                return Err(Error::runtime(format!("the synthesis reads {read}, not {space}"))
                    .hint(format!("lift the code first: to({read}, code)")));
            }
        };
        generator::check_points(&self.spec, n, from, taps)?;
        let rows = self.synthesis.rows(data)?;
        self.synthesis.tapped(&rows, self.truncation(input)?, (from, taps))
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W && self.spec.num_ws > 0).then_some(&self.mean_w)
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
