//! stylegan2-pytorch by lucidrains, after StyleGAN2 (Karras et al. 2020): the same outline with
//! another arithmetic.
//!
//! Weights have no scale at run time, styles add to 1, maps are doubled bilinearly before a
//! convolution, and the picture is doubled and blurred after each block's part is added. Square
//! pictures of any power of two, RGB or RGBA, any numbers of features, a constant or a map of the
//! styles as first map, linear attention; versions of the package from 1.1. A W+ code has a row a
//! block. Its discriminator's quantised features do not concern a generator.
//!
//! The official code trains on pictures in [0, 1] and clamps to that; pictures here are `2x − 1` of
//! what the network gives, not clamped. Noise is one map of the picture's size, drawn uniformly in
//! [0, 1) in every run, of which each layer reads the upper left part, transposed. Here
//! [`super::Noise::Const`] is a fixed map, so that a program gives the same bytes each time, and
//! [`super::Noise::None`] a map of zeros.

mod config;
mod family;
mod layouts;
mod mapping;
mod synthesis;

pub use config::{BlockPlan, Config, Given};
pub use family::FAMILY;

use super::layers::{
    Drawn, Named, NoiseMaps, Reader, mean_of_mapping, mean_or, replaced, styles_of,
};
use super::{Generator, Input, Spec, Start, Tap, Tapped, early};
use crate::error::Result;
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use mapping::Mapping;
use std::sync::Arc;
use synthesis::{Styles, Synthesis};

/// A StyleGAN2 generator by lucidrains.
pub struct LucidrainsStyleGan2 {
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

impl LucidrainsStyleGan2 {
    /// Builds the generator from its tensors; `fingerprint` identifies them. A mean of w that is
    /// not stored is computed.
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
        Self::build(source, (config, spec), None, device)
    }

    fn build(
        source: &mut Weights,
        (config, spec): (Config, Spec),
        mean_w: Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let noise = NoiseMaps::new(&spec.noise_sizes, Drawn::Uniform, device)?;
        let mut r = Reader::new(source, device);
        let mapping = Mapping::read(&mut r, &config)?;
        let synthesis = Synthesis::read(&mut r, &config)?;
        let mean_w = match mean_w {
            Some(mean) => mean,
            None => mean_or(&mut r, config.dim, || {
                mean_of_mapping(config.dim, device, &|z, _| mapping.forward(z))
            })?,
        };
        let (parameters, buffers) = r.finish();
        let device = device.clone();
        Ok(Self { config, spec, device, mapping, synthesis, noise, mean_w, parameters, buffers })
    }

    /// The styles of a code of W+ or S.
    fn styles(&self, space: Space, data: &Tensor) -> Result<Styles> {
        let rows = |ws: &Tensor| self.synthesis.styles(ws);
        let (layers, n) = styles_of(&self.spec, (space, data), &rows)?;
        let mean = (space == Space::WPlus).then(|| data.mean(1)).transpose()?;
        Ok(Styles { layers, mean, n })
    }
}

impl Generator for LucidrainsStyleGan2 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, _: &Input) -> Result<Tensor> {
        match to {
            Space::W => {
                generator::reads(parent, &[self.spec.z_dim])?;
                self.mapping.forward(parent)
            }
            Space::S if !self.config.no_const => {
                Ok(Tensor::cat(&self.styles(Space::WPlus, parent)?.layers, 1)?)
            }
            other => Err(generator::no_codes(&self.spec, other)),
        }
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = start.parts();
        let styles = self.styles(space, data)?;
        let early = early::requested(&self.spec, &self.early_sides(), taps)?;
        let points = if early.is_some() { &[] } else { taps };
        generator::check_points(&self.spec, styles.n, from, points)?;
        let noise = self.noise.of(&input.noise, styles.n)?;
        let noise = noise.first().and_then(Option::as_ref);
        self.synthesis.tapped(&styles, noise, (from, taps))
    }

    fn early_sides(&self) -> Vec<usize> {
        self.synthesis.early_sides()
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
        let what = (self.config.clone(), self.spec.clone());
        let copy = Self::build(&mut source, what, Some(self.mean_w.clone()), &self.device)?;
        Ok(Arc::new(copy))
    }
}
