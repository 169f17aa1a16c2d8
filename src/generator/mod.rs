//! Generators: from latent codes to pictures, with gradients.
//!
//! A generator is a chain of named points: a code of the prior, the spaces above it, the layers of
//! the synthesis network, the picture. [`Generator::enter`] goes from one space to the next,
//! [`Generator::run`] from a code or a feature map to layers and picture. [`spaces`] has what
//! callers need of both.

mod affine;
pub mod alignment;
mod batches;
pub mod biggan;
mod camera;
pub mod codes;
mod compose;
pub mod dcgan;
#[cfg(test)]
pub mod dummy_family;
mod early;
pub mod eg3d;
pub mod export;
pub mod family;
pub mod fastgan;
mod input;
mod layers;
pub mod lightweight_gan;
mod load;
pub mod lucidrains_stylegan2;
pub mod mobilestylegan;
pub mod pggan;
pub mod pose;
mod prior_space;
pub mod r3gan;
pub mod registry;
mod roots;
pub mod spaces;
pub mod stylegan1;
pub mod stylegan2;
pub mod stylegan3;
pub mod toy;
pub mod whitening;

pub use affine::{Affine, Pointwise};
pub use batches::{batch_size, depths, each_batch, maps, pictures};
pub use camera::{CAMERA, Camera, Orbit};
pub use early::not_on_the_way;
pub use input::{Input, Noise, Transform};
pub use layers::Named;
pub use load::{convert, load};
#[cfg(test)]
pub use prior_space::with_samples_of_w;
pub use toy::toy;

use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::space::{Dims, Space};
use crate::words;
use alignment::StyleDirections;
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;
use whitening::Whitening;

/// One layer's part of a style code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StyleLayer {
    /// The layer, as its tensors are called: `b8.conv0`.
    pub name: String,
    /// The row of a W+ code that its styles are computed from.
    pub row: usize,
    /// Number of styles that it reads.
    pub size: usize,
}

/// A point inside the synthesis network whose feature map can be read and replaced.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Layer {
    /// The layer, as its tensors are called: `b8.conv0`.
    pub name: String,
    /// Channels of its map.
    pub channels: usize,
    /// Height of its map.
    pub height: usize,
    /// Width of its map.
    pub width: usize,
}

impl Layer {
    /// A layer whose map is a square of that side.
    fn square(name: impl Into<String>, channels: usize, side: usize) -> Self {
        Self { name: name.into(), channels, height: side, width: side }
    }
}

/// Inputs of a generator besides a code; see [`Input`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Inputs {
    /// Noise maps.
    pub noise: bool,
    /// A class or other labels.
    pub class: bool,
    /// A camera.
    pub camera: bool,
    /// A transform of the input coordinates.
    pub transform: bool,
    /// A truncation that chooses among stored statistics.
    pub truncation: bool,
    /// How many of the last numbers of w are the class's part; 0 where w has no such part.
    pub class_in_w: usize,
}

/// Description of a generator.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Spec {
    /// Its name, as shown.
    pub name: String,
    /// Family: `stylegan2`.
    pub family: String,
    /// Width of its pictures in pixels.
    pub width: usize,
    /// Height of its pictures in pixels.
    pub height: usize,
    /// Channels of its pictures.
    pub channels: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w; equal to `z_dim` where there is no mapping network.
    pub w_dim: usize,
    /// Numbers of a label; 0 when unconditional. [`Spec::classes`] says whether they are classes.
    pub c_dim: usize,
    /// Layers of a W+ code.
    pub num_ws: usize,
    /// Spaces its codes can live in.
    #[serde(skip)]
    pub spaces: Vec<Space>,
    /// The layers that read styles, in the order in which they run; empty without a space S.
    pub styles: Vec<StyleLayer>,
    /// The layers that can be tapped and entered, in the order in which they run.
    #[serde(skip)]
    pub layers: Vec<Layer>,
    /// How codes of Z are drawn.
    #[serde(skip)]
    pub prior: Prior,
    /// Inputs besides a code.
    #[serde(skip)]
    pub inputs: Inputs,
    /// Parameters, buffers not counted.
    pub parameters: usize,
    /// Heights and widths of the noise maps, in layer order.
    pub noise_sizes: Vec<[usize; 2]>,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

