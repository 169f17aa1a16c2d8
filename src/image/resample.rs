//! Separable, antialiased resampling with PIL's semantics.
//!
//! When a picture shrinks, the filter widens by the same factor, so every source pixel counts
//! (Pillow's `resize` with `reducing_gap=None`). Bytes are rounded and clipped after each pass, as
//! Pillow does, so that a picture prepared here equals one prepared by the official scripts;
//! [`resize_f32`] does neither.

use super::raster::Raster;
use crate::control::check;
use crate::error::{Error, Result};
use crate::limits::LIMITS;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Weights of source pixels.
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
///
/// # Errors
/// `Interrupted` when the work of this thread is asked to stop.
pub fn resize_f32(
    data: &[f32],
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
    filter: Filter,
) -> Result<Vec<f32>> {
    let wide = from.0 * channels;
    let source = |y: usize, line: &mut Vec<f32>| line.extend(&data[y * wide..][..wide]);
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    let scaling = Scaling { channels, from, to, filter, finish: |v| v };
    scaling.run(source, |line| out.extend(line))?;
    Ok(out)
}

/// Rows between two stop checks.
const PACE: usize = 16;

/// A change of size that holds only the rows that it currently needs, so its memory does not grow
/// with the picture's height.
pub(super) struct Scaling<F: Fn(f32) -> f32> {
    /// Channels of the interleaved pixels.
    pub channels: usize,
    /// Width and height of the source.
    pub from: (usize, usize),
    /// Width and height of the target.
    pub to: (usize, usize),
    /// Weights of source pixels.
    pub filter: Filter,
    /// Applied to every value that a pass computes.
    pub finish: F,
}

impl<F: Fn(f32) -> f32> Scaling<F> {
    /// Horizontal, then vertical. `source` appends a row of the source to an empty vector and is
    /// called for each row in order; `target` takes the rows of the result in order.
    ///
    /// # Errors
    /// `Interrupted` when the work of this thread is asked to stop.
    pub(super) fn run(
        &self,
        source: impl Fn(usize, &mut Vec<f32>),
        mut target: impl FnMut(&[f32]),
    ) -> Result<()> {
        let across = (self.from.0 != self.to.0).then(|| taps(self.from.0, self.to.0, self.filter));
        let mut line = Vec::new();
        let mut read = |y: usize| -> Result<Vec<f32>> {
            if y.is_multiple_of(PACE) {
                check()?;
            }
            line.clear();
            source(y, &mut line);
            Ok(across.as_ref().map_or_else(|| line.clone(), |taps| self.across(&line, taps)))
        };
        match self.from.1.cmp(&self.to.1) {
            Ordering::Equal => (0..self.from.1).try_for_each(|y| {
                target(&read(y)?);
                Ok(())
            }),
            Ordering::Greater => self.shrink(read, target),
            Ordering::Less => self.grow(read, target),
        }
    }

    /// One row at the target's width.
    fn across(&self, line: &[f32], taps: &[Taps]) -> Vec<f32> {
        let mut out = vec![0.0; self.to.0 * self.channels];
        for (tap, pixel) in taps.iter().zip(out.chunks_exact_mut(self.channels)) {
            let window = line[tap.first * self.channels..].chunks_exact(self.channels);
            for (values, weight) in window.zip(&tap.weights) {
                pixel.iter_mut().zip(values).for_each(|(p, v)| *p += v * weight);
            }
        }
        out.iter_mut().for_each(|v| *v = (self.finish)(*v));
        out
    }

    /// Fewer rows: every source row is added to the few target rows that it belongs to.
    fn shrink(
        &self,
        mut read: impl FnMut(usize) -> Result<Vec<f32>>,
        mut target: impl FnMut(&[f32]),
    ) -> Result<()> {
        let taps = taps(self.from.1, self.to.1, self.filter);
        // The first target row that is not whole yet, and the sums from it on.
        let (mut first, mut sums) = (0, VecDeque::new());
        for y in 0..self.from.1 {
            let line = read(y)?;
            while taps.get(first + sums.len()).is_some_and(|t| t.first <= y) {
                sums.push_back(vec![0f32; line.len()]);
            }
            for (sum, tap) in sums.iter_mut().zip(&taps[first..]) {
                if let Some(weight) = tap.weights.get(y - tap.first) {
                    sum.iter_mut().zip(&line).for_each(|(t, s)| *t += s * weight);
                }
            }
            while taps.get(first).is_some_and(|t| t.first + t.weights.len() <= y + 1) {
                let Some(mut done) = sums.pop_front() else { break };
                done.iter_mut().for_each(|v| *v = (self.finish)(*v));
                target(&done);
                first += 1;
            }
        }
        Ok(())
    }

    /// More rows: the few source rows that a target row is made of are kept.
    fn grow(
        &self,
        mut read: impl FnMut(usize) -> Result<Vec<f32>>,
        mut target: impl FnMut(&[f32]),
    ) -> Result<()> {
        let mut kept: VecDeque<Vec<f32>> = VecDeque::new();
        let mut first = 0;
        for (i, tap) in taps(self.from.1, self.to.1, self.filter).iter().enumerate() {
            if i.is_multiple_of(PACE) {
                check()?;
            }
            while first < tap.first && kept.pop_front().is_some() {
                first += 1;
            }
            while first + kept.len() < tap.first + tap.weights.len() {
                kept.push_back(read(first + kept.len())?);
            }
            let mut sum = vec![0f32; self.to.0 * self.channels];
            for (line, weight) in kept.iter().zip(&tap.weights) {
                sum.iter_mut().zip(line).for_each(|(t, s)| *t += s * weight);
            }
            sum.iter_mut().for_each(|v| *v = (self.finish)(*v));
            target(&sum);
        }
        Ok(())
    }
}

