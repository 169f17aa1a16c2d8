//! Generators: from latent codes to pictures, with gradients.

mod batches;
mod load;
pub mod registry;
pub mod spaces;
pub mod stylegan2;
pub mod toy;

pub use batches::{batch_size, each_batch, pictures};
pub use load::{convert, describe, load};
pub use toy::toy;

use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::{Device, Tensor};

/// One layer's part of a style code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StyleLayer {
    /// The layer, as its tensors are called: `b8.conv0`.
    pub name: String,
    /// The row of a W+ code that its styles are computed from.
    pub row: usize,
    /// How many styles it reads.
    pub size: usize,
}

/// What a generator is.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Spec {
    /// Its name, as shown.
    pub name: String,
    /// Family: `stylegan2`.
    pub family: String,
    /// Side of its pictures in pixels.
    pub resolution: usize,
    /// Channels of its pictures.
    pub channels: usize,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Number of classes; 0 when unconditional.
    pub c_dim: usize,
    /// Layers of a W+ code.
    pub num_ws: usize,
    /// Spaces its codes can live in.
    #[serde(skip)]
    pub spaces: Vec<Space>,
    /// The layers that read styles, in the order in which they run; empty where there is no space
    /// S.
    pub styles: Vec<StyleLayer>,
    /// Parameters, buffers not counted.
    pub parameters: usize,
    /// Sides of the noise maps, in layer order.
    pub noise_sizes: Vec<usize>,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

impl Spec {
    /// How many styles each row of a W+ code controls, `num_ws` numbers; empty where there is no
    /// space S.
    ///
    /// Layers run in the order of their rows, so a row's styles stand side by side in a style code:
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

    /// Dimensions of a style code; 0 where there is no space S.
    pub fn s_dim(&self) -> usize {
        self.styles.iter().map(|l| l.size).sum()
    }
}

/// The noise that the layers add.
#[derive(Clone, Debug, Default)]
pub enum Noise {
    /// The maps stored with the weights.
    #[default]
    Const,
    /// None at all.
    None,
    /// Fresh maps: those of a picture depend on the seed and on its place.
    Random {
        /// Where they come from.
        seed: u64,
        /// The place of the first picture.
        first: usize,
    },
    /// These maps, in layer order, each `[N or 1, 1, H, W]`; gradients flow into them.
    Maps(Vec<Tensor>),
}

impl Noise {
    /// The noise of the `len` pictures from `from` on, of `count`.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn part(&self, from: usize, len: usize, count: usize) -> Result<Self> {
        Ok(match self {
            Self::Random { seed, first } => Self::Random { seed: *seed, first: first + from },
            Self::Maps(maps) => {
                let part = |m: &Tensor| {
                    if m.dim(0)? == count {
                        m.narrow(0, from, len)?.contiguous()
                    } else {
                        Ok(m.clone())
                    }
                };
                Self::Maps(maps.iter().map(part).collect::<Result<_, candle_core::Error>>()?)
            }
            other => other.clone(),
        })
    }
}

/// A generator.
pub trait Generator: Send + Sync {
    /// What it is.
    fn spec(&self) -> &Spec;

    /// Where its weights are.
    fn device(&self) -> &Device;

    /// From the prior to the intermediate space.
    ///
    /// # Shapes
    /// z `[N, z_dim]`, labels `[N, c_dim]` when conditional → w `[N, w_dim]`.
    fn map(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor>;

    /// The mean of w over the prior (`w_avg`), `[w_dim]`.
    fn mean_w(&self) -> &Tensor;

    /// Pictures of layered codes.
    ///
    /// # Shapes
    /// ws `[N, num_ws, w_dim]` → `[N, C, H, W]`, nominal range [-1, 1], not clamped.
    fn synthesize(&self, ws: &Tensor, noise: &Noise) -> Result<Tensor>;

    /// Style codes (space S; Wu et al. 2021, StyleSpace) of layered codes: what every layer's
    /// affine map makes of its row, one layer after the other as in [`Spec::styles`], unscaled.
    ///
    /// # Shapes
    /// ws `[N, num_ws, w_dim]` → `[N, s_dim]`.
    ///
    /// # Errors
    /// For a family whose layers read no styles, and a code of other sizes.
    fn styles(&self, ws: &Tensor) -> Result<Tensor> {
        let _ = ws;
        Err(no_styles(self.spec()))
    }

    /// Pictures of style codes: `synthesize_styles(styles(ws))` is `synthesize(ws)`.
    ///
    /// # Shapes
    /// s `[N, s_dim]` → `[N, C, H, W]`, nominal range [-1, 1], not clamped.
    ///
    /// # Errors
    /// As [`Generator::styles`].
    fn synthesize_styles(&self, s: &Tensor, noise: &Noise) -> Result<Tensor> {
        let _ = (s, noise);
        Err(no_styles(self.spec()))
    }

    /// The stored noise maps in layer order, each `[1, 1, H, W]`.
    fn noise_maps(&self) -> Vec<Tensor>;
}

fn no_styles(spec: &Spec) -> Error {
    Error::runtime(format!(
        "{} has no space S: the layers of {} read no styles",
        Safe(&spec.name),
        Safe(&spec.family)
    ))
    .hint(format!(
        "its spaces are {}",
        spec.spaces.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
    ))
}