impl Spec {
    /// The last layer whose map is at most `side` high, of those with more than one place.
    pub fn last_layer_within(&self, side: usize) -> Option<usize> {
        self.layers.iter().rposition(|l| l.height > 1 && l.height <= side)
    }

    /// Number of styles that each row of a W+ code controls, `num_ws` numbers; empty without a
    /// space S.
    ///
    /// Layers run in the order of their rows, so a row's styles are neighbours in a style code:
    /// these are its layers.
    pub fn style_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; if self.styles.is_empty() { 0 } else { self.num_ws }];
        for layer in &self.styles {
            if let Some(size) = sizes.get_mut(layer.row) {
                *size += layer.size;
            }
        }
        sizes
    }

    /// Number of classes; 0 without classes, also where a label is no class (EG3D's is a camera).
    pub fn classes(&self) -> usize {
        if self.inputs.class { self.c_dim } else { 0 }
    }

    /// Dimensions of a style code; 0 without a space S.
    pub fn s_dim(&self) -> usize {
        self.styles.iter().map(|l| l.size).sum()
    }

    /// The sizes of its codes.
    pub fn dims(&self) -> Dims {
        Dims {
            spaces: self.spaces.clone(),
            z_dim: self.z_dim,
            w_dim: self.w_dim,
            num_ws: self.num_ws,
            style_sizes: self.style_sizes(),
        }
    }

    /// Its pictures in words: `256²`, `256×512`.
    pub fn size(&self) -> String {
        words::size(self.width, self.height)
    }
}

/// The feature map of one layer, and the picture that the layers before it have summed up.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Index of the layer in [`Spec::layers`].
    pub layer: usize,
    /// Its map after the activation, `[N, C, H, W]`.
    pub map: Tensor,
    /// In families that sum the picture over the layers: the sum so far, `[N, K, H', W']`.
    pub picture: Option<Tensor>,
    /// Whether that sum has the colours of this layer as well: then only the next layer reads the
    /// map.
    pub passed: bool,
}

/// Starting point of a synthesis.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// At a code of the space that the synthesis reads, or of S.
    Code {
        /// The code's space.
        space: Space,
        /// The code.
        data: &'a Tensor,
    },
    /// At a feature map; the layers behind it read the code.
    Feature {
        /// The map.
        feature: &'a Feature,
        /// The code's space.
        space: Space,
        /// The code.
        data: &'a Tensor,
    },
}

impl<'a> Start<'a> {
    /// The feature, if it starts at one; the code's space; the code.
    fn parts(self) -> (Option<&'a Feature>, Space, &'a Tensor) {
        match self {
            Self::Code { space, data } => (None, space, data),
            Self::Feature { feature, space, data } => (Some(feature), space, data),
        }
    }
}

/// A point of the synthesis whose value is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tap {
    /// The map of a layer, by its index in [`Spec::layers`].
    Layer(usize),
    /// As a layer, with a picture that has its colours ([`Feature::passed`]): in StyleGAN2.
    Passed(usize),
    /// The picture.
    Picture,
    /// The picture of this height that the layers up to it have summed up, one of
    /// [`Generator::early_sides`]; requested alone.
    Early(usize),
    /// The depth map of a scene, in generators that have a camera.
    Depth,
}

/// Results of a synthesis.
#[derive(Debug, Default)]
pub struct Tapped {
    /// The requested maps, in the order in which they run.
    pub features: Vec<Feature>,
    /// The picture, `[N, C, H, W]`, nominal range [-1, 1], not clamped; `None` unless requested.
    pub picture: Option<Tensor>,
    /// How far what is seen lies from the camera, in units of the scene, `[N, 1, h, w]` at the size
    /// at which rays are marched; `None` unless requested.
    pub depth: Option<Tensor>,
}

impl Tapped {
    /// The requested map, where one was requested.
    ///
    /// # Errors
    /// When the generator gave none.
    pub fn feature(self) -> Result<Feature> {
        let map = self.features.into_iter().next();
        map.ok_or_else(|| Error::runtime("the generator gave no feature map"))
    }

