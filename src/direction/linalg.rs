//! An orthonormal basis of a span, with its rank.

/// The scalar product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The length.
pub(super) fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Takes from `v` what lies in the span of the orthonormal `basis`.
///
/// Twice: the first pass leaves rounding errors relative to the old length, the second relative to
/// the new one ("twice is enough", Kahan; Giraud et al. 2005). A third pass costs nothing where
/// almost all of `v` lay in the span.
pub(super) fn remove(v: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..3 {
        for q in basis {
            let share = dot(v, q);
            v.iter_mut().zip(q).for_each(|(x, y)| *x -= share * y);
        }
    }
}

/// An orthonormal basis of the span of `vectors`: Gram–Schmidt with column pivoting and
/// reorthogonalisation.
///
/// The vectors count by their angle, not their length. One whose remainder falls below `n · ε` of
/// its length (n = the larger of count and dimension, as in numpy's `matrix_rank`) is dependent and
/// adds nothing. Zero vectors add nothing.
pub(super) fn basis(vectors: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut rest: Vec<Vec<f64>> = vectors.iter().filter_map(|v| scaled(v)).collect();
    let size = rest.first().map_or(0, Vec::len).max(rest.len());
    let tolerance = size as f64 * f64::EPSILON;
    let mut found: Vec<Vec<f64>> = Vec::new();
    // The longest remainder first, as it is determined best.
    while let Some(best) =
        (0..rest.len()).max_by(|&i, &j| length(&rest[i]).total_cmp(&length(&rest[j])))
    {
        let chosen = rest.swap_remove(best);
        if length(&chosen) <= tolerance {
            break;
        }
        if let Some(mut q) = scaled(&chosen) {
            remove(&mut q, &found);
            if let Some(q) = scaled(&q) {
                found.push(q);
            }
        }
        rest.iter_mut().for_each(|v| remove(v, &found));
    }
    found
}

/// At length 1; `None` for zero or what is not finite.
fn scaled(v: &[f64]) -> Option<Vec<f64>> {
    let top = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if !(top.is_finite() && top > 0.0) {
        return None;
    }
    let by_top: Vec<f64> = v.iter().map(|x| x / top).collect();
    let len = length(&by_top);
    Some(by_top.into_iter().map(|x| x / len).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn orthonormal_and_of_the_right_rank() {
        let mut rng = Rng::new(4);
        let mut draw = || (0..40).map(|_| rng.normal()).collect::<Vec<f64>>();
        let (a, b) = (draw(), draw());
        let near: Vec<f64> = a.iter().zip(draw()).map(|(x, y)| x + 1e-10 * y).collect();
        let sum: Vec<f64> = a.iter().zip(&b).map(|(x, y)| 3e8 * (x - y)).collect();
        let zero = vec![0.0; 40];
        let q = basis(&[&a, &b, &near, &sum, &zero, &a]);
        assert_eq!(q.len(), 3);
        for (i, x) in q.iter().enumerate() {
            for (j, y) in q.iter().enumerate() {
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((dot(x, y) - want).abs() < 1e-14, "{i} {j} {}", dot(x, y));
            }
        }
    }
}
