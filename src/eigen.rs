//! Covariances, and eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to a
//! tridiagonal matrix, then QL steps with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson
//! 1968; the routines `tred2` and `tql2` of EISPACK).

use crate::control;
use crate::error::{Error, Result};

/// QL steps for one eigenvalue at most; a few are usual.
const MOST_STEPS: usize = 60;

/// Eigenvalues, ascending, and eigenvectors of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigen {
    /// The eigenvalues.
    pub values: Vec<f64>,
    /// Row after row, `[n, n]`: row i belongs to value i.
    pub vectors: Vec<f64>,
}

/// Decomposes a symmetric matrix `[n, n]`, of which the lower triangle is read. O(n³).
///
/// # Errors
/// When the matrix holds values that are not finite.
pub fn symmetric(matrix: &[f64], n: usize) -> Result<Eigen> {
    if n == 0 || matrix.len() != n * n || matrix.iter().any(|v| !v.is_finite()) {
        return Err(Error::runtime("a covariance is not finite, so it has no axes"));
    }
    // Column j of EISPACK's matrix is row j here, so that all inner loops run along rows.
    let mut v: Vec<Vec<f64>> =
        (0..n).map(|j| (0..n).map(|k| matrix[k.max(j) * n + k.min(j)]).collect()).collect();
    let (mut values, mut beside) = reduce(&mut v);
    diagonalise(&mut v, &mut values, &mut beside)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    Ok(Eigen {
        vectors: order.iter().flat_map(|i| v[*i].iter().copied()).collect(),
        values: order.into_iter().map(|i| values[i]).collect(),
    })
}

/// Reduces to a tridiagonal matrix; returns its diagonal and the entries beside it (from index 1),
/// and leaves the transformation in `v`.
fn reduce(v: &mut [Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = v.len();
    let (mut d, mut e) = (v.iter().map(|c| c[n - 1]).collect::<Vec<f64>>(), vec![0.0; n]);
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|x| x.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[j][i - 1];
                (v[j][i], v[i][j]) = (0.0, 0.0);
            }
        } else {
            d[..i].iter_mut().for_each(|x| *x /= scale);
            h = d[..i].iter().map(|x| x * x).sum();
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].fill(0.0);
            reflect(v, &mut d, &mut e, (i, h));
        }
        d[i] = h;
    }
    accumulate(v, &mut d);
    e[0] = 0.0;
    (d, e)
}

/// Applies the reflection of step `i` from both sides.
fn reflect(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64], (i, h): (usize, f64)) {
    for j in 0..i {
        let f = d[j];
        v[i][j] = f;
        let mut g = e[j] + v[j][j] * f;
        for k in j + 1..i {
            g += v[j][k] * d[k];
            e[k] += v[j][k] * f;
        }
        e[j] = g;
    }
    let mut f = 0.0;
    for j in 0..i {
        e[j] /= h;
        f += e[j] * d[j];
    }
    let half = f / (h + h);
    for j in 0..i {
        e[j] -= half * d[j];
    }
    for j in 0..i {
        let (f, g) = (d[j], e[j]);
        for k in j..i {
            v[j][k] -= f * e[k] + g * d[k];
        }
        d[j] = v[j][i - 1];
        v[j][i] = 0.0;
    }
}

/// Multiplies the reflections.
fn accumulate(v: &mut [Vec<f64>], d: &mut [f64]) {
    let n = v.len();
    for i in 0..n.saturating_sub(1) {
        v[i][n - 1] = v[i][i];
        v[i][i] = 1.0;
        let h = d[i + 1];
        let (before, after) = v.split_at_mut(i + 1);
        let column = &mut after[0];
        if h != 0.0 {
            for k in 0..=i {
                d[k] = column[k] / h;
            }
            for own in before.iter_mut() {
                let g: f64 = (0..=i).map(|k| column[k] * own[k]).sum();
                for k in 0..=i {
                    own[k] -= g * d[k];
                }
            }
        }
        column[..=i].fill(0.0);
    }
    for (j, own) in v.iter_mut().enumerate() {
        d[j] = own[n - 1];
        own[n - 1] = if j == n - 1 { 1.0 } else { 0.0 };
    }
}

/// QL steps on the tridiagonal matrix of diagonal `d` and `e` beside it.
fn diagonalise(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) -> Result<()> {
    let n = d.len();
    e.rotate_left(1.min(n));
    let (mut shift, mut largest) = (0.0, 0.0f64);
    for l in 0..n {
        largest = largest.max(d[l].abs() + e[l].abs());
        // The last entry beside the diagonal is 0, so there is one.
        let small = |m: &usize| e[*m].abs() <= f64::EPSILON * largest;
        let m = (l..n).find(small).unwrap_or(n - 1);
        let mut steps = 0;
        while m > l && (steps == 0 || e[l].abs() > f64::EPSILON * largest) {
            steps += 1;
            if steps > MOST_STEPS {
                return Err(Error::runtime("the axes of a covariance were not found"));
            }
            shift += ql_step(v, d, e, (l, m));
        }
        d[l] += shift;
        e[l] = 0.0;
    }
    Ok(())
}

