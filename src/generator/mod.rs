//! Generators: from latent codes to pictures, with gradients.

mod load;
pub mod spaces;
pub mod stylegan2;
pub mod toy;

pub use load::{FAMILIES, describe, load, stylegan2 as load_stylegan2};
pub use toy::toy;

use crate::error::Result;
use crate::space::Space;
use candle_core::{Device, Tensor};

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
    /// Parameters, buffers not counted.
    pub parameters: usize,
    /// Sides of the noise maps, in layer order.
    pub noise_sizes: Vec<usize>,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

/// The noise that the layers add.
#[derive(Clone, Debug, Default)]
pub enum Noise {
    /// The maps stored with the weights.
    #[default]
    Const,
    /// None at all.
    None,
    /// Fresh maps from a seed.
    Random(u64),
    /// These maps, in layer order, each `[N or 1, 1, H, W]`; gradients flow into them.
    Maps(Vec<Tensor>),
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

    /// The stored noise maps in layer order, each `[1, 1, H, W]`.
    fn noise_maps(&self) -> Vec<Tensor>;
}
