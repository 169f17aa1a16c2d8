//! What the generator of an encoder has.

use super::Foreign;
use crate::error::Result;
use candle_core::Tensor;

/// The map of a layer that codes of W+ give, `[N, L, D]` → `[N, C, h, w]`.
pub type MapOf = Box<dyn Fn(&Tensor, usize) -> Result<Tensor> + Send + Sync>;

/// What the generator of an encoder has.
pub struct Host {
    /// The mean of w, for a file without one of its own.
    pub mean: Tensor,
    /// Rows of a code in W+.
    pub rows: usize,
    /// The layers of its synthesis, in the order in which they run.
    pub layers: Vec<Place>,
    /// Names and shapes of its weights, in their order.
    pub weights: Vec<(String, Vec<usize>)>,
    /// Its feature maps, for an encoder that looks at them.
    pub map: Option<MapOf>,
    /// The encoder whose code another begins with, where it is known.
    pub first: Option<Foreign>,
}

/// A layer of a generator.
pub struct Place {
    /// Channels, height and width of its map.
    pub map: [usize; 3],
    /// Its convolution: the place among the generator's weights, and its shape.
    pub weight: Option<(usize, Vec<usize>)>,
}

impl Host {
    /// The convolutions of the layers: their places among the weights, outputs, inputs and the side
    /// of their kernels.
    pub(super) fn convolutions(&self) -> impl Iterator<Item = (usize, [usize; 3])> {
        self.layers.iter().filter_map(|layer| {
            let (at, shape) = layer.weight.as_ref()?;
            match shape[..] {
                [rows, columns, h, w] if h == w => Some((*at, [rows, columns, h])),
                _ => None,
            }
        })
    }
}
