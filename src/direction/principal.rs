//! Principal components of a cloud of points.

use super::linalg::{dot, length, remove};
use crate::control;
use crate::eigen::{covariance, pointing};
use crate::error::Result;
use crate::rng::Rng;

/// Vectors that are iterated besides those wanted: the wanted ones then converge faster.
const SPARE: usize = 8;
/// Most rounds of the iteration.
const ROUNDS: usize = 400;
/// Relative change of the variances below which the iteration ends.
const SETTLED: f64 = 1e-12;

/// A principal component.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its axis, of length 1. The entry with the largest absolute value is positive, because the
    /// sign of a component is arbitrary.
    pub axis: Vec<f64>,
    /// The standard deviation of the points along it.
    pub sigma: f64,
    /// Its share of the variance of all points, in [0, 1].
    pub share: f64,
}

/// The first `count` principal components of the rows of `points` (`[n, dim]`, row-major), the
/// widest first: GANSpace's directions when the points are codes of w (Härkönen et al. 2020).
/// Fewer when the points span fewer.
///
/// Orthogonal iteration on the covariance (Golub and Van Loan, section 8.2), in double precision
/// and in a fixed order, so that the numbers do not depend on the machine's threads.
///
/// # Errors
/// `Interrupted` when it is stopped.
pub fn principal(points: &[f32], dim: usize, count: usize) -> Result<Vec<Component>> {
    let (_, covariance) = covariance(points, dim)?;
    let total: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
    let mut rng = Rng::derive(0, "principal components");
    let width = (count + SPARE).min(dim);
    let start = (0..width).map(|_| (0..dim).map(|_| rng.normal()).collect());
    let mut axes = orthonormal(start.collect());
    let mut variances = vec![0.0; axes.len()];
    for _ in 0..ROUNDS {
        control::check()?;
        let images: Vec<Vec<f64>> = axes.iter().map(|a| times(&covariance, a)).collect();
        let found: Vec<f64> = axes.iter().zip(&images).map(|(a, b)| dot(a, b)).collect();
        let change = found.iter().zip(&variances).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        variances = found;
        if change <= SETTLED * total {
            break;
        }
        axes = orthonormal(images);
        variances.truncate(axes.len());
    }
    let mut all: Vec<Component> = axes
        .into_iter()
        .zip(variances)
        .filter(|(_, variance)| *variance > 1e-9 * total)
        .map(|(axis, variance)| Component {
            axis: pointing(axis),
            sigma: variance.sqrt(),
            share: variance / total,
        })
        .collect();
    all.sort_by(|a, b| b.sigma.total_cmp(&a.sigma));
    all.truncate(count);
    Ok(all)
}

fn times(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(v.len().max(1)).map(|row| dot(row, v)).collect()
}

/// The vectors made orthonormal in their order; dependent ones are left out.
fn orthonormal(vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(vectors.len());
    for mut v in vectors {
        let before = length(&v);
        remove(&mut v, &found);
        let after = length(&v);
        if after > 1e-10 * before {
            v.iter_mut().for_each(|x| *x /= after);
            found.push(v);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_axes_and_deviations_are_found() {
        // Points on three axes of known, turned directions and known spread.
        let (dim, n) = (6, 4000);
        let mut rng = Rng::new(3);
        let axes = orthonormal((0..3).map(|_| (0..dim).map(|_| rng.normal()).collect()).collect());
        let spread = [3.0, 1.5, 0.4];
        let mut points = Vec::new();
        for _ in 0..n {
            let along: Vec<f64> = spread.iter().map(|s| s * rng.normal()).collect();
            points.extend((0..dim).map(|i| {
                let v: f64 = axes.iter().zip(&along).map(|(a, k)| a[i] * k).sum();
                (5.0 + v) as f32
            }));
        }
        let found = principal(&points, dim, 5).unwrap();
        assert_eq!(found.len(), 3, "the points span three dimensions");
        for (component, (axis, sigma)) in found.iter().zip(axes.iter().zip(spread)) {
            assert!(dot(&component.axis, axis).abs() > 0.999, "{component:?}");
            assert!((component.sigma / sigma - 1.0).abs() < 0.05, "{component:?}");
            let largest = component.axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            assert!(largest.is_some_and(|v| v > 0.0));
        }
        assert!((found.iter().map(|c| c.share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(found, principal(&points, dim, 5).unwrap(), "the same numbers again");
    }
}
