//! An optimizer for tests alone.

use super::{Optimizer, Saved, Stored, Worth, numbers};
use crate::error::Result;
use candle_core::Tensor;

/// Steps against the signs of the gradient; each is 0.9 times as long as the one before.
pub struct DummyOptimizer {
    length: f64,
}

impl DummyOptimizer {
    /// One whose first step has that length in every coordinate.
    pub fn new(length: f64) -> Self {
        Self { length }
    }
}

impl Optimizer for DummyOptimizer {
    fn name(&self) -> &'static str {
        "dummy_optimizer"
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        let step = |(p, g): (&Tensor, &Tensor)| -> Result<Tensor> {
            Ok((p - (g.sign()? * self.length)?)?)
        };
        let moved = at.iter().zip(worth.gradients).map(step).collect::<Result<_>>()?;
        self.length *= 0.9;
        Ok(Some(moved))
    }

    fn save(&self) -> Saved {
        Saved::from([("length".into(), Stored::Numbers(vec![self.length]))])
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        self.length = numbers(saved, "length")?.first().copied().unwrap_or(0.0);
        Ok(())
    }
}
