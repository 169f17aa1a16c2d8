//! Ranger: RAdam (Liu et al. 2020) under Lookahead (Zhang et al. 2019).

use super::first_order::{FirstOrder, Moment, Rule, average};
use super::lookahead::Lookahead;
use crate::error::Result;
use candle_core::Tensor;

const BETA1: f64 = 0.95;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// RAdam with Ranger's β (.95, .999) and ε 1e-8, as in PyTorch: Adam whose step is scaled by how
/// well its second moment is known, and that steps with momentum alone before it is known at all.
pub type RAdam = FirstOrder<RAdamRule>;

/// The formula of [`RAdam`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RAdamRule;

/// Ranger: RAdam, drawn back half the way every 6 steps.
pub fn ranger() -> Lookahead {
    Lookahead::new(Box::new(RAdam::default()), 6, 0.5)
}

/// The rectification of RAdam's step `t`; `None` while the variance of the second moment is not
/// tractable.
fn rectified(t: f64) -> Option<f64> {
    let longest = 2.0 / (1.0 - BETA2) - 1.0;
    let power = libm::pow(BETA2, t);
    let length = longest - 2.0 * t * power / (1.0 - power);
    if length <= 5.0 {
        return None;
    }
    let share = |l: f64| (l - 4.0) * (l - 2.0) / l;
    Some((share(length) / share(longest)).sqrt())
}

impl Rule for RAdamRule {
    const NAME: &'static str = "radam";
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
        let step = match rectified(t) {
            Some(share) => {
                let scale = (averages[1].sqrt()? + EPS)?;
                (averages[0].div(&scale)? * (now.rate * share * c2.sqrt() / c1))?
            }
            None => (&averages[0] * (now.rate / c1))?,
        };
        Ok((parameter - step)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::follow;

    #[test]
    fn equals_torch_over_100_steps() {
        follow(&|| Box::new(RAdam::default()), "radam", |_| 5e-4);
        follow(&|| Box::new(ranger()), "ranger", |_| 5e-3);
    }
}
