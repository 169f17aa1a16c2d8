//! How the channels of S spread over a generator's codes.

use super::Loaded;
use crate::control;
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

/// Mean and standard deviation of every channel of S over the prior.
#[derive(Clone, Debug)]
pub struct StyleStats {
    /// The means, `s_dim` numbers.
    pub mean: Vec<f64>,
    /// The standard deviations; 0 for a channel that never changes.
    pub sigma: Vec<f64>,
}

impl Loaded {
    /// Mean and standard deviation of its channels of S, of 1,000 fixed samples over all classes,
    /// computed at the first call.
    ///
    /// # Errors
    /// For a generator without S, when its files cannot be read, and when it is stopped.
    pub fn style_stats(&self) -> Result<&StyleStats> {
        if let Some(known) = self.styles.get() {
            return Ok(known);
        }
        let fresh = self.spread()?;
        Ok(self.styles.get_or_init(|| fresh))
    }

    /// As [`Loaded::style_stats`]; `None` before the first call.
    pub fn known_style_stats(&self) -> Option<&StyleStats> {
        self.styles.get()
    }

    fn spread(&self) -> Result<StyleStats> {
        if !self.facts.spaces.contains(&Space::S) {
            let message = format!("{} has no channels of S", Safe(&self.facts.name));
            return Err(Error::runtime(message).hint("only families with styles have them"));
        }
        let g = &**self.generator()?;
        let labels = self.labels()?;
        let draw = Draw { seed: SEED, labels: labels.as_ref(), ..Draw::default() };
        let codes = spaces::sample(g, SAMPLES, draw)?;
        let (mut sum, mut squares) = (vec![0.0; g.spec().s_dim()], vec![0.0; g.spec().s_dim()]);
        for from in (0..SAMPLES).step_by(CHUNK) {
            control::check()?;
            let s = spaces::lift(g, &codes.slice(from, CHUNK)?, Space::S)?;
            let point = s.point().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            for row in point.to_vec2::<f64>()? {
                for (k, v) in row.into_iter().enumerate() {
                    sum[k] += v;
                    squares[k] += v * v;
                }
            }
        }
        let n = SAMPLES as f64;
        let mean: Vec<f64> = sum.iter().map(|v| v / n).collect();
        let spread = |(square, mean): (&f64, &f64)| (square / n - mean * mean).max(0.0).sqrt();
        let sigma = squares.iter().zip(&mean).map(spread).collect();
        Ok(StyleStats { mean, sigma })
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
    fn the_spread_is_that_of_samples() {
        let toy = Models::cpu().load("toy").unwrap();
        assert!(toy.known_style_stats().is_none());
        let stats = toy.style_stats().unwrap();
        let g = &**toy.generator().unwrap();
        let draw = Draw { seed: 9, space: Space::S, ..Draw::default() };
        let other = spaces::sample(g, 800, draw).unwrap();
        let other = other.point().to_dtype(DType::F64).unwrap();
        let mean = other.mean(0).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!((stats.mean.len(), stats.sigma.len()), (mean.len(), mean.len()));
        for ((a, b), sigma) in stats.mean.iter().zip(&mean).zip(&stats.sigma) {
            assert!((a - b).abs() < 0.3 * sigma + 1e-6, "{a} {b} {sigma}");
        }
        assert!(stats.sigma.iter().all(|s| s.is_finite()));
        assert!(toy.known_style_stats().is_some());
    }
}
