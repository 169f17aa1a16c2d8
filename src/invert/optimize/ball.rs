//! Steps of another optimizer in ℓ1 balls around 0 (the projection of ILO, Daras et al. 2021).

use super::vectors::{flat, shaped};
use super::{Optimizer, Saved, Worth, nested, unnested};
use crate::error::Result;
use candle_core::Tensor;

/// An optimizer whose parameters stay in a ball: after each step, a tensor whose mean absolute value
/// is above `radius` is replaced by the nearest one that has that mean.
pub struct Ball {
    inner: Box<dyn Optimizer>,
    radius: f64,
}

impl Ball {
    /// Keeps the steps of `inner` in the ball of tensors with a mean absolute value up to `radius`.
    pub fn new(inner: Box<dyn Optimizer>, radius: f64) -> Self {
        Self { inner, radius }
    }
}

/// Replaces a vector by the nearest one whose absolute values sum up to at most `most`: every value
/// moves towards 0 by the same amount, as far as 0 (Duchi et al. 2008, figure 1).
fn project(values: &mut [f64], most: f64) {
    if values.iter().map(|v| v.abs()).sum::<f64>() <= most {
        return;
    }
    let mut sizes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut amount) = (0.0, 0.0);
    for (k, size) in sizes.iter().enumerate() {
        sum += size;
        let needed = (sum - most) / (k + 1) as f64;
        if *size <= needed {
            break;
        }
        amount = needed;
    }
    values.iter_mut().for_each(|v| *v = (v.abs() - amount).max(0.0).copysign(*v));
}

impl Optimizer for Ball {
    fn name(&self) -> &'static str {
        "ball"
    }

    fn gradients(&self) -> bool {
        self.inner.gradients()
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        let Some(next) = self.inner.next(at, worth)? else { return Ok(None) };
        let back = |t: &Tensor| -> Result<Tensor> {
            let mut values = flat(std::slice::from_ref(t))?;
            let most = self.radius * values.len() as f64;
            project(&mut values, most);
            Ok(shaped(&values, std::slice::from_ref(t))?.remove(0))
        };
        next.iter().map(back).collect::<Result<_>>().map(Some)
    }

    fn save(&self) -> Saved {
        nested(self.inner.as_ref())
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        self.inner.restore(&unnested(saved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::Adam;
    use crate::rng::Rng;
    use candle_core::Device;

    fn size(values: &[f64]) -> f64 {
        values.iter().map(|v| v.abs()).sum()
    }

    #[test]
    fn known_projections() {
        let cases: [(&[f64], f64, &[f64]); 4] = [
            (&[3.0, -1.0], 2.0, &[2.0, 0.0]),
            (&[3.0, -2.0, 1.0], 3.0, &[2.0, -1.0, 0.0]),
            (&[0.5, -0.25], 1.0, &[0.5, -0.25]),
            (&[1.0, 1.0, -1.0, 1.0], 2.0, &[0.5, 0.5, -0.5, 0.5]),
        ];
        for (from, most, wanted) in cases {
            let mut values = from.to_vec();
            project(&mut values, most);
            assert_eq!(values, wanted);
        }
    }

    /// The nearest point of a ball is the only one whose distance grows in every direction that
    /// stays inside: along a line to any other point of the ball the distance has no negative slope.
    #[test]
    fn a_projection_is_the_nearest_point() {
        let mut rng = Rng::new(7);
        for n in [1, 2, 17, 300] {
            let from: Vec<f64> = (0..n).map(|_| 3.0 * rng.normal()).collect();
            let most = 0.3 * size(&from);
            let mut near = from.clone();
            project(&mut near, most);
            assert!((size(&near) / most - 1.0).abs() < 1e-12);
            for _ in 0..50 {
                let mut other: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
                let scale = most / size(&other);
                other.iter_mut().for_each(|v| *v *= scale);
                let slope: f64 =
                    near.iter().zip(&from).zip(&other).map(|((p, x), o)| (p - x) * (o - p)).sum();
                assert!(slope > -1e-9 * most, "{n}: {slope}");
            }
        }
    }

    #[test]
    fn every_step_ends_in_the_ball_and_a_saved_state_goes_on_with_the_same_bits() {
        let vector = |v: Vec<f32>| Tensor::from_vec(v, (1, 8), &Device::Cpu).unwrap();
        let target = vector(Rng::new(3).normals(8));
        let fresh = || Ball::new(Box::new(Adam::default()), 0.1);
        let step = |ball: &mut Ball, x: &Tensor| {
            let gradients = [(x - &target).unwrap()];
            let worth = Worth { loss: 0.0, gradients: &gradients, rate: 0.05, seed: 0 };
            ball.next(std::slice::from_ref(x), &worth).unwrap().unwrap().remove(0)
        };
        let (mut ball, mut x) = (fresh(), vector(vec![0.0; 8]));
        for k in 0..40 {
            let mut resumed = fresh();
            resumed.restore(&ball.save()).unwrap();
            let other = step(&mut resumed, &x);
            x = step(&mut ball, &x);
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(values(&x), values(&other), "step {k}");
            let mean = values(&x).iter().map(|v| f64::from(v.abs())).sum::<f64>() / 8.0;
            assert!(mean <= 0.1 * (1.0 + 1e-6), "step {k}: {mean}");
            assert!(k < 20 || mean > 0.0999, "the target lies outside: {mean}");
        }
    }
}
