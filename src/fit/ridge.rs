//! Ridge regression in closed form (Hoerl and Kennard 1970), with one penalty for each output.
//!
//! There are fewer samples than features, so the dual form is solved: with K = X Xᵀ the weights are
//! B = Xᵀ (K + λ I)⁻¹ Y, which is (Xᵀ X + λ I)⁻¹ Xᵀ Y.

use crate::cholesky::{decompose, solve};
use crate::error::{Error, Result};
use crate::tensor::linear;
use candle_core::{DType, Device, Tensor};

/// Penalties that are tried, in units of the mean eigenvalue of K.
pub const PENALTIES: [f64; 8] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];

/// Samples of a regression without a constant: features `[n, p]` about their means over the samples
/// that are fitted, and outputs `[n, m]` about the mean of the prior.
pub struct Samples<'t> {
    /// The features.
    pub x: &'t Tensor,
    /// The outputs.
    pub y: &'t Tensor,
}

/// The weights `[m, p]` of the outputs, `x · Bᵀ`: each with the penalty that predicts it best in
/// other samples, or 0 where the mean of the prior is nearer.
///
/// # Errors
/// When the sizes do not fit, and when the features are not finite.
pub fn ridge(fitted: &Samples<'_>, chosen_on: &Samples<'_>) -> Result<Tensor> {
    let (n, m) = (fitted.x.dim(0)?, fitted.y.dim(1)?);
    let kernel = doubles(&linear(fitted.x, fitted.x)?)?;
    let across = doubles(&linear(chosen_on.x, fitted.x)?)?;
    let (y, other) = (doubles(fitted.y)?, doubles(chosen_on.y)?);
    let unit = (0..n).map(|i| kernel[i * n + i]).sum::<f64>() / n.max(1) as f64;
    if !unit.is_finite() || unit <= 0.0 {
        return Err(Error::runtime("the features of the samples do not differ"));
    }
    let mut best = square_by_column(&other, m);
    let mut dual = vec![0.0; n * m];
    for penalty in PENALTIES {
        let mut lower = kernel.clone();
        (0..n).for_each(|i| lower[i * n + i] += penalty * unit);
        if !decompose(&mut lower, n)? {
            return Err(Error::runtime("the features of the samples are not finite"));
        }
        let mut found = y.clone();
        solve(&lower, &mut found, (n, m))?;
        let apart = residual(&across, &found, &other, (n, m));
        for (j, error) in square_by_column(&apart, m).into_iter().enumerate() {
            if error < best[j] {
                best[j] = error;
                (0..n).for_each(|i| dual[i * m + j] = found[i * m + j]);
            }
        }
    }
    let dual: Vec<f32> = dual.into_iter().map(|v| v as f32).collect();
    let dual = Tensor::from_vec(dual, (n, m), &Device::Cpu)?.to_device(fitted.x.device())?;
    // Both rows of samples: [m, n] · [n, p].
    Ok(linear(&dual.t()?.contiguous()?, &fitted.x.t()?.contiguous()?)?)
}

fn doubles(t: &Tensor) -> Result<Vec<f64>> {
    let t = t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(t.flatten_all()?.to_vec1()?)
}

/// The sum of squares of each column of `[k, m]`.
fn square_by_column(values: &[f64], m: usize) -> Vec<f64> {
    let mut sums = vec![0.0; m];
    for row in values.chunks_exact(m.max(1)) {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += v * v);
    }
    sums
}