    /// The value of the only requested point.
    ///
    /// # Errors
    /// When the generator gave none.
    pub fn only(self, tap: Tap) -> Result<Tensor> {
        let missing = |what: &str| Error::runtime(format!("the generator gave no {what}"));
        match tap {
            Tap::Layer(_) | Tap::Passed(_) => Ok(self.feature()?.map),
            Tap::Picture | Tap::Early(_) => self.picture.ok_or_else(|| missing("picture")),
            Tap::Depth => self.depth.ok_or_else(|| missing("depth")),
        }
    }
}

/// The prior of a generator's codes in Z, and what truncation by psi does to a draw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Prior {
    /// Standard normal; truncation pulls codes of W towards their mean (Karras et al. 2019).
    #[default]
    Normal,
    /// Standard normal, drawn within ±`limit` where there is one; truncation multiplies z by psi
    /// and leaves the class alone (Brock et al. 2019).
    Scaled {
        /// Bound of each number.
        limit: Option<f64>,
    },
}

/// A generator.
pub trait Generator: Send + Sync {
    /// The generator's description.
    fn spec(&self) -> &Spec;

    /// Device of the weights.
    fn device(&self) -> &Device;

    /// A code of `to` from a code of its parent space, where that takes the generator's weights:
    /// Z → W by the mapping network, W+ → S by the layers' affine maps. [`spaces::rise`] goes any
    /// way up.
    ///
    /// # Shapes
    /// z `[N, z_dim]` → w `[N, w_dim]`; ws `[N, num_ws, w_dim]` → s `[N, s_dim]`.
    ///
    /// # Errors
    /// For a space that the generator lacks, and a code of other sizes.
    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor>;

    /// Runs the synthesis from a code or a feature map to the requested points, with gradients.
    /// Entering a tapped feature with the same code gives the same picture.
    ///
    /// # Shapes
    /// A code of the space that the synthesis reads (`[N, num_ws, w_dim]`, without a mapping
    /// network `[N, z_dim]`) or of S `[N, s_dim]`.
    ///
    /// # Errors
    /// For a code of another space or other sizes, and a layer that does not exist.
    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped>;

    /// Heights of the pictures on the way to the whole one, the smallest first: those of families
    /// that sum the picture over the resolutions. Empty where there are none.
    fn early_sides(&self) -> Vec<usize> {
        Vec::new()
    }

    /// The mean of the codes of a space over the prior, without `N`; `None` where it is not stored.
    /// Of a generator with a mean for every class, the mean of these.
    fn mean(&self, space: Space) -> Option<&Tensor>;

    /// The mean of the codes of a space for labels, where the generator stores one for every class
    /// (StyleGAN-XL); else [`Self::mean`].
    ///
    /// # Shapes
    /// labels `[N, c_dim]` → `[N, D]`; without means of classes, or without labels, `[D]`.
    ///
    /// # Errors
    /// For labels of another size.
    fn mean_for(&self, space: Space, labels: Option<&Tensor>) -> Result<Option<Tensor>> {
        let _ = labels;
        Ok(self.mean(space).cloned())
    }

    /// The stored noise maps in layer order, each `[1, 1, H, W]`.
    fn noise_maps(&self) -> Vec<Tensor>;

    /// Where its cameras look at, and from how far; `None` for a generator without a camera.
    fn orbit(&self) -> Option<Orbit> {
        None
    }

    /// The whitening of its space P over the prior, with which PN and PN+ are entered and left;
    /// computed at the first call. Generators come with it from [`load`] and [`toy()`].
    ///
    /// # Errors
    /// For a generator that does not keep it, and when its samples cannot be drawn.
    fn whitening(&self) -> Result<&Whitening> {
        Err(no_codes(self.spec(), Space::PN))
    }

    /// The usual directions of its styles over the prior; computed at the first call. `None` for a
    /// generator without a space S, or that does not keep them.
    ///
    /// # Errors
    /// When its samples cannot be drawn.
    fn style_directions(&self) -> Result<Option<&StyleDirections>> {
        Ok(None)
    }

    /// A layer before its functions of single values, as a map of what it reads, with these
    /// functions; `None` where it is not an affine map and such functions.
    ///
    /// # Shapes
    /// z `[N, z_dim]` for the first layer, for others the map of the layer before, `[N, C, H, W]`.
    ///
    /// # Errors
    /// For a layer that does not exist, and an input of another shape.
    fn affine(&self, layer: usize, read: &Tensor, input: &Input) -> Result<Option<Affine>> {
        let _ = (layer, read, input);
        Ok(None)
    }

