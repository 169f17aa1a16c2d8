//! Separable, antialiased resampling with PIL's semantics.
//!
//! When a picture shrinks, the filter widens by the same factor, so every source pixel counts
//! (Pillow's `resize` with `reducing_gap=None`). Bytes are rounded and clipped after each pass, as
//! Pillow does, so that a picture prepared here equals one prepared by the official scripts;
//! [`resize_f32`] does neither.

use super::raster::Raster;
use crate::error::{Error, Result};
use crate::limits::LIMITS;

/// How source pixels are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The mean over the target pixel's area (Pillow's `BOX`); enlarging repeats pixels.
    Area,
    /// The cubic of Keys (1981) with a = -0.5 (Pillow's `BICUBIC`).
    Bicubic,
    /// The sinc windowed by a sinc over three lobes (Pillow's `LANCZOS`).
    Lanczos3,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Area => 0.5,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Area => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos3 if x.abs() < 3.0 => sinc(x) * sinc(x / 3.0),
            Self::Lanczos3 => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    let p = std::f64::consts::PI * x;
    // libm, so that the same bytes come out on every platform.
    if x == 0.0 { 1.0 } else { libm::sin(p) / p }
}

/// The source pixels of one target pixel: the first of them, and their normalised weights.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let widen = scale.max(1.0);
    let support = filter.support() * widen;
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        // Truncation, not floor, and the clamp at 0: as Pillow bounds the window.
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let raw: Vec<f64> =
            (first..end).map(|x| filter.weight((x as f64 - center + 0.5) / widen)).collect();
        let sum: f64 = raw.iter().sum();
        Taps { first, weights: raw.iter().map(|w| (w / sum) as f32).collect() }
    };
    (0..to).map(tap).collect()
}

/// Resamples interleaved floating-point pixels, `[height, width, channels]` →
/// `[to.1, to.0, channels]`, unclamped.
///
/// `from` and `to` are (width, height), all at least 1; `data` has `from.0 * from.1 * channels`
/// values.
pub fn resize_f32(
    data: &[f32],
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
    filter: Filter,
) -> Vec<f32> {
    both_passes(data, channels, [from, to], filter, |v| v)
}

/// Horizontal, then vertical, `finish` applied to every value that a pass computes.
fn both_passes(
    data: &[f32],
    channels: usize,
    [from, to]: [(usize, usize); 2],
    filter: Filter,
    finish: impl Fn(f32) -> f32,
) -> Vec<f32> {
    let mut wide = data.to_vec();
    if from.0 != to.0 {
        wide = horizontal(data, channels, from, to.0, filter);
        wide.iter_mut().for_each(|v| *v = finish(*v));
    }
    if from.1 != to.1 {
        wide = vertical(&wide, to.0 * channels, (from.1, to.1), filter);
        wide.iter_mut().for_each(|v| *v = finish(*v));
    }
    wide
}

/// The nearest byte, halves up, as Pillow rounds.
fn byte(v: f32) -> f32 {
    (v.clamp(0.0, 255.0) + 0.5).floor().min(255.0)
}

fn horizontal(
    data: &[f32],
    channels: usize,
    from: (usize, usize),
    to: usize,
    filter: Filter,
) -> Vec<f32> {
    let taps = taps(from.0, to, filter);
    let mut out = vec![0.0; to * channels * from.1];
    let rows = data.chunks_exact(from.0 * channels).zip(out.chunks_exact_mut(to * channels));
    for (source, target) in rows {
        for (tap, pixel) in taps.iter().zip(target.chunks_exact_mut(channels)) {
            let window = source[tap.first * channels..].chunks_exact(channels);
            for (values, weight) in window.zip(&tap.weights) {
                pixel.iter_mut().zip(values).for_each(|(p, v)| *p += v * weight);
            }
        }
    }
    out
}

fn vertical(data: &[f32], row: usize, (from, to): (usize, usize), filter: Filter) -> Vec<f32> {
    let mut out = vec![0.0; row * to];
    for (tap, target) in taps(from, to, filter).iter().zip(out.chunks_exact_mut(row)) {
        for (k, weight) in tap.weights.iter().enumerate() {
            let source = &data[(tap.first + k) * row..][..row];
            target.iter_mut().zip(source).for_each(|(t, s)| *t += s * weight);
        }
    }
    out
}

