//! The radial power spectrum of a picture.

use crate::image::Raster;
use std::f64::consts::{PI, TAU};

/// Longest side that is transformed; of a larger picture the middle is.
const SIDE: usize = 1024;

/// The power of a picture by spatial frequency, from the lowest to half a cycle a pixel, as the
/// means over at most so many rings; fewer where the picture has fewer frequencies. It is that of
/// the luma (Rec. 709) without its mean, under a Hann window so that the edges do not count.
pub fn radial(picture: &Raster, rings: usize) -> Vec<f64> {
    let (width, height) = (picture.width.min(SIDE), picture.height.min(SIDE));
    let (left, top) = ((picture.width - width) / 2, (picture.height - height) / 2);
    let luma = |i: usize| luma(picture.pixel(left + i % width, top + i / width));
    let values: Vec<f64> = (0..width * height).map(luma).collect();
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (columns, rows) = (width.next_power_of_two(), height.next_power_of_two());
    let mut plane = Plane { re: vec![0.0; columns * rows], im: vec![0.0; columns * rows], columns };
    for (i, v) in values.iter().enumerate() {
        let (x, y) = (i % width, i / width);
        plane.re[y * columns + x] = (v - mean) * hann(x, width) * hann(y, height);
    }
    plane.transform();
    plane.rings(rings)
}

/// The luma of a pixel in [0, 1].
fn luma(pixel: &[u8]) -> f64 {
    let at = |k: usize| f64::from(pixel[k]) / 255.0;
    if pixel.len() < 3 { at(0) } else { 0.2126 * at(0) + 0.7152 * at(1) + 0.0722 * at(2) }
}

fn hann(at: usize, length: usize) -> f64 {
    0.5 - 0.5 * libm::cos(TAU * (at as f64 + 0.5) / length as f64)
}

/// Complex numbers in rows.
struct Plane {
    re: Vec<f64>,
    im: Vec<f64>,
    columns: usize,
}

impl Plane {
    fn rows(&self) -> usize {
        self.re.len() / self.columns
    }

    /// The Fourier transform of the rows, then of the columns.
    fn transform(&mut self) {
        let (columns, rows) = (self.columns, self.rows());
        for (re, im) in self.re.chunks_exact_mut(columns).zip(self.im.chunks_exact_mut(columns)) {
            fourier(re, im);
        }
        let (mut re, mut im) = (vec![0.0; rows], vec![0.0; rows]);
        for x in 0..columns {
            for y in 0..rows {
                (re[y], im[y]) = (self.re[y * columns + x], self.im[y * columns + x]);
            }
            fourier(&mut re, &mut im);
            for y in 0..rows {
                (self.re[y * columns + x], self.im[y * columns + x]) = (re[y], im[y]);
            }
        }
    }

    /// The mean power in rings of equal width, from the middle to half a cycle a pixel. No ring is
    /// narrower than the distance between two frequencies.
    fn rings(&self, most: usize) -> Vec<f64> {
        let half = self.columns.min(self.rows()) / 2;
        let count = most.min(half);
        let (mut sums, mut counts) = (vec![0.0; count], vec![0usize; count]);
        // Frequencies above one half are negative ones.
        let frequency = |k: usize, n: usize| k.min(n - k) as f64 / n as f64;
        for (i, (re, im)) in self.re.iter().zip(&self.im).enumerate() {
            let x = frequency(i % self.columns, self.columns);
            let y = frequency(i / self.columns, self.rows());
            let step = (2.0 * libm::hypot(x, y) * half as f64).round() as usize;
            if (1..=half).contains(&step) {
                let ring = (step - 1) * count / half;
                sums[ring] += re * re + im * im;
                counts[ring] += 1;
            }
        }
        sums.iter().zip(counts).map(|(sum, n)| sum / n.max(1) as f64).collect()
    }
}

/// The Fourier transform of as many numbers as a power of two, in place (Cooley and Tukey 1965).
fn fourier(re: &mut [f64], im: &mut [f64]) {
    let n = re.len();
    let bits = n.trailing_zeros();
    for i in 1..n {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let turns: Vec<(f64, f64)> = (0..half)
            .map(|k| -PI * k as f64 / half as f64)
            .map(|angle| (libm::cos(angle), libm::sin(angle)))
            .collect();
        for start in (0..n).step_by(2 * half) {
            for (k, (c, s)) in turns.iter().enumerate() {
                let (a, b) = (start + k, start + k + half);
                let (x, y) = (re[b] * c - im[b] * s, re[b] * s + im[b] * c);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_transform_is_the_sum_that_it_says() {
        let mut rng = Rng::new(3);
        for n in [1, 2, 8, 64] {
            let values: Vec<(f64, f64)> = (0..n).map(|_| (rng.normal(), rng.normal())).collect();
            let (mut re, mut im): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
            fourier(&mut re, &mut im);
            for k in 0..n {
                let (mut x, mut y) = (0.0, 0.0);
                for (j, (a, b)) in values.iter().enumerate() {
                    let angle = -TAU * (j * k) as f64 / n as f64;
                    x += a * angle.cos() - b * angle.sin();
                    y += a * angle.sin() + b * angle.cos();
                }
                assert!((re[k] - x).abs() + (im[k] - y).abs() < 1e-9, "{n} {k}");
            }
        }
    }

    #[test]
    fn waves_have_their_power_at_their_frequency_in_any_shape() {
        for (width, height) in [(64, 64), (100, 60), (33, 128)] {
            for cycles in [0.1, 0.25, 0.4] {
                let value = |i: usize| {
                    let x = (i % width) as f64;
                    (127.5 + 100.0 * (TAU * cycles * x).cos()).round() as u8
                };
                let data = (0..width * height).map(value).collect();
                let picture = Raster::new(width, height, 1, data).unwrap();
                let power = radial(&picture, 20);
                let most = (0..20).max_by(|a, b| power[*a].total_cmp(&power[*b])).unwrap();
                let wanted = (2.0 * cycles * 20.0) as usize;
                assert!(most.abs_diff(wanted) <= 1, "{width}×{height} {cycles}: {power:?}");
            }
        }
        let flat = radial(&Raster::filled(16, 16, &[9, 9, 9]).unwrap(), 8);
        assert!(flat.iter().all(|p| *p < 1e-20), "{flat:?}");
        assert_eq!(radial(&Raster::filled(32, 64, &[9]).unwrap(), 99).len(), 16);
        assert!(radial(&Raster::filled(1, 1, &[9]).unwrap(), 3).is_empty());
    }
}
