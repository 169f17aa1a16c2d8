//! Differentiable resizing of pictures, as two matrix products.

use crate::error::Result;
use crate::tensor::linear;
use candle_core::{Device, Tensor};
use std::sync::{Mutex, PoisonError};

/// Matrices that are kept; a step needs a few sizes, the same at every step.
const KEPT: usize = 16;

/// How one axis is resized.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// [`area_matrix`].
    Area,
    /// [`window_matrix`].
    Windows,
    /// [`corner_matrix`].
    Corners,
    /// [`point_matrix`].
    Points,
}

impl How {
    fn matrix(self, from: usize, to: usize) -> Vec<f64> {
        match self {
            Self::Area => area_matrix(from, to),
            Self::Windows => window_matrix(from, to),
            Self::Corners => corner_matrix(from, to),
            Self::Points => point_matrix(from, to),
        }
    }
}

/// The matrix that resizes one axis.
///
/// Shrinking averages the covered source pixels by their share (area); growing interpolates
/// linearly between pixel centres (`align_corners = false`). Every row sums to 1.
///
/// # Shapes
/// → `[to, from]` row-major.
pub fn area_matrix(from: usize, to: usize) -> Vec<f64> {
    let scale = from as f64 / to as f64;
    let mut m = vec![0.0; from * to];
    for (i, row) in m.chunks_exact_mut(from.max(1)).enumerate() {
        if scale < 1.0 {
            between(row, (i as f64 + 0.5) * scale - 0.5);
        } else {
            let (lo, hi) = (i as f64 * scale, (i + 1) as f64 * scale);
            for (j, v) in row.iter_mut().enumerate() {
                *v = ((hi.min((j + 1) as f64) - lo.max(j as f64)) / scale).max(0.0);
            }
        }
    }
    m
}

/// The row of a matrix that takes the value at a place between two neighbours.
fn between(row: &mut [f64], at: f64) {
    let last = row.len().saturating_sub(1);
    let at = at.clamp(0.0, last as f64);
    let (low, share) = ((at as usize).min(last), at.fract());
    row[low] += 1.0 - share;
    row[(low + 1).min(last)] += share;
}

/// The matrix that takes an axis at places a step apart, between the nearest two pixels: PyTorch's
/// bilinear `interpolate` without `antialias`, which skips pixels when it shrinks.
///
/// # Shapes
/// → `[to, from]` row-major.
fn point_matrix(from: usize, to: usize) -> Vec<f64> {
    let scale = from as f64 / to as f64;
    let mut m = vec![0.0; from * to];
    for (i, row) in m.chunks_exact_mut(from.max(1)).enumerate() {
        between(row, (i as f64 + 0.5) * scale - 0.5);
    }
    m
}

/// The matrix of PyTorch's adaptive average pooling: each value is the mean of the whole pixels
/// that its share of the axis touches, so neighbours may have one in common.
///
/// # Shapes
/// → `[to, from]` row-major.
fn window_matrix(from: usize, to: usize) -> Vec<f64> {
    let mut m = vec![0.0; from * to];
    for (i, row) in m.chunks_exact_mut(from.max(1)).enumerate() {
        let window = i * from / to..((i + 1) * from).div_ceil(to);
        let share = 1.0 / window.len() as f64;
        row[window].fill(share);
    }
    m
}

/// The matrix that grows an axis linearly and keeps its ends where they are (`align_corners`).
///
/// # Shapes
/// → `[to, from]` row-major.
fn corner_matrix(from: usize, to: usize) -> Vec<f64> {
    let step = if to > 1 { (from - 1) as f64 / (to - 1) as f64 } else { 0.0 };
    let mut m = vec![0.0; from * to];
    for (i, row) in m.chunks_exact_mut(from.max(1)).enumerate() {
        between(row, i as f64 * step);
    }
    m
}

/// Pictures at another size, with gradients; the same tensor when the size fits already. Shrinking
/// averages by area, growing interpolates ([`area_matrix`]).
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, h, w]`
pub fn resize_to(pictures: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    resized(pictures, (h, w), How::Area)
}

/// As [`resize_to`], by PyTorch's adaptive average pooling: of sides that are no multiples of each
/// other its numbers differ from those by area.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, h, w]`
pub fn pool_to(pictures: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    resized(pictures, (h, w), How::Windows)
}

/// Maps at a larger size, between whose corners is interpolated linearly, with gradients.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, h, w]`
pub fn grow_to(maps: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    resized(maps, (h, w), How::Corners)
}

/// Pictures at another size, each pixel between the nearest of the larger picture, with gradients:
/// PyTorch's bilinear `interpolate`, which skips pixels when it shrinks.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, h, w]`
pub fn sample_to(pictures: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    resized(pictures, (h, w), How::Points)
}