/// The picture at another size. Alpha is premultiplied while colours are mixed, so hidden colours
/// do not bleed.
///
/// # Errors
/// When a side is 0 or beyond [`LIMITS`].
pub fn resize(picture: &Raster, width: usize, height: usize, filter: Filter) -> Result<Raster> {
    let side = LIMITS.image_side as usize;
    if width == 0 || height == 0 || width > side || height > side {
        return Err(Error::runtime(format!("a picture cannot be resized to {width}×{height}"))
            .hint(format!("use sides from 1 to {side} pixels")));
    }
    if (picture.width, picture.height) == (width, height) {
        return Ok(picture.clone());
    }
    let c = picture.channels;
    let mut values: Vec<f32> = picture.data.iter().map(|&v| f32::from(v)).collect();
    if c == 4 {
        values.chunks_exact_mut(4).for_each(|p| scale_colour(p, p[3] / 255.0));
        values.iter_mut().for_each(|v| *v = byte(*v));
    }
    let sizes = [(picture.width, picture.height), (width, height)];
    let mut out = both_passes(&values, c, sizes, filter, byte);
    if c == 4 {
        out.chunks_exact_mut(4).filter(|p| p[3] > 0.0).for_each(|p| scale_colour(p, 255.0 / p[3]));
    }
    let data = out.iter().map(|v| byte(*v) as u8).collect();
    Raster::new(width, height, c, data)
}

fn scale_colour(pixel: &mut [f32], by: f32) {
    pixel[..3].iter_mut().for_each(|v| *v *= by);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Vec<f32> {
        (0..8).map(|i| (i * i) as f32).collect()
    }

    #[test]
    fn area_is_the_mean() {
        assert_eq!(resize_f32(&ramp(), 1, (8, 1), (4, 1), Filter::Area), [0.5, 6.5, 20.5, 42.5]);
        assert_eq!(resize_f32(&ramp(), 1, (1, 8), (1, 2), Filter::Area), [3.5, 31.5]);
        assert_eq!(resize_f32(&[1.0, 2.0], 1, (2, 1), (4, 1), Filter::Area), [1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn lanczos_weights_by_hand() {
        // Halving: taps at ±0.25, ±0.75, … of a sinc(x) sinc(x/3) window, normalised.
        let w = |x: f64| sinc(x) * sinc(x / 3.0);
        let data: Vec<f32> = (0..32).map(|i| if i == 15 { 1.0 } else { 0.0 }).collect();
        let out = resize_f32(&data, 1, (32, 1), (16, 1), Filter::Lanczos3);
        let sum: f64 = (0..6).map(|k| 2.0 * w(0.25 + 0.5 * f64::from(k))).sum();
        for (i, x) in [(7, 0.25), (8, -0.75), (6, 1.25), (5, 2.25)] {
            assert!((f64::from(out[i]) - w(x) / sum).abs() < 1e-7, "{i}");
        }
    }

    #[test]
    fn constants_stay_constant_at_every_size() {
        for filter in [Filter::Area, Filter::Bicubic, Filter::Lanczos3] {
            for (from, to) in [(1, 9), (9, 1), (7, 3), (3, 7), (64, 5)] {
                let p = Raster::filled(from, from, &[200, 3, 77]).unwrap();
                let q = resize(&p, to, to, filter).unwrap();
                assert!(q.data.chunks(3).all(|c| c == [200, 3, 77]), "{filter:?} {from} {to}");
            }
        }
    }

    #[test]
    fn hidden_colour_does_not_bleed() {
        let p = Raster::new(2, 1, 4, vec![255, 0, 0, 0, 0, 0, 255, 255]).unwrap();
        assert_eq!(resize(&p, 1, 1, Filter::Area).unwrap().data, [0, 0, 255, 128]);
    }

    #[test]
    fn sides_are_bounded() {
        let p = Raster::filled(2, 2, &[1]).unwrap();
        for (w, h) in [(0, 1), (1, 0), (9000, 1), (1, usize::MAX)] {
            assert!(resize(&p, w, h, Filter::Area).is_err());
        }
    }
}
