//! EG3D (Chan et al. 2022), by the names and the arithmetic of NVIDIA's code.
//!
//! A StyleGAN2 backbone draws three planes of features. Rays of a camera read them, a small network
//! decodes what they read to colour and density, and the sums along the rays are raised to the
//! picture by two more blocks of StyleGAN2. In single precision.
//!
//! The official code scatters the samples of a ray at random, and two of its runs differ. Here they
//! lie in the middle of their steps; [`Noise::Random`] scatters them by its seed.
//!
//! The mapping network reads a camera, as the label of a code: that of a frontal view where none is
//! given. What [`Input::camera`] says is the view, again the frontal one where it is missing.

mod config;
mod family;
mod layouts;
mod rays;
#[cfg(test)]
mod tests;
mod upscale;
mod volume;

pub use config::{Config, End, Given, Rendering, Superresolution};
pub use family::FAMILY;

use super::camera::{CAMERA, Camera, Orbit};
use super::layers::{Mapping, Named, NoiseMaps, Parameters, Reader};
use super::stylegan2::{Styles, Synthesis};
use super::{Generator, Input, Noise, Spec, Start, Tap, Tapped};
use crate::error::{Error, Result};
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use config::PLANES;
use rays::Jitter;
use std::sync::Arc;
use upscale::Upscale;
use volume::Decoder;

/// An EG3D generator.
pub struct Eg3d {
    given: Given,
    config: Config,
    spec: Spec,
    device: Device,
    mapping: Mapping,
    backbone: Synthesis,
    decoder: Decoder,
    upscale: Upscale,
    mean_w: Tensor,
    parameters: Parameters,
    buffers: Named,
}

/// The spaces that its codes can live in.
pub const SPACES: [Space; 3] = [Space::Z, Space::W, Space::WPlus];

impl Eg3d {
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
        let mut r = Reader::new(source, device);
        let mapping = Mapping::read(&mut r, &config.backbone.mapping())?;
        let mean_w = r.buffer("mapping.w_avg", &[config.backbone.w_dim])?;
        let backbone = Synthesis::read(&mut r, &config.backbone, false)?;
        let decoder = Decoder::read(&mut r, &config)?;
        let upscale = Upscale::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish_styled();
        Ok(Self {
            given: given.clone(),
            config,
            spec,
            device: device.clone(),
            mapping,
            backbone,
            decoder,
            upscale,
            mean_w,
            parameters,
            buffers,
        })
    }

    /// The camera that the mapping network reads for `n` codes, `[n, 25]`; `None` where it reads
    /// none.
    fn condition(&self, input: &Input, n: usize) -> Result<Option<Tensor>> {
        let r = &self.config.rendering;
        if self.config.backbone.c_dim == 0 {
            return Ok(None);
        }
        let labels = match input.labels_for(n)? {
            Some(labels) => labels,
            None => self.frontal()?.broadcast_as((n, CAMERA))?.contiguous()?,
        };
        if labels.dims() != [n, CAMERA] {
            let message = format!("a label of shape {:?} for {n} codes", labels.dims());
            return Err(Error::runtime(message).hint(
                "EG3D's label is a camera of 25 numbers; leave it out for the frontal view",
            ));
        }
        let scale = if r.c_gen_conditioning_zero { 0.0 } else { r.c_scale };
        Ok(Some((labels * scale)?))
    }

    /// The frontal camera, `[1, 25]`.
    fn frontal(&self) -> Result<Tensor> {
        Camera::FRONTAL.numbers(&self.config.orbit(), &self.device)
    }

    /// The cameras of `n` pictures, `[n, 25]`.
    fn cameras(&self, input: &Input, n: usize) -> Result<Tensor> {
        let camera = match &input.camera {
            Some(camera) => camera.clone(),
            None => self.frontal()?,
        };
        match camera.dims() {
            [rows, CAMERA] if *rows == n => Ok(camera),
            [1, CAMERA] => Ok(camera.broadcast_as((n, CAMERA))?.contiguous()?),
            other => Err(Error::runtime(format!("cameras of shape {other:?} for {n} pictures"))
                .hint("a camera is 25 numbers: one for all pictures, or one each")),
        }
    }

    /// What cameras see of planes `[N, 3·F, H, W]`: features `[N, C, R, R]` and depth
    /// `[N, 1, R, R]`.
    fn seen(&self, planes: &Tensor, input: &Input) -> Result<[Tensor; 2]> {
        let (n, channels, h, w) = planes.dims4()?;
        let cameras = self.cameras(input, n)?;
        let split = planes.reshape((n, PLANES, channels / PLANES, h, w))?;
        // Channels last: a point then reads runs of neighbours.
        let split = split.permute((0, 1, 3, 4, 2))?.contiguous()?;
        let side = self.config.rays;
        let (mut colors, mut depths) = (Vec::new(), Vec::new());
        for i in 0..n {
            let rays = rays::rays(&cameras.narrow(0, i, 1)?, side)?;
            let mut jitter = match input.noise {
                Noise::Random { seed, first } => Jitter::seeded(seed, first + i),
                _ => Jitter::none(),
            };
            let planes = split.narrow(0, i, 1)?;
            let seen = volume::march(&self.config, &self.decoder, &planes, &rays, &mut jitter)?;
            let map = |t: &Tensor| t.t()?.contiguous()?.reshape((1, (), side, side));
            colors.push(map(&seen.colors)?);
            depths.push(map(&seen.depth)?);
        }
        Ok([Tensor::cat(&colors, 0)?, Tensor::cat(&depths, 0)?])
    }

    /// The noise maps of the backbone, then those of the super-resolution where it adds noise.
    fn stored_noise(&self) -> [Vec<Tensor>; 2] {
        let backbone = self.backbone.noise().map(|l| l.map.clone()).collect();
        let upscale = if self.config.noisy() { self.upscale.noise() } else { Vec::new() };
        [backbone, upscale]
    }
}

