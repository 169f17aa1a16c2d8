//! Convolutions that halve a map, each with a leaky ReLU: what heads of encoders begin with.

use crate::error::{Error, Result};
use crate::network::layers::{Conv, LEAKY, Taker};
use candle_core::Tensor;

/// Such convolutions.
pub(super) struct Halving(Vec<Conv>);

impl Halving {
    /// Takes the convolutions `NAME.0`, `NAME.2`, … of a map of so many channels; the first has
    /// that stride, the others 2.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, name: &str, (inputs, first): (usize, usize)) -> Result<Self> {
        let (mut convs, mut now) = (Vec::<Conv>::new(), inputs);
        let named = |k: usize| format!("{name}.{}", 2 * k);
        while t.has(&format!("{}.weight", named(convs.len()))) {
            let stride = if convs.is_empty() { first } else { 2 };
            let conv = t.conv(&named(convs.len()), now, [3, stride, 1])?;
            now = conv.outputs();
            convs.push(conv);
        }
        Ok(Self(convs))
    }

    /// Channels of its result, for a map of so many.
    pub fn outputs(&self, inputs: usize) -> usize {
        self.0.last().map_or(inputs, Conv::outputs)
    }

    /// `[N, C, H, W]` → `[N, C', h, w]`, with gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, map: &Tensor) -> Result<Tensor> {
        self.0.iter().try_fold(map.clone(), |x, conv| conv.forward(&x, LEAKY))
    }

    /// As [`Self::forward`], of one place, `[N, C']`.
    ///
    /// # Errors
    /// When the map does not fit, and when more than one place is left.
    pub fn one(&self, map: &Tensor) -> Result<Tensor> {
        let halved = self.forward(map)?;
        match halved.dims4()? {
            (_, _, 1, 1) => Ok(halved.flatten_from(1)?),
            (_, _, h, w) => {
                let text = format!("{h}×{w} places are left where a head wants one");
                Err(Error::runtime(text).hint("use the unchanged file"))
            }
        }
    }
}
