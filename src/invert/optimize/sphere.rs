//! Steps of another optimizer on spheres around 0 (the SphericalOptimizer of PULSE, Menon et al.
//! 2020).

use super::vectors::{flat, shaped};
use super::{Optimizer, Saved, Stored, Worth, nested, numbers, unnested};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// An optimizer whose parameters keep the lengths that they began with: every row of a code
/// (`[…, D]`) and every noise map (`[…, H, W]`) is scaled back after each step.
///
/// A sample of N(0, I) in many dimensions lies near the sphere of radius √D, so the search stays
/// where the generator was trained.
pub struct Sphere {
    inner: Box<dyn Optimizer>,
    /// Row after row of all parameters.
    radii: Vec<f64>,
}

impl Sphere {
    /// Keeps the steps of `inner` on their spheres.
    pub fn new(inner: Box<dyn Optimizer>) -> Self {
        Self { inner, radii: Vec::new() }
    }
}

/// Values of one row: the last dimension of a code, the last two of a map.
fn row_length(t: &Tensor) -> usize {
    let dims = t.dims();
    let own = if dims.len() < 4 { 1 } else { 2 };
    dims.iter().rev().take(own).product::<usize>().max(1)
}

fn length(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The lengths of the rows of all parameters.
fn lengths(all: &[Tensor]) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    for t in all {
        let values = flat(std::slice::from_ref(t))?;
        found.extend(values.chunks(row_length(t)).map(length));
    }
    Ok(found)
}

impl Optimizer for Sphere {
    fn name(&self) -> &'static str {
        "sphere"
    }

    fn gradients(&self) -> bool {
        self.inner.gradients()
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        if self.radii.is_empty() {
            self.radii = lengths(at)?;
        }
        let Some(next) = self.inner.next(at, worth)? else { return Ok(None) };
        let mut radii = self.radii.iter();
        let back = |t: &Tensor| -> Result<Tensor> {
            let mut values = flat(std::slice::from_ref(t))?;
            for row in values.chunks_mut(row_length(t)) {
                let now = length(row);
                let radius = radii
                    .next()
                    .ok_or_else(|| Error::runtime("the sphere began with other parameters"))?;
                // A row of length 0 has no direction to go back in.
                if now > 0.0 {
                    row.iter_mut().for_each(|x| *x *= radius / now);
                }
            }
            let mut one = shaped(&values, std::slice::from_ref(t))?;
            Ok(one.remove(0))
        };
        next.iter().map(back).collect::<Result<_>>().map(Some)
    }

    fn save(&self) -> Saved {
        let mut saved = nested(self.inner.as_ref());
        saved.insert("radii".into(), Stored::Numbers(self.radii.clone()));
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        self.inner.restore(&unnested(saved))?;
        self.radii = numbers(saved, "radii")?.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::{Adam, Sgd};
    use crate::rng::Rng;
    use candle_core::{DType, Device};

    #[test]
    fn every_row_keeps_its_length_and_its_slope_along_the_sphere_vanishes() {
        let mut rng = Rng::new(2);
        let mut draw = |dims: &[usize]| {
            let count = dims.iter().product();
            let v: Vec<f64> = (0..count).map(|_| rng.normal()).collect();
            Tensor::from_vec(v, dims, &Device::Cpu).unwrap()
        };
        let all = [draw(&[1, 16]), draw(&[1, 3, 8]), draw(&[1, 1, 4, 4])];
        let centre = [draw(&[1, 16]), draw(&[1, 3, 8]), draw(&[1, 1, 4, 4])];
        for single in [false, true] {
            let kind = if single { DType::F32 } else { DType::F64 };
            let cast = |t: &Tensor| t.to_dtype(kind).unwrap();
            let mut x: Vec<Tensor> = all.iter().map(cast).collect();
            let centre: Vec<Tensor> = centre.iter().map(cast).collect();
            let first = lengths(&x).unwrap();
            assert_eq!(first.len(), 1 + 3 + 1);
            let mut sphere = Sphere::new(Box::new(Sgd::default()));
            for _ in 0..300 {
                // Σ |x − c|² / 2
                let gradients: Vec<Tensor> =
                    x.iter().zip(&centre).map(|(x, c)| (x - c).unwrap()).collect();
                let worth = Worth { loss: 0.0, gradients: &gradients, rate: 0.02, seed: 0 };
                x = sphere.next(&x, &worth).unwrap().unwrap();
                let most = if single { 2e-7 } else { 1e-15 };
                for (a, b) in lengths(&x).unwrap().iter().zip(&first) {
                    assert!((a / b - 1.0).abs() <= most, "{a} {b}");
                }
            }
            // The nearest point of a sphere lies in the direction of the centre.
            for (x, c) in x.iter().zip(&centre) {
                let (x, c, n) = (
                    flat(std::slice::from_ref(x)).unwrap(),
                    flat(std::slice::from_ref(c)).unwrap(),
                    row_length(x),
                );
                for (x, c) in x.chunks(n).zip(c.chunks(n)) {
                    let cosine: f64 = x.iter().zip(c).map(|(a, b)| a * b).sum::<f64>();
                    assert!(cosine / length(x) / length(c) > 1.0 - 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_where_its_optimizer_puts_it() {
        let zero = Tensor::zeros((1, 4), DType::F64, &Device::Cpu).unwrap();
        let mut sphere = Sphere::new(Box::new(Adam::default()));
        let zero = [zero];
        let worth = Worth { loss: 0.0, gradients: &zero, rate: 0.1, seed: 0 };
        let next = sphere.next(&zero, &worth).unwrap().unwrap();
        assert_eq!(flat(&next).unwrap(), [0.0; 4]);
    }
}
