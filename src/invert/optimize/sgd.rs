//! Gradient descent with momentum (Polyak 1964; Sutskever et al. 2013).

use super::first_order::{FirstOrder, Moment, Rule};
use crate::error::Result;
use candle_core::Tensor;

const MOMENTUM: f64 = 0.9;

/// Gradient descent with momentum .9 without dampening: the momentum sums the gradients, so in a
/// constant slope a step grows to ten times the learning rate.
pub type Sgd = FirstOrder<SgdRule>;

/// The formula of [`Sgd`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SgdRule;

impl Rule for SgdRule {
    const NAME: &'static str = "sgd";
    const AVERAGES: &'static [&'static str] = &["momentum"];

    fn moved(
        &self,
        averages: &mut [Tensor],
        parameter: &Tensor,
        gradient: &Tensor,
        now: Moment,
    ) -> Result<Tensor> {
        averages[0] = ((&averages[0] * MOMENTUM)? + gradient)?;
        Ok((parameter - (&averages[0] * now.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::follow;

    #[test]
    fn equals_torch_over_100_steps() {
        follow(&|| Box::new(Sgd::default()), "sgd_momentum", |_| 1e-4);
    }
}