/// The nearest byte, halves up, as Pillow rounds.
fn byte(v: f32) -> f32 {
    (v.clamp(0.0, 255.0) + 0.5).floor().min(255.0)
}

/// The picture at another size. Alpha is premultiplied while colours are mixed, so hidden colours
/// do not bleed.
///
/// Holds the source, the result and a few rows.
///
/// # Errors
/// When a side is 0 or beyond [`LIMITS`]; `Interrupted` when the work of this thread is asked to
/// stop.
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
    let wide = picture.width * c;
    let source = |y: usize, line: &mut Vec<f32>| {
        line.extend(picture.data[y * wide..][..wide].iter().map(|&v| f32::from(v)));
        if c == 4 {
            line.chunks_exact_mut(4).for_each(|p| scale_colour(p, p[3] / 255.0));
            line.iter_mut().for_each(|v| *v = byte(*v));
        }
    };
    let mut data = Vec::with_capacity(width * height * c);
    let mut row = Vec::new();
    let target = |line: &[f32]| {
        row.clear();
        row.extend(line);
        if c == 4 {
            let seen = row.chunks_exact_mut(4).filter(|p| p[3] > 0.0);
            seen.for_each(|p| scale_colour(p, 255.0 / p[3]));
        }
        data.extend(row.iter().map(|v| byte(*v) as u8));
    };
    let (from, to) = ((picture.width, picture.height), (width, height));
    Scaling { channels: c, from, to, filter, finish: byte }.run(source, target)?;
    Raster::new(width, height, c, data)
}

fn scale_colour(pixel: &mut [f32], by: f32) {
    pixel[..3].iter_mut().for_each(|v| *v *= by);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn ramp() -> Vec<f32> {
        (0..8).map(|i| (i * i) as f32).collect()
    }

    #[test]
    fn area_is_the_mean() {
        let area = |data: &[f32], from, to| resize_f32(data, 1, from, to, Filter::Area).unwrap();
        assert_eq!(area(&ramp(), (8, 1), (4, 1)), [0.5, 6.5, 20.5, 42.5]);
        assert_eq!(area(&ramp(), (1, 8), (1, 2)), [3.5, 31.5]);
        assert_eq!(area(&[1.0, 2.0], (2, 1), (4, 1)), [1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn lanczos_weights_by_hand() {
        // Halving: taps at ±0.25, ±0.75, … of a sinc(x) sinc(x/3) window, normalised.
        let w = |x: f64| sinc(x) * sinc(x / 3.0);
        let data: Vec<f32> = (0..32).map(|i| if i == 15 { 1.0 } else { 0.0 }).collect();
        let out = resize_f32(&data, 1, (32, 1), (16, 1), Filter::Lanczos3).unwrap();
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

    /// Both passes over the whole picture at once: what [`Scaling`] computes row by row.
    fn whole(
        data: &[f32],
        c: usize,
        from: (usize, usize),
        to: (usize, usize),
        f: Filter,
    ) -> Vec<f32> {
        let mut wide = vec![0f32; to.0 * from.1 * c];
        for (x, tap) in taps(from.0, to.0, f).iter().enumerate() {
            for (y, k, w) in (0..from.1)
                .flat_map(|y| tap.weights.iter().enumerate().map(move |(k, w)| (y, k, w)))
            {
                for i in 0..c {
                    wide[(y * to.0 + x) * c + i] += data[(y * from.0 + tap.first + k) * c + i] * w;
                }
            }
        }
        let row = to.0 * c;
        let mut out = vec![0f32; row * to.1];
        for (y, tap) in taps(from.1, to.1, f).iter().enumerate() {
            for (k, w) in tap.weights.iter().enumerate() {
                for i in 0..row {
                    out[y * row + i] += wide[(tap.first + k) * row + i] * w;
                }
            }
        }
        out
    }

    #[test]
    fn rows_at_hand_give_the_bits_of_the_whole_picture() {
        let sizes = [(1, 1), (1, 40), (40, 1), (17, 23), (64, 5), (5, 64), (9, 10)];
        for filter in [Filter::Area, Filter::Bicubic, Filter::Lanczos3] {
            for (from, to) in sizes.iter().flat_map(|a| sizes.iter().map(move |b| (*a, *b))) {
                if from.0 == to.0 || from.1 == to.1 {
                    continue;
                }
                let n = from.0 * from.1 * 3;
                let data: Vec<f32> = (0..n).map(|i| ((i * 37) % 251) as f32 / 3.0).collect();
                let ours = resize_f32(&data, 3, from, to, filter).unwrap();
                assert_eq!(ours, whole(&data, 3, from, to, filter), "{filter:?} {from:?} {to:?}");
            }
        }
    }

    #[test]
    fn a_change_of_size_can_be_stopped() {
        let control = crate::control::Control::default();
        let _entered = control.enter();
        control.request(crate::control::Stop::Keep);
        let p = Raster::filled(40, 40, &[1]).unwrap();
        for side in [20, 40, 80] {
            assert_eq!(resize(&p, 41, side, Filter::Area).unwrap_err().kind(), Kind::Interrupted);
        }
    }

    #[test]
    fn sides_are_bounded() {
        let p = Raster::filled(2, 2, &[1]).unwrap();
        for (w, h) in [(0, 1), (1, 0), (9000, 1), (1, usize::MAX)] {
            assert!(resize(&p, w, h, Filter::Area).is_err());
        }
    }
}
