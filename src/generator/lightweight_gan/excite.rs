//! Factors for the channels of a large map from a small one.

use super::config::Excites;
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::tensor::{Activation, bias_act, conv2d, linear};
use candle_core::Tensor;
use candle_nn::ops::{sigmoid, softmax};

/// The slope between the two layers.
const SLOPE: f64 = 0.1;

/// A map reduced to one number a channel, then two layers.
pub(super) struct Excite {
    reduce: Reduce,
    layers: [(Tensor, Tensor); 2],
}

/// See [`Excites`].
enum Reduce {
    /// Weight and bias of the map whose softmax over the pixels are the weights of the mean.
    Context(Tensor, Tensor),
    /// `[1, C, S, S]`.
    Frequency(Tensor),
}

impl Excite {
    /// Reads `name` of a map of `inputs` channels and that side.
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        how: Excites,
        [inputs, outputs, side]: [usize; 3],
    ) -> Result<Self> {
        let part = |end: &str| format!("{name}.{end}");
        let reduce = match how {
            Excites::Context => Reduce::Context(
                r.parameter(&part("to_k.weight"), &[1, inputs, 1, 1])?,
                r.parameter(&part("to_k.bias"), &[1])?,
            ),
            Excites::Frequency => {
                Reduce::Frequency(r.buffer(&part("dct_weights"), &[1, inputs, side, side])?)
            }
        };
        let between = r.shape(&part("net.0.weight"))?.first().copied().unwrap_or(0);
        let mut layer = |at: usize, inputs: usize, outputs: usize| -> Result<(Tensor, Tensor)> {
            let weight =
                r.parameter(&part(&format!("net.{at}.weight")), &[outputs, inputs, 1, 1])?;
            Ok((weight, r.parameter(&part(&format!("net.{at}.bias")), &[outputs])?))
        };
        Ok(Self { reduce, layers: [layer(0, inputs, between)?, layer(2, between, outputs)?] })
    }

    /// x `[N, I, S, S]` → factors `[N, outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let flat = x.flatten_from(2)?;
        let reduced = match &self.reduce {
            Reduce::Context(weight, bias) => {
                let y = bias_act(&conv2d(x, weight, 1, 0)?, bias, Activation::LINEAR)?;
                flat.broadcast_mul(&softmax(&y.flatten_from(2)?, 2)?)?.sum(2)?
            }
            Reduce::Frequency(waves) => flat.broadcast_mul(&waves.flatten_from(2)?)?.sum(2)?,
        };
        let [(first, first_bias), (second, second_bias)] = &self.layers;
        let between = Activation { slope: SLOPE, gain: 1.0, clamp: None };
        let y = bias_act(&linear(&reduced, &first.flatten_from(1)?)?, first_bias, between)?;
        let y = linear(&y, &second.flatten_from(1)?)?;
        Ok(sigmoid(&bias_act(&y, second_bias, Activation::LINEAR)?)?)
    }
}