/// One QL step on the block `l..=m`; returns the shift that it took from the diagonal.
fn ql_step(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64], (l, m): (usize, usize)) -> f64 {
    let g = d[l];
    let mut p = (d[l + 1] - g) / (2.0 * e[l]);
    let r = if p < 0.0 { -p.hypot(1.0) } else { p.hypot(1.0) };
    d[l] = e[l] / (p + r);
    d[l + 1] = e[l] * (p + r);
    let (next, shift) = (d[l + 1], g - d[l]);
    d[l + 2..].iter_mut().for_each(|x| *x -= shift);
    p = d[m];
    let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
    let (mut s, mut s2) = (0.0, 0.0);
    let beside = e[l + 1];
    for i in (l..m).rev() {
        (c3, c2, s2) = (c2, c, s);
        let (g, h) = (c * e[i], c * p);
        let r = p.hypot(e[i]);
        e[i + 1] = s * r;
        (s, c) = (e[i] / r, p / r);
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        let (before, after) = v.split_at_mut(i + 1);
        for (x, y) in before[i].iter_mut().zip(after[0].iter_mut()) {
            let old = *y;
            *y = s * *x + c * old;
            *x = c * *x - s * old;
        }
    }
    p = -s * s2 * c3 * beside * e[l] / next;
    e[l] = s * p;
    d[l] = c * p;
    shift
}

/// Mean `[dim]` and covariance `[dim, dim]` of the rows of `points` (`[n, dim]`, row-major),
/// divided by `n`.
///
/// # Errors
/// `Interrupted` when it is stopped.
pub fn covariance(points: &[f32], dim: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let n = (points.len() / dim.max(1)).max(1) as f64;
    let mut mean = vec![0.0; dim];
    for row in points.chunks_exact(dim.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n);
    }
    let mut sum = vec![0.0; dim * dim];
    let mut away = vec![0.0; dim];
    for row in points.chunks_exact(dim.max(1)) {
        control::check()?;
        away.iter_mut().zip(row).zip(&mean).for_each(|((a, v), m)| *a = f64::from(*v) - m);
        for (i, x) in away.iter().enumerate() {
            let out = &mut sum[i * dim..(i + 1) * dim];
            // The lower half follows from the symmetry.
            out[i..].iter_mut().zip(&away[i..]).for_each(|(s, y)| *s += x * y / n);
        }
    }
    for i in 0..dim {
        for j in 0..i {
            sum[i * dim + j] = sum[j * dim + i];
        }
    }
    Ok((mean, sum))
}

/// An axis with its largest entry positive: the sign of an eigenvector is arbitrary.
pub fn pointing(mut axis: Vec<f64>) -> Vec<f64> {
    let largest = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if largest.is_some_and(|v| v < 0.0) {
        axis.iter_mut().for_each(|v| *v = -*v);
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn check(a: &[f64], n: usize) {
        let found = symmetric(a, n).unwrap();
        let size = a.iter().fold(1e-300f64, |m, x| m.max(x.abs()));
        assert!(found.values.is_sorted());
        let row = |i: usize| &found.vectors[i * n..(i + 1) * n];
        for i in 0..n {
            for k in 0..n {
                let product: f64 = (0..n).map(|j| a[k * n + j] * row(i)[j]).sum();
                let gap = (product - found.values[i] * row(i)[k]).abs();
                assert!(gap < 1e-13 * n as f64 * size, "{n}: {gap}");
                let gram: f64 = row(i).iter().zip(row(k)).map(|(x, y)| x * y).sum();
                let want = if i == k { 1.0 } else { 0.0 };
                assert!((gram - want).abs() < 1e-13 * n as f64, "{n}: {gram}");
            }
        }
    }

    #[test]
    fn vectors_are_orthonormal_and_the_matrix_scales_them() {
        let mut rng = Rng::new(8);
        for n in [1, 2, 3, 7, 40] {
            let b: Vec<f64> = (0..n * n).map(|_| rng.normal()).collect();
            let a: Vec<f64> = (0..n * n).map(|at| b[at] + b[at % n * n + at / n]).collect();
            check(&a, n);
            // Equal and vanishing eigenvalues.
            check(&vec![1.0; n * n], n);
            check(&vec![0.0; n * n], n);
            let unit: Vec<f64> =
                (0..n * n).map(|at| if at % (n + 1) == 0 { 3.0 } else { 0.0 }).collect();
            check(&unit, n);
            // Graded over twelve decades.
            let graded: Vec<f64> = (0..n * n)
                .map(|at| a[at] * 10f64.powf(-6.0 * ((at / n + at % n) as f64) / n as f64))
                .collect();
            check(&graded, n);
        }
    }

    #[test]
    fn closed_form_of_the_second_difference() {
        let n = 30;
        let entry = |at: usize| match (at / n).abs_diff(at % n) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let found = symmetric(&(0..n * n).map(entry).collect::<Vec<f64>>(), n).unwrap();
        for (k, value) in found.values.iter().enumerate() {
            let angle = std::f64::consts::PI * (k + 1) as f64 / (2 * (n + 1)) as f64;
            assert!((value - 4.0 * angle.sin().powi(2)).abs() < 1e-13, "{k} {value}");
        }
        assert!(symmetric(&[f64::NAN], 1).is_err() && symmetric(&[1.0, 2.0], 1).is_err());
    }
}
