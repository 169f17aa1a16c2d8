//! RMSprop (Tieleman and Hinton 2012, lecture 6.5).

use super::first_order::{FirstOrder, Moment, Rule, average};
use crate::error::Result;
use candle_core::Tensor;

const ALPHA: f64 = 0.99;
const EPS: f64 = 1e-8;

/// RMSprop with α .99 and ε 1e-8, without momentum and centring, as in PyTorch.
pub type RmsProp = FirstOrder<RmsPropRule>;

/// The formula of [`RmsProp`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RmsPropRule;

impl Rule for RmsPropRule {
    const NAME: &'static str = "rmsprop";
    const AVERAGES: &'static [&'static str] = &["square"];

    fn moved(
        &self,
        averages: &mut [Tensor],
        parameter: &Tensor,
        gradient: &Tensor,
        now: Moment,
    ) -> Result<Tensor> {
        averages[0] = average(&averages[0], &gradient.sqr()?, ALPHA)?;
        let scale = (averages[0].sqrt()? + EPS)?;
        Ok((parameter - (gradient.div(&scale)? * now.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::follow;

    #[test]
    fn equals_torch_over_100_steps() {
        follow(&|| Box::new(RmsProp::default()), "rmsprop", |_| 0.01);
    }
}
