//! Configuration of an EG3D generator: given, or read from the names and shapes of its tensors.

use crate::error::{Error, Kind, Result};
use crate::generator::camera::{CAMERA, Orbit};
use crate::generator::{family, stylegan2};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Planes of features that a scene is stored in.
pub(super) const PLANES: usize = 3;
/// Channels of a picture.
pub(super) const RGB: usize = 3;

/// Axes of the planes, three vectors each, row by row: xy, xz and zx, as published generators have
/// them.
const AXES: [f64; 9 * PLANES] = [
    1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, //
    1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, //
    0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, //
];

/// Settings given for a model. Its JSON form is the `config` of a `gannet` manifest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Side of the picture that rays are marched for, 64 when not said.
    pub neural_rendering_resolution: Option<usize>,
    /// Settings of the backbone, those of a StyleGAN2.
    pub backbone: stylegan2::Given,
    /// Settings of the renderer, by the keys of the official code.
    pub rendering_kwargs: Option<Rendering>,
    /// Axes of the planes, three 3×3 matrices; those of the official code when not said.
    pub plane_axes: Option<Vec<f64>>,
    /// Settings of the super-resolution.
    pub superresolution: Option<Superresolution>,
}

/// One end of the rays.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum End {
    /// A distance from the camera.
    At(f64),
    /// `auto`: where the ray enters or leaves the box of the planes.
    Word(String),
}

/// Settings of the renderer; the official code's others concern training.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rendering {
    /// Samples of a ray at equal steps.
    pub depth_resolution: usize,
    /// Samples of a ray where the first ones saw something.
    pub depth_resolution_importance: usize,
    /// Beginning of the rays.
    pub ray_start: End,
    /// End of the rays.
    pub ray_end: End,
    /// Side of the box that the planes span.
    pub box_warp: f64,
    /// Whether steps are equal in inverse depth.
    #[serde(default)]
    pub disparity_space_sampling: bool,
    /// What turns densities positive; `softplus` alone is known.
    #[serde(default = "softplus")]
    pub clamp_mode: String,
    /// Whether what no ray hits is white.
    #[serde(default)]
    pub white_back: bool,
    /// Noise on densities, of generators in training; must be 0.
    #[serde(default)]
    pub density_noise: f64,
    /// Whether the mapping network reads zeros in place of a camera.
    #[serde(default)]
    pub c_gen_conditioning_zero: bool,
    /// Factor of the camera that the mapping network reads, 0 when not said.
    #[serde(default)]
    pub c_scale: f64,
    /// Noise of the super-resolution: `none`, `const` or `random`.
    #[serde(default = "none")]
    pub superresolution_noise_mode: String,
    /// Learning-rate multiplier of the decoder.
    #[serde(default = "one")]
    pub decoder_lr_mul: f64,
    /// Distance of the cameras from the origin.
    #[serde(default = "radius")]
    pub avg_camera_radius: f64,
    /// The point that cameras look at.
    #[serde(default)]
    pub avg_camera_pivot: [f64; 3],
}

fn softplus() -> String {
    "softplus".into()
}

fn none() -> String {
    "none".into()
}

fn one() -> f64 {
    1.0
}

fn radius() -> f64 {
    2.7
}

/// Settings of the super-resolution.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Superresolution {
    /// Side of the features that it reads.
    pub input_resolution: usize,
    /// Sides of the maps of its blocks: each as large as before, or twice.
    pub resolutions: Vec<usize>,
    /// Limit of its activations.
    #[serde(default)]
    pub conv_clamp: Option<f64>,
    /// Whether features are averaged when they shrink to `input_resolution`.
    #[serde(default)]
    pub antialias: Option<bool>,
}

/// Configuration of an EG3D generator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// The backbone; its pictures are the planes.
    pub backbone: stylegan2::Config,
    /// Channels of a plane.
    pub features: usize,
    /// Numbers between the decoder's layers.
    pub hidden: usize,
    /// Channels of the decoder's colours.
    pub colors: usize,
    /// Side of the picture that rays are marched for.
    pub rays: usize,
    /// Rows that give the places on the planes, `[6, 3]`: x and y of each.
    pub projection: Vec<f32>,
    /// Settings of the renderer.
    pub rendering: Rendering,
    /// Settings of the super-resolution.
    pub superresolution: Superresolution,
}

fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not an EG3D that gannet can run: {message}"))
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "EG3D")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, and on unsupported settings.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let backbone = self.backbone.complete_features(tensors)?;
        let matrix = |name: &str| match tensors.shape(name) {
            Some(&[outputs, inputs]) if outputs > 0 && inputs > 0 => Ok([outputs, inputs]),
            found => Err(refuse(format!("`{name}` has shape {found:?}, not two dimensions"))
                .hint("`gannet info` shows what the file holds")),
        };
        let [hidden, features] = matrix("decoder.net.0.weight")?;
        let [outputs, inner] = matrix("decoder.net.2.weight")?;
        let missing = |what: &str| {
            refuse(format!("the file does not say `{what}`")).hint(
                "put the settings beside it as config.json: rendering_kwargs, \
                 neural_rendering_resolution and superresolution as in a converted file",
            )
        };
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| "eg3d".into()),
            features,
            hidden,
            colors: outputs - 1,
            rays: self.neural_rendering_resolution.unwrap_or(64),
            projection: projection(self.plane_axes.as_deref().unwrap_or(&AXES))?,
            rendering: self.rendering_kwargs.clone().ok_or_else(|| missing("rendering_kwargs"))?,
            superresolution: self
                .superresolution
                .clone()
                .ok_or_else(|| missing("superresolution"))?,
            backbone,
        };
        if inner != hidden {
            return Err(refuse(format!("the decoder's layers have {hidden} and {inner} numbers"))
                .hint("`gannet info` shows what the file holds"));
        }
        config.check()?;
        match self.img_resolution {
            Some(said) if said != config.resolution() => {
                let seen = config.resolution();
                Err(refuse(format!("`img_resolution` is {said}, its last block has {seen}"))
                    .hint("leave the key out to trust the blocks"))
            }
            _ => Ok(config),
        }
    }
}

impl Config {
    /// Side of the picture.
    pub fn resolution(&self) -> usize {
        self.superresolution.resolutions.last().copied().unwrap_or(0)
    }

    /// Where cameras look at, and from how far.
    pub fn orbit(&self) -> Orbit {
        let r = &self.rendering;
        Orbit { radius: r.avg_camera_radius, pivot: r.avg_camera_pivot }
    }

    /// Beginning and end of every ray; `None` where each has its own.
    pub fn ends(&self) -> Option<[f64; 2]> {
        match (&self.rendering.ray_start, &self.rendering.ray_end) {
            (End::At(start), End::At(end)) => Some([*start, *end]),
            _ => None,
        }
    }

    /// Whether the super-resolution adds noise.
    pub fn noisy(&self) -> bool {
        self.rendering.superresolution_noise_mode != "none"
    }

    fn check(&self) -> Result<()> {
        self.check_parts()?;
        self.check_rendering()?;
        self.check_blocks()
    }

    /// The sizes of the parts must fit each other.
    fn check_parts(&self) -> Result<()> {
        let planes = self.backbone.img_channels;
        if planes != PLANES * self.features || self.colors < RGB {
            return Err(refuse(format!(
                "{planes} channels of planes, {} inputs and {} colours of the decoder",
                self.features, self.colors
            ))
            .hint(
                "three planes with as many channels as the decoder reads, and 3 or more colours",
            ));
        }
        if ![0, CAMERA].contains(&self.backbone.c_dim) {
            return Err(refuse(format!("a label of {} numbers", self.backbone.c_dim))
                .hint("its mapping network reads a camera of 25 numbers, or nothing"));
        }
        Ok(())
    }