fn resized(pictures: &Tensor, (h, w): (usize, usize), how: How) -> Result<Tensor> {
    let (_, _, from_h, from_w) = pictures.dims4()?;
    if (from_h, from_w) == (h, w) {
        return Ok(pictures.clone());
    }
    let matrix = |from: usize, to: usize| matrix(how, (from, to), pictures.device());
    along(pictures, &matrix(from_h, h)?, &matrix(from_w, w)?)
}

/// Columns and rows of pictures multiplied by a matrix each, with gradients.
///
/// # Shapes
/// `[N, C, H, W]`, columns `[h, H]`, rows `[w, W]` → `[N, C, h, w]`
pub fn along(pictures: &Tensor, columns: &Tensor, rows: &Tensor) -> Result<Tensor> {
    let (n, c, from_h, from_w) = pictures.dims4()?;
    let (h, w) = (columns.dim(0)?, rows.dim(0)?);
    let across = linear(&pictures.reshape((n * c * from_h, from_w))?, rows)?; // [NCH, w]
    let turned = across.reshape((n * c, from_h, w))?.transpose(1, 2)?.contiguous()?; // [NC, w, H]
    let down = linear(&turned.reshape((n * c * w, from_h))?, columns)?; // [NCw, h]
    Ok(down.reshape((n * c, w, h))?.transpose(1, 2)?.contiguous()?.reshape((n, c, h, w))?)
}

/// A matrix that was made.
type Made = (How, Tensor);

/// The matrix of an axis on `device`, `[to, from]`: kept, as a GPU would wait for it to come from
/// the host at every step.
fn matrix(how: How, (from, to): (usize, usize), device: &Device) -> Result<Tensor> {
    static MATRICES: Mutex<Vec<Made>> = Mutex::new(Vec::new());
    let mut kept = MATRICES.lock().unwrap_or_else(PoisonError::into_inner);
    let fits =
        |(of, m): &&Made| *of == how && m.dims() == [to, from] && m.device().same_device(device);
    if let Some((_, m)) = kept.iter().find(fits) {
        return Ok(m.clone());
    }
    let m: Vec<f32> = how.matrix(from, to).into_iter().map(|v| v as f32).collect();
    let m = Tensor::from_vec(m, (to, from), &Device::Cpu)?.to_device(device)?;
    kept.truncate(KEPT - 1);
    kept.insert(0, (how, m.clone()));
    Ok(m)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_growing_interpolates() {
        let x = Tensor::from_vec(vec![0f32, 2., 4., 6.], (1, 1, 1, 4), &Device::Cpu).unwrap();
        let small = resize_to(&x, 1, 2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(small, [1.0, 5.0]);
        // 3 from 4: each output covers 4/3 of a pixel.
        let third = resize_to(&x, 1, 3).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(
            (third[0] - 0.5).abs() < 1e-6
                && (third[1] - 3.0).abs() < 1e-6
                && (third[2] - 5.5).abs() < 1e-6
        );
        let back =
            resize_to(&Tensor::from_vec(small, (1, 1, 1, 2), &Device::Cpu).unwrap(), 1, 4).unwrap();
        assert_eq!(back.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0, 4.0, 5.0]);
    }

    #[test]
    fn rows_sum_to_one() {
        for (from, to) in [(7, 3), (3, 7), (128, 96), (1, 5), (5, 1)] {
            for how in [How::Area, How::Windows, How::Corners, How::Points] {
                for row in how.matrix(from, to).chunks_exact(from) {
                    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                }
            }
        }
    }

    /// As `adaptive_avg_pool1d`, `interpolate(align_corners=True)` and `interpolate` of PyTorch.
    #[test]
    fn windows_overlap_and_corners_stay() {
        let of = |how: How, from: usize, to: usize| {
            let axis: Vec<f64> = (0..from).map(|v| (v * v) as f64).collect();
            let product = |row: &[f64]| row.iter().zip(&axis).map(|(a, b)| a * b).sum::<f64>();
            how.matrix(from, to).chunks_exact(from).map(product).collect::<Vec<_>>()
        };
        for (how, from, wanted) in [
            (How::Windows, 5, &[0.5, 14.0 / 3.0, 12.5][..]),
            (How::Windows, 2, &[0.0, 0.0, 1.0, 1.0]),
            (How::Corners, 3, &[0.0, 0.5, 1.0, 2.5, 4.0]),
            (How::Corners, 1, &[0.0, 0.0]),
            (How::Points, 8, &[2.5, 30.5]),
            (How::Points, 5, &[1.0 / 3.0, 4.0, 41.0 / 3.0]),
        ] {
            let found = of(how, from, wanted.len());
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        }
    }
}
