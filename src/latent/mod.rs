//! Latent codes and directions: data with their space, generator and origin.

use crate::space::Space;
use candle_core::Tensor;
use std::ops::Range;

/// Which generator a code belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelId {
    /// Its name, as shown.
    pub name: String,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

/// N latent codes in one space of one generator.
///
/// # Shapes
/// Z `[N, z_dim]`, W `[N, w_dim]`, W+ `[N, num_ws, w_dim]`, all f32.
#[derive(Clone, Debug)]
pub struct Latent {
    /// The space.
    pub space: Space,
    /// The numbers.
    pub data: Tensor,
    /// The generator; `None` for a code read from a file that does not say.
    pub model: Option<ModelId>,
    /// Noise maps found together with the code, in the generator's order, each `[N, 1, H, W]`.
    pub noise: Option<Vec<Tensor>>,
    /// Labels of a conditional generator, `[N, c_dim]`.
    pub labels: Option<Tensor>,
    /// How it was made: the expression, file or method, for provenance.
    pub origin: String,
}

impl Latent {
    /// How many codes.
    pub fn count(&self) -> usize {
        self.data.dims().first().copied().unwrap_or(0)
    }

    /// Rows of a layered code; 1 otherwise.
    pub fn layers(&self) -> usize {
        if self.data.rank() == 3 { self.data.dims()[1] } else { 1 }
    }

    /// Dimensions of one row.
    pub fn dim(&self) -> usize {
        self.data.dims().last().copied().unwrap_or(0)
    }
}

/// A direction in a latent space, in double precision: orthogonalisation must not lose digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The space.
    pub space: Space,
    /// Row-major numbers, `rows × dim`; rows outside `layers` are zero.
    pub data: Vec<f64>,
    /// 1 for Z and W, `num_ws` for W+.
    pub rows: usize,
    /// Dimensions of one row.
    pub dim: usize,
    /// Layers it was restricted to (`smile @ 0..4`), for display.
    pub layers: Option<Range<usize>>,
    /// The generator; `None` for a file that does not say.
    pub model: Option<ModelId>,
    /// Its name, as shown.
    pub name: String,
    /// How it was made.
    pub origin: String,
}
