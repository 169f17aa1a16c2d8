//! Adamax (Kingma and Ba 2015, section 7.1): Adam with the infinity norm.

use super::first_order::{FirstOrder, Moment, Rule, average};
use crate::error::Result;
use candle_core::Tensor;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Adamax with β (.9, .999) and ε 1e-8, as in PyTorch.
pub type Adamax = FirstOrder<AdamaxRule>;

/// The formula of [`Adamax`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AdamaxRule;

impl Rule for AdamaxRule {
    const NAME: &'static str = "adamax";
    const AVERAGES: &'static [&'static str] = &["first", "largest"];

    fn moved(
        &self,
        averages: &mut [Tensor],
        parameter: &Tensor,
        gradient: &Tensor,
        now: Moment,
    ) -> Result<Tensor> {
        averages[0] = average(&averages[0], gradient, BETA1)?;
        averages[1] = (&averages[1] * BETA2)?.maximum(&(gradient.abs()? + EPS)?)?;
        let rate = now.rate / (1.0 - libm::pow(BETA1, now.step as f64));
        Ok((parameter - (averages[0].div(&averages[1])? * rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::follow;

    #[test]
    fn equals_torch_over_100_steps() {
        follow(&|| Box::new(Adamax::default()), "adamax", |_| 0.02);
    }
}
