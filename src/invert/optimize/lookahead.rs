//! Lookahead (Zhang et al. 2019): slow weights that follow those of another optimizer.

use super::{Optimizer, Saved, Stored, Worth, nested, numbers, tensors, unnested};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// An optimizer whose parameters go back part of the way every few steps, to the slow weights.
pub struct Lookahead {
    inner: Box<dyn Optimizer>,
    every: usize,
    share: f64,
    steps: usize,
    slow: Vec<Tensor>,
}

impl Lookahead {
    /// Every `every` steps of `inner` the slow weights go `share` of the way to its parameters,
    /// which continue from there.
    pub fn new(inner: Box<dyn Optimizer>, every: usize, share: f64) -> Self {
        Self { inner, every: every.max(1), share, steps: 0, slow: Vec::new() }
    }
}

impl Optimizer for Lookahead {
    fn name(&self) -> &'static str {
        "lookahead"
    }

    fn gradients(&self) -> bool {
        self.inner.gradients()
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        if self.steps == 0 {
            self.slow = at.to_vec();
        }
        let Some(fast) = self.inner.next(at, worth)? else { return Ok(None) };
        self.steps += 1;
        if !self.steps.is_multiple_of(self.every) {
            return Ok(Some(fast));
        }
        let nearer = |(slow, fast): (&Tensor, &Tensor)| -> Result<Tensor> {
            Ok((slow + ((fast - slow)? * self.share)?)?)
        };
        self.slow = self.slow.iter().zip(&fast).map(nearer).collect::<Result<_>>()?;
        Ok(Some(self.slow.clone()))
    }

    fn save(&self) -> Saved {
        let mut saved = nested(self.inner.as_ref());
        let counts = vec![self.steps as f64, self.slow.len() as f64];
        saved.insert("steps".into(), Stored::Numbers(counts));
        for (i, t) in self.slow.iter().enumerate() {
            saved.insert(format!("slow.{i}"), Stored::Tensor(t.clone()));
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let broken = || Error::runtime("the saved state of Lookahead is not consistent");
        let [steps, count] = *numbers(saved, "steps")?.as_array().ok_or_else(broken)?;
        let slow = tensors(saved, "slow");
        if slow.len() != count as usize {
            return Err(broken());
        }
        self.inner.restore(&unnested(saved))?;
        (self.steps, self.slow) = (steps as usize, slow);
        Ok(())
    }
}
