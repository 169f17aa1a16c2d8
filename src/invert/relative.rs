//! Steps of weights, in proportion to what they change.
//!
//! Adam moves every number by about the learning rate, but the same step means different things to a
//! weight of 0.04 and to one of 4, and to a sum over 9 and one over 2304 inputs, where steps of one
//! sign add up. Steps here are scaled so that at one learning rate weights change what their layers
//! give by about the same share, in any family of generators.

use crate::error::Result;
use crate::latent::Part;
use candle_core::{DType, Tensor};

/// Root mean square below which a weight counts as this large: some begin at 0.
const SMALLEST: f64 = 0.05;
/// Share of its layer's result that a change of rank `r` moves in a step, `√r`, for the usual ranks:
/// changes without a rank move as much.
const ALIKE: f64 = 5.0;
/// Sums shorter than this, and biases, move by the part `SHORT`: a step of them is felt by a whole
/// channel. Measured on taps of single channels (MobileStyleGAN), where longer steps diverge.
const FEW: f64 = 32.0;
const SHORT: f64 = 1.0 / 8.0;
/// Part of the step of the zero factor that the drawn one takes (LoRA+, Hayou et al. 2024).
const DRAWN: f64 = 1.0 / 16.0;

/// The size of a weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Root mean square of its numbers.
    rms: f64,
    /// Numbers that are summed up for one result; 1 for biases.
    inputs: f64,
}

impl Size {
    /// The size of a weight `[O, …]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn of(weight: &Tensor) -> Result<Self> {
        let squares = weight.to_dtype(DType::F64)?.sqr()?.mean_all()?.to_scalar::<f64>()?;
        let long = weight.dims().iter().filter(|d| **d != 1).count();
        let outputs = weight.dims().first().copied().unwrap_or(1);
        let inputs = if long < 2 { 1 } else { weight.elem_count() / outputs.max(1) };
        Ok(Self { rms: squares.sqrt().max(SMALLEST), inputs: inputs.max(1) as f64 })
    }

    /// How long a step of a part of its change is, for a learning rate of 1.
    pub(super) fn step_of(self, part: Part) -> f64 {
        match part {
            Part::Left(_) => self.rms,
            Part::Right(_) => DRAWN,
            _ if self.inputs < FEW => self.rms * SHORT,
            _ => self.rms * (ALIKE / self.inputs.sqrt()).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn steps_follow_the_size_of_a_weight_and_the_length_of_its_sums() {
        let size = |shape: &[usize], value: f32| {
            let n = shape.iter().product();
            Size::of(&Tensor::from_vec(vec![value; n], shape, &Device::Cpu).unwrap()).unwrap()
        };
        let (delta, left, right) = (Part::Delta(0), Part::Left(0), Part::Right(0));
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
        let conv = size(&[8, 100, 1, 1], 0.5);
        near(conv.step_of(delta), 0.25);
        near(conv.step_of(left), 0.5);
        near(conv.step_of(right), 1.0 / 16.0);
        // Nine taps of a channel, a bias in any shape, a number that begins at 0.
        near(size(&[100, 1, 3, 3], 4.0).step_of(delta), 0.5);
        near(size(&[1, 100, 1, 1], 2.0).step_of(delta), 0.25);
        near(size(&[100], -2.0).step_of(delta), 0.25);
        near(size(&[], 0.0).step_of(delta), SMALLEST / 8.0);
    }
}