    fn check_rendering(&self) -> Result<()> {
        let r = &self.rendering;
        let words = [&r.ray_start, &r.ray_end].map(|end| match end {
            End::At(at) => at.is_finite().then_some(false),
            End::Word(word) => (word == "auto").then_some(true),
        });
        let ends = self.ends().is_none_or(|[start, end]| start < end);
        if !matches!(words, [Some(a), Some(b)] if a == b) || !ends {
            let message = format!("rays from {:?} to {:?}", r.ray_start, r.ray_end);
            return Err(refuse(message).hint("both are numbers, or both are `auto`"));
        }
        // Fewer have no weights to draw by.
        let (coarse, fine) = (r.depth_resolution, r.depth_resolution_importance);
        let fits = (4..=4096).contains(&coarse) && fine <= 4096;
        if !fits || r.disparity_space_sampling && self.ends().is_some_and(|e| e[0] <= 0.0) {
            return Err(refuse(format!("{coarse} and {fine} samples of a ray"))
                .hint("48 and 48 are usual; steps of inverse depth begin in front of the camera"));
        }
        let known = [
            ("clamp_mode", r.clamp_mode == "softplus"),
            ("density_noise", r.density_noise == 0.0),
            ("box_warp", r.box_warp.is_finite() && r.box_warp > 0.0),
            ("c_scale", r.c_scale.is_finite()),
            ("decoder_lr_mul", r.decoder_lr_mul.is_finite() && r.decoder_lr_mul > 0.0),
            ("avg_camera_radius", r.avg_camera_radius.is_finite() && r.avg_camera_radius > 0.0),
            ("avg_camera_pivot", r.avg_camera_pivot.iter().all(|v| v.is_finite())),
            (
                "superresolution_noise_mode",
                ["none", "const", "random"].contains(&r.superresolution_noise_mode.as_str()),
            ),
        ];
        match known.iter().find(|(_, fine)| !fine) {
            Some((key, _)) => Err(refuse(format!("`{key}` of its rendering_kwargs is not known"))
                .hint("clamp_mode softplus, density_noise 0 and box_warp 1 are usual")),
            None => Ok(()),
        }
    }

    fn check_blocks(&self) -> Result<()> {
        let (s, side) = (&self.superresolution, LIMITS.image_side as usize);
        let mut before = s.input_resolution;
        for &resolution in &s.resolutions {
            if resolution != before && Some(resolution) != before.checked_mul(2) {
                return Err(refuse(format!(
                    "a super-resolution from {} over {:?}",
                    s.input_resolution, s.resolutions
                ))
                .hint("every block keeps the size or doubles it"));
            }
            before = resolution;
        }
        if s.resolutions.is_empty() || before > side || !(1..=side).contains(&self.rays) {
            let message = format!("rays for {} pixels, pictures of {before}", self.rays);
            return Err(Error::new(Kind::Limit, message).hint(format!("1 to {side} are supported")));
        }
        if s.input_resolution == 0 || s.conv_clamp.is_some_and(|c| c.is_nan() || c <= 0.0) {
            return Err(refuse(format!("a super-resolution with {s:?}"))
                .hint("an input_resolution of 128 and no conv_clamp are usual"));
        }
        Ok(())
    }
}

/// Rows that give a point's places on planes with these axes: the first two coordinates with
/// respect to the axes, so columns of the inverse of each matrix.
fn projection(axes: &[f64]) -> Result<Vec<f32>> {
    let unfit = || {
        refuse(format!("`plane_axes` {axes:?}"))
            .hint("three matrices of 3 axes each, 27 numbers, that span the space")
    };
    if axes.len() != 9 * PLANES {
        return Err(unfit());
    }
    let mut rows = Vec::new();
    for m in axes.chunks_exact(9) {
        let minor = |r: usize, c: usize| {
            let at = |i: usize, j: usize| m[(r + i) % 3 * 3 + (c + j) % 3];
            at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
        };
        let whole: f64 = (0..3).map(|c| m[c] * minor(0, c)).sum();
        // Entry (k, j) of the inverse is the cofactor (j, k) over the determinant.
        rows.extend(
            (0..2)
                .flat_map(|j| (0..3).map(move |k| (j, k)))
                .map(|(j, k)| (minor(j, k) / whole) as f32),
        );
    }
    if rows.iter().all(|v| v.is_finite()) { Ok(rows) } else { Err(unfit()) }
}