impl Generator for Eg3d {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        if to != Space::W {
            return Err(generator::no_codes(&self.spec, to));
        }
        let n = parent.dims().first().copied().unwrap_or(0);
        self.mapping.forward(parent, self.condition(input, n)?.as_ref())
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, ws) = start.parts();
        if space != Space::WPlus {
            return Err(Error::runtime(format!("the synthesis reads W+, not {space}"))
                .hint("lift the code first: to(W+, code)"));
        }
        let n = generator::reads(ws, &[self.spec.num_ws, self.spec.w_dim])?;
        generator::check_points(&self.spec, n, from, taps)?;
        let [stored, above] = self.stored_noise();
        let all = [&stored[..], &above[..]].concat();
        let mut maps = NoiseMaps::stored(all, &self.device)?.of(&input.noise, n)?;
        let above = maps.split_off(stored.len()).into_iter();
        // The backbone's picture is the planes.
        let mut wanted: Vec<Tap> =
            taps.iter().copied().filter(|t| matches!(t, Tap::Layer(_))).collect();
        let [picture, depth] = [Tap::Picture, Tap::Depth].map(|t| taps.contains(&t));
        if picture || depth {
            wanted.push(Tap::Picture);
        }
        let rows = Styles::of_rows(ws);
        let mut tapped = self.backbone.tapped(rows, maps.into_iter(), n, (from, &wanted))?;
        let Some(planes) = tapped.picture.take().filter(|_| picture || depth) else {
            return Ok(tapped);
        };
        let [colors, depths] = self.seen(&planes, input)?;
        tapped.depth = depth.then_some(depths);
        if picture {
            tapped.picture = Some(self.upscale.forward(&colors, ws, above)?);
        }
        Ok(tapped)
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W).then_some(&self.mean_w)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.stored_noise().concat()
    }

    fn orbit(&self) -> Option<Orbit> {
        Some(self.config.orbit())
    }

    fn weights(&self) -> Result<Named> {
        self.parameters.all()
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let mut source = self.parameters.replaced(&self.config.name, &self.buffers, weights)?;
        let copy = Self::new(&mut source, &self.given, &self.spec.fingerprint, &self.device)?;
        Ok(Arc::new(copy))
    }
}
