//! The perceptual distance: differences of unit-length feature vectors.

use super::{Features, Metric};
use crate::error::Result;
use candle_core::{DType, Tensor};
use std::sync::Arc;

/// Keeps the length of a zero feature vector above zero.
const EPS: f64 = 1e-10;

/// A perceptual distance over a feature network, after LPIPS (Zhang et al. 2018) with equal
/// weights.
#[derive(Clone)]
pub struct Perceptual {
    features: Arc<Features>,
    borrowed: bool,
    /// Whether the network sees pictures that are smaller than those of its training as they are.
    small: bool,
}

impl Perceptual {
    /// The metric with that network.
    pub fn new(features: Arc<Features>) -> Self {
        Self { features, borrowed: false, small: false }
    }

    /// The metric with the network of another generator than the one in use.
    pub fn borrowed(features: Arc<Features>) -> Self {
        Self { features, borrowed: true, small: false }
    }

    /// The same whose network sees small pictures as they are, in place of enlarged: faster, with
    /// other numbers.
    #[must_use]
    pub fn of_small(&self) -> Self {
        Self { small: true, ..self.clone() }
    }

    /// Whether the network is another generator's.
    pub fn is_borrowed(&self) -> bool {
        self.borrowed
    }

    /// The network.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The activations to compare: of all convolutions but the first, every place scaled to unit
    /// length over the channels.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → one `[N, C_i, H_i · W_i]` a tap, with gradients.
    pub fn taps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        self.features.maps(pictures, self.small)?.iter().skip(1).map(unit_length).collect()
    }

    /// The distance from precomputed taps: for every tap the squared difference summed over
    /// channels, mean over space; then the mean over the taps.
    ///
    /// # Shapes
    /// two results of [`Self::taps`] → `[N]`, with gradients.
    pub fn between(&self, a: &[Tensor], b: &[Tensor]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for (x, y) in a.iter().zip(b) {
            let distance = (x - y)?.sqr()?.sum(1)?.mean(1)?; // [N]
            sum = Some(match sum {
                Some(s) => (s + distance)?,
                None => distance,
            });
        }
        let sum = sum.ok_or_else(|| {
            crate::error::Error::runtime("the feature network has no layer to compare")
        })?;
        Ok((sum / a.len() as f64)?)
    }

    /// The distance to precomputed taps, for a loss: faster than [`Self::between`], but equal
    /// pictures are only equal up to rounding.
    ///
    /// # Shapes
    /// `[N, C, H, W]` and the taps of as many pictures → `[N]`, with gradients.
    pub fn to(&self, pictures: &Tensor, target: &[Tensor]) -> Result<Tensor> {
        match self.features.unit_distance((pictures, self.small), target, EPS)? {
            Some(distance) => Ok(distance),
            None => self.between(&self.taps(pictures)?, target),
        }
    }

    /// The distance, with gradients into both.
    ///
    /// # Shapes
    /// `[N, C, H, W]` twice → `[N]`
    pub fn distance(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.between(&self.taps(a)?, &self.taps(b)?)
    }
}

fn unit_length(x: &Tensor) -> Result<Tensor> {
    let x = x.flatten_from(2)?; // [NCP]
    let length = (x.sqr()?.sum_keepdim(1)? + EPS)?.sqrt()?;
    Ok(x.broadcast_div(&length)?)
}

impl Metric for Perceptual {
    fn name(&self) -> &'static str {
        "perceptual"
    }
    fn definition(&self) -> String {
        let c = self.features.config();
        format!(
            "LPIPS-style distance in the layers of {} (not VGG, not comparable with published \
             LPIPS): pictures at {}², \
             {} layers, unit length over channels, squared difference, mean over space and layers",
            crate::safe::Safe(self.features.name()),
            c.input_resolution,
            c.strides.len() - 1
        )
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        super::planes::pair(a, b)?;
        Ok(self.distance(a, b)?.to_dtype(DType::F64)?.to_vec1()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::features::tests::random;
    use crate::rng::Rng;
    use candle_core::{Device, Var};

    fn picture(seed: u64, n: usize) -> Tensor {
        Tensor::from_vec(Rng::new(seed).normals(n * 144), (n, 1, 12, 12), &Device::Cpu).unwrap()
    }

    #[test]
    fn zero_for_equal_and_symmetric_and_bounded() {
        let p = Perceptual::new(Arc::new(random(1)));
        let (a, b) = (picture(1, 2), picture(2, 2));
        assert!(p.measure(&a, &a).unwrap().iter().all(|&d| d == 0.0));
        let (ab, ba) = (p.measure(&a, &b).unwrap(), p.measure(&b, &a).unwrap());
        assert_eq!(ab, ba);
        // Two unit vectors are at most 2 apart, squared 4.
        assert!(ab.iter().all(|&d| d > 0.0 && d <= 4.0));
    }

    #[test]
    fn the_short_way_to_taps_equals_the_long_one() {
        let p = Perceptual::new(Arc::new(random(1)));
        let target = p.taps(&picture(2, 3)).unwrap();
        let pictures = Var::from_tensor(&picture(1, 3)).unwrap();
        let weights = Tensor::new(&[1f32, -2.0, 0.5], &Device::Cpu).unwrap();
        let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let both = [p.to(&pictures, &target), p.between(&p.taps(&pictures).unwrap(), &target)].map(
            |distance| {
                let distance = distance.unwrap();
                let grads = (&distance * &weights).unwrap().sum_all().unwrap().backward().unwrap();
                [numbers(&distance), numbers(grads.get(&pictures).unwrap())]
            },
        );
        for (short, long) in both[0].iter().zip(&both[1]) {
            let scale = long.iter().fold(0f32, |most, v| most.max(v.abs()));
            assert!(scale > 0.0 && short.len() == long.len());
            assert!(
                short.iter().zip(long).all(|(a, b)| (a - b).abs() < 1e-5 * scale),
                "{short:?} {long:?}"
            );
        }
        let few = p.to(&picture(1, 2), &target).unwrap_err();
        assert!(few.message().contains("target"), "{}", few.message());
        assert!(p.to(&picture(1, 3), &[]).is_err());
    }

    #[test]
    fn gradient_agrees_with_finite_differences_through_the_resize() {
        let p = Perceptual::new(Arc::new(random(1)));
        let (x, y) = (picture(3, 1), picture(4, 1));
        let var = Var::from_tensor(&x).unwrap();
        let grads = p.distance(&var, &y).unwrap().sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let base = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let at = |along: &[f32], t: f32| {
            let moved: Vec<f32> = base.iter().zip(along).map(|(b, d)| b + t * d).collect();
            p.measure(&Tensor::from_vec(moved, (1, 1, 12, 12), &Device::Cpu).unwrap(), &y).unwrap()
                [0]
        };
        for seed in 0..4 {
            let along = Rng::new(seed).normals(144);
            let exact: f64 = grad.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
            let numeric = (at(&along, 2e-3) - at(&along, -2e-3)) / 4e-3;
            assert!((exact - numeric).abs() < 2e-2 * exact.abs().max(0.05), "{exact} {numeric}");
        }
    }
}
