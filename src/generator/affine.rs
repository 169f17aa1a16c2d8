//! Layers taken apart: an affine map, then functions of single values.

use candle_core::Tensor;

/// A layer's values before its functions of single values.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The values, an affine map of what the layer reads.
    pub value: Tensor,
    /// What is applied to each of them, in this order.
    pub then: Vec<Pointwise>,
}

/// A function of single values that grows with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// x above 0, `slope · x` below.
    Relu(f64),
    /// `tanh(scale · x)`.
    Tanh(f64),
}
