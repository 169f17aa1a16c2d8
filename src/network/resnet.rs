//! ResNet-34 as encoders of other things than faces begin with it (He et al. 2016): without its
//! pooling, and with a PReLU after its first convolution.

use super::body::{Body, Stage, Unit};
use super::layers::{Conv, RELU, Taker};
use crate::error::Result;
use crate::tensor::Activation;
use candle_core::Tensor;

/// Units of the four stages.
const STAGES: [usize; 4] = [3, 4, 6, 3];

/// The tensor by which such a network is known.
pub(super) const MARK: &str = "conv1.weight";

/// Takes `conv1`, `bn1`, `relu` and `body`.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn take(t: &mut Taker<'_>) -> Result<Body> {
    let input = t.conv_norm(["conv1", "bn1"], t.size(MARK, 1), [7, 2, 3])?;
    let slopes = t.prelu("relu", input.outputs())?;
    let (mut now, mut at) = (input.outputs(), 0);
    let mut stages = Vec::with_capacity(STAGES.len());
    for (k, count) in STAGES.into_iter().enumerate() {
        let mut units = Stage::with_capacity(count);
        for place in 0..count {
            let stride = if k > 0 && place == 0 { 2 } else { 1 };
            let unit = Basic::take(&mut t.below(&format!("body.{at}.")), now, stride)?;
            (now, at) = (unit.outputs(), at + 1);
            units.push(Box::new(unit));
        }
        stages.push(units);
    }
    Ok(Body::new(input, slopes, stages))
}

/// A unit: two convolutions, and the shortcut around them.
struct Basic {
    first: Conv,
    second: Conv,
    /// `None` where size and channels stay as they are.
    shortcut: Option<Conv>,
}

impl Basic {
    fn take(t: &mut Taker<'_>, inputs: usize, stride: usize) -> Result<Self> {
        let first = t.conv_norm(["conv1", "bn1"], inputs, [3, stride, 1])?;
        let second = t.conv_norm(["conv2", "bn2"], first.outputs(), [3, 1, 1])?;
        let pair = ["downsample.0", "downsample.1"];
        let other = t.has("downsample.0.weight");
        let shortcut = other.then(|| t.conv_norm(pair, inputs, [1, stride, 0])).transpose()?;
        Ok(Self { first, second, shortcut })
    }
}

impl Unit for Basic {
    fn outputs(&self) -> usize {
        self.second.outputs()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.second.forward(&self.first.forward(x, RELU)?, Activation::LINEAR)?;
        let sum = match &self.shortcut {
            Some(shortcut) => (y + shortcut.forward(x, Activation::LINEAR)?)?,
            None => (y + x)?,
        };
        Ok(sum.relu()?)
    }
}