/// `across · dual − y`, `[k, n]`, `[n, m]`, `[k, m]`.
fn residual(across: &[f64], dual: &[f64], y: &[f64], (n, m): (usize, usize)) -> Vec<f64> {
    let mut out: Vec<f64> = y.iter().map(|v| -v).collect();
    for (out, row) in out.chunks_exact_mut(m.max(1)).zip(across.chunks_exact(n.max(1))) {
        for (k, dual) in row.iter().zip(dual.chunks_exact(m.max(1))) {
            out.iter_mut().zip(dual).for_each(|(o, d)| *o += k * d);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn matrix(name: &str, rows: usize, columns: usize) -> Vec<f32> {
        Rng::derive(4, name).normals(rows * columns)
    }

    fn tensor(values: &[f32], columns: usize) -> Tensor {
        let rows = values.len() / columns;
        Tensor::from_vec(values.to_vec(), (rows, columns), &Device::Cpu).unwrap()
    }

    /// The primal closed form, (Xᵀ X + λ I)⁻¹ Xᵀ y for one output, by Gauss's elimination.
    fn primal(x: &[f32], y: &[f32], p: usize, penalty: f64) -> Vec<f64> {
        let n = x.len() / p;
        let at = |i: usize, j: usize| f64::from(x[i * p + j]);
        let trace: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
        let mut rows: Vec<Vec<f64>> = (0..p)
            .map(|a| {
                let sum = |b: usize| (0..n).map(|i| at(i, a) * at(i, b)).sum::<f64>();
                let mut row: Vec<f64> = (0..p).map(sum).collect();
                row[a] += penalty * trace / n as f64;
                row.push((0..n).map(|i| at(i, a) * f64::from(y[i])).sum());
                row
            })
            .collect();
        for k in 0..p {
            let pivot = rows[k].clone();
            for (i, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != k) {
                assert!(pivot[k].abs() > 1e-9, "{i}");
                let factor = row[k] / pivot[k];
                row.iter_mut().zip(&pivot).for_each(|(r, v)| *r -= factor * v);
            }
        }
        (0..p).map(|k| rows[k][p] / rows[k][k]).collect()
    }

    #[test]
    fn the_dual_form_is_the_closed_form_with_the_best_penalty() {
        let (n, p, m) = (30, 7, 3);
        let (x, truth) = (matrix("x", n + 20, p), matrix("b", m, p));
        let noise = matrix("e", n + 20, m);
        // One output without noise, one with, one of noise alone.
        let y: Vec<f32> = (0..(n + 20) * m)
            .map(|k| {
                let (i, j) = (k / m, k % m);
                let clean: f32 = (0..p).map(|q| x[i * p + q] * truth[j * p + q]).sum();
                [clean, clean + 3.0 * noise[k], 1e-3 * noise[k]][j]
            })
            .collect();
        let fitted = (tensor(&x[..n * p], p), tensor(&y[..n * m], m));
        let (ox, oy) = (tensor(&x[n * p..], p), tensor(&y[n * m..], m));
        let found =
            ridge(&Samples { x: &fitted.0, y: &fitted.1 }, &Samples { x: &ox, y: &oy }).unwrap();
        let weights = found.to_vec2::<f32>().unwrap();
        let mut chosen = Vec::new();
        for j in 0..m {
            let column: Vec<f32> = (0..n).map(|i| y[i * m + j]).collect();
            let error = |b: &[f64]| -> f64 {
                (n..n + 20)
                    .map(|i| {
                        let said: f64 = (0..p).map(|q| f64::from(x[i * p + q]) * b[q]).sum();
                        (said - f64::from(y[i * m + j])).powi(2)
                    })
                    .sum()
            };
            let all: Vec<(f64, Vec<f64>)> =
                PENALTIES.iter().map(|l| (*l, primal(&x[..n * p], &column, p, *l))).collect();
            let best = all.iter().min_by(|a, b| error(&a.1).total_cmp(&error(&b.1))).unwrap();
            if error(&best.1) >= error(&vec![0.0; p]) {
                assert!(weights[j].iter().all(|v| *v == 0.0));
                continue;
            }
            chosen.push(best.0);
            for (a, b) in weights[j].iter().zip(&best.1) {
                assert!((f64::from(*a) - b).abs() < 1e-4 * b.abs().max(0.01), "{j}: {a} {b}");
            }
        }
        assert_eq!(chosen[0], PENALTIES[0], "what has no noise needs no penalty");
        assert!(chosen[1] > chosen[0]);
    }

    #[test]
    fn samples_that_do_not_differ_are_refused() {
        let zero = Tensor::zeros((4, 3), DType::F32, &Device::Cpu).unwrap();
        let all = || Samples { x: &zero, y: &zero };
        assert!(ridge(&all(), &all()).is_err());
        let odd = (zero.clone() + f64::NAN).unwrap();
        assert!(ridge(&Samples { x: &odd, y: &zero }, &all()).is_err());
    }
}
