//! How the channels of S spread over a generator's codes.

use super::Loaded;
use crate::control;
use crate::direction::Spread;
use crate::error::{Error, Result};
use crate::generator::spaces::{self, Draw};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};

/// Codes that the spread is computed from.
const SAMPLES: usize = 1000;
/// Codes that are lifted to S at once.
const CHUNK: usize = 100;
/// Seed of these codes: the spread belongs to the generator, not to a run.
const SEED: u64 = 123;

impl Loaded {
    /// Mean and standard deviation of its channels of S, of 1,000 fixed samples over all classes,
    /// computed at the first call.
    ///
    /// # Errors
    /// For a generator without S, when its files cannot be read, and when it is stopped.
    pub fn style_spread(&self) -> Result<&Spread> {
        if let Some(known) = self.styles.get() {
            return Ok(known);
        }
        let fresh = self.spread()?;
        Ok(self.styles.get_or_init(|| fresh))
    }

    /// As [`Loaded::style_spread`]; `None` before the first call.
    pub fn known_style_spread(&self) -> Option<&Spread> {
        self.styles.get()
    }

    fn spread(&self) -> Result<Spread> {
        if !self.facts.spaces.contains(&Space::S) {
            let message = format!("{} has no channels of S", Safe(&self.facts.name));
            return Err(Error::runtime(message).hint("only families with styles have them"));
        }
        let g = &**self.generator()?;
        let labels = self.labels()?;
        let draw = Draw { seed: SEED, labels: labels.as_ref(), ..Draw::default() };
        let codes = spaces::sample(g, SAMPLES, draw)?;
        let batch = |from: usize| {
            control::check()?;
            let s = spaces::lift(g, &codes.slice(from, CHUNK)?, Space::S)?;
            Ok(s.point().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2()?)
        };
        Spread::of((0..SAMPLES).step_by(CHUNK).map(batch))
    }

    /// One-hot labels that go through all classes in turn, `[SAMPLES, c_dim]`.
    fn labels(&self) -> Result<Option<Tensor>> {
        let classes = self.facts.c_dim;
        if classes == 0 {
            return Ok(None);
        }
        let mut all = vec![0f32; SAMPLES * classes];
        all.chunks_exact_mut(classes).enumerate().for_each(|(k, row)| row[k % classes] = 1.0);
        Ok(Some(Tensor::from_vec(all, (SAMPLES, classes), self.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Models;

    #[test]
    fn the_spread_is_that_of_other_samples() {
        let toy = Models::cpu().load("toy").unwrap();
        assert!(toy.known_style_spread().is_none());
        let spread = toy.style_spread().unwrap();
        let g = &**toy.generator().unwrap();
        let draw = Draw { seed: 9, space: Space::S, ..Draw::default() };
        let other = spaces::sample(g, 800, draw).unwrap();
        let rows = other.point().to_dtype(DType::F64).unwrap().to_vec2().unwrap();
        let other = Spread::of([Ok(rows)]).unwrap();
        assert_eq!(spread.mean.len(), g.spec().s_dim());
        for (k, (a, b)) in spread.sigma.iter().zip(&other.sigma).enumerate() {
            assert!((a - b).abs() <= 0.15 * b + 1e-9, "{k}: {a} {b}");
            assert!((spread.mean[k] - other.mean[k]).abs() <= 0.3 * b + 1e-6, "{k}");
        }
        assert!(toy.known_style_spread().is_some());
    }
}
