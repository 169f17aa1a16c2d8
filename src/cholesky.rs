//! Cholesky's decomposition of symmetric positive definite matrices, in double precision.

use crate::control;
use crate::error::Result;

/// Decomposes a symmetric matrix `[n, n]` in place, in its lower triangle; returns whether it is
/// positive definite.
///
/// # Errors
/// When it is interrupted.
pub fn decompose(a: &mut [f64], n: usize) -> Result<bool> {
    for i in 0..n {
        control::check()?;
        let (before, rest) = a.split_at_mut(i * n);
        let own = &mut rest[..n];
        for j in 0..i {
            let row = &before[j * n..j * n + j + 1];
            let dot: f64 = row[..j].iter().zip(&own[..j]).map(|(a, b)| a * b).sum();
            own[j] = (own[j] - dot) / row[j];
        }
        let square: f64 = own[..i].iter().map(|v| v * v).sum();
        let left = own[i] - square;
        if !left.is_finite() || left <= 0.0 {
            return Ok(false);
        }
        own[i] = left.sqrt();
    }
    Ok(true)
}

/// Solves `L Lᵀ x = y` in place for the columns of y `[n, m]`.
///
/// # Errors
/// When it is interrupted.
pub fn solve(lower: &[f64], y: &mut [f64], (n, m): (usize, usize)) -> Result<()> {
    for i in 0..n {
        control::check()?;
        let (before, rest) = y.split_at_mut(i * m);
        let own = &mut rest[..m];
        for (l, row) in lower[i * n..i * n + i].iter().zip(before.chunks_exact(m)) {
            own.iter_mut().zip(row).for_each(|(o, r)| *o -= l * r);
        }
        own.iter_mut().for_each(|o| *o /= lower[i * n + i]);
    }
    for i in (0..n).rev() {
        control::check()?;
        let (before, rest) = y.split_at_mut(i * m);
        let own = &mut rest[..m];
        own.iter_mut().for_each(|o| *o /= lower[i * n + i]);
        for (l, row) in lower[i * n..i * n + i].iter().zip(before.chunks_exact_mut(m)) {
            row.iter_mut().zip(own.iter()).for_each(|(r, o)| *r -= l * o);
        }
    }
    Ok(())
}
