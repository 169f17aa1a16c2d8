//! StyleGAN3, configurations T and R (Karras et al. 2021, "Alias-Free Generative Adversarial
//! Networks"), by the names and the arithmetic of NVIDIA's PyTorch code.
//!
//! Square pictures of any size, 1 to 4 channels, any number of layers and of features in them, 3×3
//! (T) or 1×1 (R) convolutions, any filters, with or without labels; all in single precision. The
//! picture can be turned and moved: see [`placed`].

mod config;
mod input;
mod names;
mod synthesis;

pub use config::{Config, Given, InputPlan, LayerPlan};

use super::Spec;
use super::layers::{Mapping, Named, Reader};
use super::stylegan2::{Source, Tensors};
use crate::error::{Error, Result};
use crate::space::Space;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;
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
    parameters: Named,
    buffers: Named,
}

impl StyleGan3 {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, when `given` and the tensors disagree, and on
    /// what is not supported. What stays in `source` was not understood.
    pub fn new(
        source: &mut dyn Source,
        given: &Given,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let config = given.complete(source)?;
        let mut r = Reader::new(source, device);
        let mapping = Mapping::read(&mut r, &config.mapping())?;
        let mean_w = r.buffer("mapping.w_avg", &[config.w_dim])?;
        let synthesis = Synthesis::read(&mut r, &config)?;
        let spec = Spec {
            name: config.name.clone(),
            family: "stylegan3".into(),
            resolution: config.img_resolution,
            channels: config.img_channels,
            z_dim: config.z_dim,
            w_dim: config.w_dim,
            c_dim: config.c_dim,
            num_ws: config.num_ws(),
            spaces: SPACES.to_vec(),
            styles: config.styles(),
            parameters: r.parameters(),
            noise_sizes: Vec::new(),
            fingerprint: fingerprint.into(),
        };
        let (parameters, buffers) = r.finish();
        let device = device.clone();
        Ok(Self { config, spec, device, mapping, synthesis, mean_w, parameters, buffers })
    }

    /// What it is made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it is.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The mean of w over the prior, `[w_dim]`.
    pub fn mean_w(&self) -> &Tensor {
        &self.mean_w
    }

    /// All tensors, parameters and buffers, by their names in NVIDIA's state dict.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.parameters.iter().chain(&self.buffers).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// From the prior to the intermediate space: z `[N, z_dim]`, labels `[N, c_dim]` when
    /// conditional → w `[N, w_dim]`.
    ///
    /// # Errors
    /// For a code of other sizes, and for labels where there are none or the other way round.
    pub fn map(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        self.mapping.forward(z, labels)
    }

    /// Style codes (space S) of layered codes: what the affine maps of the Fourier features and of
    /// every layer make of their rows, ws `[N, num_ws, w_dim]` → `[N, s_dim]`.
    ///
    /// # Errors
    /// For a code of other sizes.
    pub fn styles(&self, ws: &Tensor) -> Result<Tensor> {
        self.reads(ws, &[self.spec.num_ws, self.spec.w_dim])?;
        Ok(Tensor::cat(&self.synthesis.styles(ws)?, 1)?)
    }

    /// Pictures of layered codes `[N, num_ws, w_dim]`: `[N, C, R, R]`, nominal range [-1, 1]. The
    /// transform `[N or 1, 3, 3]` is the inverse of how they move: see [`placed`].
    ///
    /// # Errors
    /// For a code or a transform of other sizes.
    pub fn synthesize(&self, ws: &Tensor, transform: Option<&Tensor>) -> Result<Tensor> {
        self.reads(ws, &[self.spec.num_ws, self.spec.w_dim])?;
        self.paint(&self.synthesis.styles(ws)?, transform)
    }

    /// Pictures of style codes: `synthesize_styles(styles(ws))` is `synthesize(ws)`.
    ///
    /// # Errors
    /// For a code or a transform of other sizes.
    pub fn synthesize_styles(&self, s: &Tensor, transform: Option<&Tensor>) -> Result<Tensor> {
        self.reads(s, &[self.spec.s_dim()])?;
        let mut at = 0;
        let part = |layer: &super::StyleLayer| {
            let style = s.narrow(1, at, layer.size)?.contiguous()?;
            at += layer.size;
            Ok(style)
        };
        let styles = self.spec.styles.iter().map(part).collect::<Result<Vec<_>>>()?;
        self.paint(&styles, transform)
    }

    fn paint(&self, styles: &[Tensor], transform: Option<&Tensor>) -> Result<Tensor> {
        let [first, rest @ ..] = styles else {
            return Err(Error::runtime("a StyleGAN3 without layers"));
        };
        let start = self.synthesis.features(first, transform)?;
        rest.iter().enumerate().try_fold(start, |x, (i, s)| self.synthesis.layer(i, &x, s))
    }

    /// A copy whose parameters for which `tuned(name)` holds are variables, to be optimised; the
    /// variables by name. The copy shares the numbers of the others with this generator.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn with_variables(
        &self,
        tuned: impl Fn(&str) -> bool,
    ) -> Result<(Self, BTreeMap<String, Var>)> {
        let mut source = Tensors(self.tensors());
        let mut variables = BTreeMap::new();
        for (name, t) in self.parameters.iter().filter(|(name, _)| tuned(name)) {
            let v = Var::from_tensor(&t.copy()?)?;
            source.0.insert(name.clone(), v.as_tensor().clone());
            variables.insert(name.clone(), v);
        }
        let mut r = Reader::new(&mut source, &self.device);
        let config = self.config.clone();
        let mapping = Mapping::read(&mut r, &config.mapping())?;
        let mean_w = r.buffer("mapping.w_avg", &[config.w_dim])?;
        let synthesis = Synthesis::read(&mut r, &config)?;
        let (parameters, buffers) = r.finish();
        let (spec, device) = (self.spec.clone(), self.device.clone());
        let copy = Self { config, spec, device, mapping, synthesis, mean_w, parameters, buffers };
        Ok((copy, variables))
    }

    /// Refuses codes of other sizes.
    fn reads(&self, codes: &Tensor, sizes: &[usize]) -> Result<()> {
        match codes.dims() {
            [n, rest @ ..] if *n > 0 && rest == sizes => Ok(()),
            other => {
                let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
                Err(Error::runtime(format!(
                    "a code of shape {other:?}, the generator reads [N, {}]",
                    sizes.join(", ")
                ))
                .hint("use a code that was made for this generator"))
            }
        }
    }
}

/// The transform `[1, 3, 3]` under which a picture is drawn turned by `degrees` counterclockwise
/// and then moved by `shift`, in sides of the picture to the right and down.
///
/// That is the inverse of `[[cos, sin, x], [−sin, cos, y], [0, 0, 1]]`, which moves points of the
/// picture (x to the right, y down, from its centre): the convention of the official `gen_images`
/// script, `--rotate` and `--translate`.
///
/// # Errors
/// When the device fails.
pub fn placed(degrees: f64, shift: [f64; 2], device: &Device) -> Result<Tensor> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let [x, y] = shift;
    let back = [-(cos * x - sin * y), -(sin * x + cos * y)];
    let rows = [cos, -sin, back[0], sin, cos, back[1], 0.0, 0.0, 1.0];
    Ok(Tensor::from_vec(rows.map(|v| v as f32).to_vec(), (1, 3, 3), device)?)
}
