//! StyleGAN3, configurations T and R (Karras et al. 2021, "Alias-Free Generative Adversarial
//! Networks"), by the names and the arithmetic of NVIDIA's PyTorch code, and StyleGAN-XL (Sauer et
//! al. 2022), which adds a table of classes, a mean of w for every class, and heads of
//! superresolution.
//!
//! Pictures of any size, square or half as wide as high (StyleGAN-Human), 1 to 4 channels, any
//! number of layers and of features in them, 3×3 (T) or 1×1 (R) convolutions, any filters, with or
//! without labels; all in single precision. The picture can be turned and moved: see
//! [`super::Transform`].

mod config;
mod family;
mod input;
mod layouts;
mod names;
mod refuse;
mod seen;
mod synthesis;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod toy;

pub use config::{Config, Given, InputPlan, LayerPlan};
pub use family::FAMILY;

use super::layers::{Mapping, Named, Reader, replaced, styles_of};
use super::{Generator, Input, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator;
use crate::generator::input::check_labels;
use crate::space::Space;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;
use synthesis::Synthesis;

/// The spaces that its codes can live in.
pub const SPACES: [Space; 4] = [Space::Z, Space::W, Space::WPlus, Space::S];

/// A StyleGAN3 generator.
pub struct StyleGan3 {
    config: Config,
    spec: Spec,
    device: Device,
    mapping: Mapping,
    synthesis: Synthesis,
    mean_w: Tensor,
    /// The mean of w of every class, `[w_dim, c_dim]`, where it is stored.
    class_means: Option<Tensor>,
    parameters: Named,
    buffers: Named,
}

impl StyleGan3 {
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
        let mapping = Mapping::read(&mut r, &config.mapping())?;
        let (mean_w, class_means) = if config.by_class {
            let means = r.buffer("mapping.w_avg", &[config.c_dim, config.w_dim])?;
            (means.mean(0)?, Some(means.t()?.contiguous()?))
        } else {
            (r.buffer("mapping.w_avg", &[config.w_dim])?, None)
        };
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        let device = device.clone();
        Ok(Self {
            config,
            spec,
            device,
            mapping,
            synthesis,
            mean_w,
            class_means,
            parameters,
            buffers,
        })
    }

    /// All tensors, parameters and buffers, by their names in NVIDIA's state dict.
    #[cfg(test)]
    pub fn tensors(&self) -> Named {
        self.parameters.iter().chain(&self.buffers).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The styles of every layer that reads any, one tensor `[N, size]` each, and N.
    fn codes(&self, space: Space, data: &Tensor) -> Result<(Vec<Tensor>, usize)> {
        styles_of(&self.spec, (space, data), &|ws| self.synthesis.styles(ws))
    }
}

impl Generator for StyleGan3 {
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
        self.synthesis.tapped(&styles, input.transform.as_ref(), (from, taps))
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W).then_some(&self.mean_w)
    }

    fn mean_for(&self, space: Space, labels: Option<&Tensor>) -> Result<Option<Tensor>> {
        match (&self.class_means, labels) {
            (Some(means), Some(labels)) if space == Space::W => {
                let n = labels.dims().first().copied().unwrap_or(0);
                check_labels(Some(labels), n, self.config.c_dim)?;
                Ok(Some(linear(labels, means)?))
            }
            _ => Ok(self.mean(space).cloned()),
        }
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
