//! Whether two pictures show the same person.

use super::{Features, Metric};
use crate::error::Result;
use candle_core::{DType, Tensor};
use std::sync::Arc;

/// Keeps the length of a zero embedding above zero.
const EPS: f64 = 1e-12;

/// The cosine between the identity embeddings of two pictures.
#[derive(Clone)]
pub struct Identity {
    features: Arc<Features>,
}

impl Identity {
    /// The metric with that network; `None` when it has no identity embedding.
    pub fn new(features: Arc<Features>) -> Option<Self> {
        features.config().knows_identity().then_some(Self { features })
    }

    /// The cosine of embeddings that are known already ([`Features::identity`]), with gradients
    /// into both.
    ///
    /// # Shapes
    /// `[N, k]` twice → `[N]` in [-1, 1]
    pub fn cosine(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let length = |x: &Tensor| -> Result<Tensor> { Ok((x.sqr()?.sum(1)? + EPS)?.sqrt()?) };
        Ok((a.mul(b)?.sum(1)? / (length(a)? * length(b)?)?)?)
    }
}

impl Metric for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }
    fn definition(&self) -> String {
        let c = self.features.config();
        format!(
            "cosine of the identity embeddings that {} reads off pictures at {}² ({} standardised \
             numbers of the face's \
             shape; not ArcFace, not comparable with published numbers): 1 the same person, about \
             0 two people at random",
            crate::safe::Safe(self.features.name()),
            c.input_resolution,
            c.group("identity").len()
        )
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        super::planes::pair(a, b)?;
        let [a, b] =
            [a, b].map(|x| self.features.identity(x).and_then(|e| Ok(e.to_dtype(DType::F64)?)));
        Ok(Self::cosine(&a?, &b?)?.to_vec1()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::features::tests::with_outputs;
    use crate::rng::Rng;
    use candle_core::Device;

    fn network() -> Arc<Features> {
        let identity =
            |i: usize| serde_json::json!({"name": format!("identity_{i:02}"), "group": "identity"});
        Arc::new(with_outputs(
            serde_json::json!([{"name": "age"}, identity(0), identity(1), identity(2)]),
        ))
    }

    fn pictures(seed: u64) -> Tensor {
        Tensor::from_vec(Rng::new(seed).normals(3 * 64), (3, 1, 8, 8), &Device::Cpu).unwrap()
    }

    #[test]
    fn one_with_itself_symmetric_and_the_cosine_of_the_embeddings() {
        let (net, a, b) = (network(), pictures(1), pictures(2));
        let m = Identity::new(net.clone()).unwrap();
        assert!(m.measure(&a, &a).unwrap().iter().all(|v| (v - 1.0).abs() < 1e-9));
        let ab = m.measure(&a, &b).unwrap();
        assert_eq!(ab, m.measure(&b, &a).unwrap());
        let [x, y] = [&a, &b].map(|p| net.identity(p).unwrap().to_vec2::<f32>().unwrap());
        for ((x, y), got) in x.iter().zip(&y).zip(&ab) {
            assert_eq!(x.len(), 3);
            let dot = |x: &[f32], y: &[f32]| {
                x.iter().zip(y).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum::<f64>()
            };
            assert!((dot(x, y) / (dot(x, x) * dot(y, y)).sqrt() - got).abs() < 1e-9);
        }
    }

    #[test]
    fn a_network_without_the_group_has_no_such_metric() {
        assert!(
            Identity::new(Arc::new(with_outputs(serde_json::json!([{"name": "age"}])))).is_none()
        );
    }
}