    /// Its weights by name: what training changes.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn weights(&self) -> Result<Named>;

    /// A copy in which these weights replace its own; it shares the numbers of the others.
    /// Gradients reach weights that are variables ([`Var`]).
    ///
    /// # Errors
    /// For a name that it does not have, and a tensor of another shape.
    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>>;
}

/// Weights that are searched, by name.
pub type Variables = Vec<(String, Var)>;

/// A copy whose weights for which `which(name)` holds are variables, and these by name: the
/// unknowns of a search over weights.
///
/// # Errors
/// When a tensor cannot be copied.
pub fn tuned(
    g: &dyn Generator,
    which: &dyn Fn(&str) -> bool,
) -> Result<(Arc<dyn Generator>, Variables)> {
    let mut variables = Variables::new();
    for (name, t) in g.weights()?.into_iter().filter(|(name, _)| which(name)) {
        variables.push((name, Var::from_tensor(&t.copy()?)?));
    }
    let named = variables.iter().map(|(name, v)| (name.clone(), v.as_tensor().clone()));
    Ok((g.with_weights(&named.collect())?, variables))
}

/// Refuses a start feature or a requested point that is not one of the generator's.
fn check_points(spec: &Spec, n: usize, from: Option<&Feature>, taps: &[Tap]) -> Result<()> {
    let all = spec.layers.len();
    let missing = |layer: usize| {
        Error::runtime(format!("there is no layer {layer}: {} has {all}", Safe(&spec.name)))
            .hint(format!("layers count from 0 to {}", all.saturating_sub(1)))
    };
    if taps.contains(&Tap::Depth) && !spec.inputs.camera {
        let message = format!("{} has no depth: it draws no scene", Safe(&spec.name));
        return Err(Error::runtime(message).hint("depth is for generators with a camera: EG3D"));
    }
    for tap in taps {
        match *tap {
            Tap::Layer(layer) if layer >= all => return Err(missing(layer)),
            Tap::Early(side) => return Err(early::not_on_the_way(spec, side, &[])),
            _ => {}
        }
    }
    let Some(feature) = from else { return Ok(()) };
    let layer = spec.layers.get(feature.layer).ok_or_else(|| missing(feature.layer))?;
    let expected = [n, layer.channels, layer.height, layer.width];
    if feature.map.dims() == expected {
        return Ok(());
    }
    let given = feature.map.dims();
    Err(Error::runtime(format!("a map of shape {given:?} for layer {}: {expected:?}", layer.name))
        .hint("enter a layer with a map that was tapped at it"))
}

/// Number of codes, if each has the sizes that the generator reads.
fn reads(codes: &Tensor, sizes: &[usize]) -> Result<usize> {
    match codes.dims() {
        [n, rest @ ..] if *n > 0 && rest == sizes => Ok(*n),
        other => {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            let message =
                format!("a code of shape {other:?}, the generator reads [N, {}]", sizes.join(", "));
            Err(Error::runtime(message).hint("use a code that was made for this generator"))
        }
    }
}

/// The error of a generator that is asked for codes of a space that it does not compute.
fn no_codes(spec: &Spec, space: Space) -> Error {
    let (name, spaces) = (Safe(&spec.name), spec.dims().names());
    Error::runtime(format!("{name} computes no codes of {space}"))
        .hint(format!("its spaces: {spaces}"))
}

/// What a generator whose only space is Z starts from, checked with the requested points: the
/// feature, if it starts at one; z; the number of codes.
fn from_z<'a>(
    spec: &Spec,
    start: &Start<'a>,
    taps: &[Tap],
) -> Result<(Option<&'a Feature>, &'a Tensor, usize)> {
    let (from, space, z) = start.parts();
    if space != Space::Z {
        let message = format!("{} reads Z, not {space}", Safe(&spec.name));
        return Err(Error::runtime(message).hint("its only space is Z"));
    }
    let n = reads(z, &[spec.z_dim])?;
    check_points(spec, n, from, taps)?;
    Ok((from, z, n))
}
