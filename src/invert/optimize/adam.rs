//! Adam (Kingma and Ba 2015).

use super::first_order::{FirstOrder, Moment, Rule, average};
use crate::error::Result;
use candle_core::Tensor;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Adam with β (.9, .999), ε 1e-8 and bias correction, in PyTorch's order of operations.
pub type Adam = FirstOrder<AdamRule>;

/// The formula of [`Adam`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AdamRule;

impl Rule for AdamRule {
    const NAME: &'static str = "adam";
    const AVERAGES: &'static [&'static str] = &["first", "second"];

    fn moved(
        &self,
        averages: &mut [Tensor],
        parameter: &Tensor,
        gradient: &Tensor,
        now: Moment,
    ) -> Result<Tensor> {
        let t = now.step as f64;
        let (c1, c2) = (1.0 - libm::pow(BETA1, t), 1.0 - libm::pow(BETA2, t));
        averages[0] = average(&averages[0], gradient, BETA1)?;
        averages[1] = average(&averages[1], &gradient.sqr()?, BETA2)?;
        let scale = ((averages[1].sqrt()? / c2.sqrt())? + EPS)?;
        Ok((parameter - (averages[0].div(&scale)? * (now.rate / c1))?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::follow;
    use crate::invert::schedule::ramp;

    #[test]
    fn equals_torch_over_100_steps() {
        let make = || Box::new(Adam::default()) as _;
        follow(&make, "adam", |_| 0.05);
        follow(&make, "adam_projector_schedule", |step| 0.1 * ramp(step as f64 / 100.0));
    }
}
