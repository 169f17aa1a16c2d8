//! Where reference files are, and how far two tensors are apart.

use candle_core::Tensor;
use std::path::{Path, PathBuf};

/// The folder of a family's reference files.
pub fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(family)
}

/// The values of a tensor.
pub fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// The most that two tensors of one shape differ.
pub fn worst(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    // Not `max`, which would drop a NaN.
    let apart = flat(a).into_iter().zip(flat(b)).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |m, d| if d <= m { m } else { d })
}

/// The norm of the difference of two tensors over that of the second.
pub fn relative(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.elem_count(), b.elem_count());
    let (a, b) = (flat(a), flat(b));
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(&b).max(1e-30)
}
