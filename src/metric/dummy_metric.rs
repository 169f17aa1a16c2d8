//! A metric for tests alone.

use super::Metric;
use super::planes::pair;
use crate::error::Result;
use candle_core::Tensor;

/// The largest difference.
pub struct DummyMetric;

impl Metric for DummyMetric {
    fn name(&self) -> &'static str {
        "dummy_metric"
    }

    fn definition(&self) -> String {
        "largest absolute difference of two values, on [-1, 1]".into()
    }

    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        pair(a, b)?;
        let largest = (a - b)?.abs()?.flatten_from(1)?.max(1)?.to_vec1::<f32>()?;
        Ok(largest.into_iter().map(f64::from).collect())
    }
}
