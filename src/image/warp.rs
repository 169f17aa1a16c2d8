//! Rectangles cut out of a picture at any place, size and turn.

use super::raster::{Raster, to_byte};
use super::resample::{Filter, Scaling, resize_f32};
use super::similarity::Similarity;
use crate::control::check;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use std::borrow::Cow;
use std::sync::Arc;

/// At most this many samples a side of an output pixel; beyond it the picture is halved first.
const SAMPLES: usize = 16;

/// What lies outside of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// Its edge, repeated.
    #[default]
    Repeated,
    /// The picture, mirrored at the middle of its outermost pixels (NumPy's `reflect`).
    Mirrored,
    /// Middle grey, the value 0.
    Grey,
}

impl Edge {
    /// The pixel of a side of `n` whose value the place `at` gets; `None` for grey.
    fn pixel(self, at: f64, n: usize) -> Option<usize> {
        let last = n.saturating_sub(1) as f64;
        let inside = match self {
            Self::Mirrored if last > 0.0 => last - (at.rem_euclid(2.0 * last) - last).abs(),
            Self::Grey if !(0.0..=last).contains(&at) => return None,
            _ => at,
        };
        Some(inside.clamp(0.0, last) as usize)
    }
}

/// A picture and its halvings, so that small squares of large pictures are cheap. The picture stays
/// in bytes; its halvings are in floating point, [-1, 1], and together take 4/3 of its bytes.
pub struct Pyramid<'a> {
    picture: Cow<'a, Raster>,
    /// Each half the size of the one before, by area; the first half the picture's.
    halvings: Arc<Vec<Level>>,
    edge: Edge,
}

struct Level {
    width: usize,
    height: usize,
    /// `[height, width, channels]`
    data: Vec<f32>,
}

/// The value of a byte.
fn value(v: u8) -> f32 {
    f32::from(v) / 127.5 - 1.0
}

impl<'a> Pyramid<'a> {
    /// The pyramid of that picture, halved until a side is shorter than 32 pixels.
    ///
    /// # Errors
    /// `Interrupted` when the work of this thread is asked to stop.
    pub fn new(picture: impl Into<Cow<'a, Raster>>) -> Result<Self> {
        let picture = picture.into();
        let mut halvings: Vec<Level> = Vec::new();
        let mut size = (picture.width, picture.height);
        while size.0.min(size.1) >= 32 {
            let half = (size.0 / 2, size.1 / 2);
            let data = resized((&picture, halvings.last()), half, Filter::Area)?;
            halvings.push(Level { width: half.0, height: half.1, data });
            size = half;
        }
        Ok(Self { picture, halvings: Arc::new(halvings), edge: Edge::default() })
    }

    /// The same picture with something else outside of it.
    #[must_use]
    pub fn with_edge(&self, edge: Edge) -> Pyramid<'_> {
        let picture = Cow::Borrowed(&*self.picture);
        Pyramid { picture, halvings: self.halvings.clone(), edge }
    }

    /// A halving, or the picture itself (0).
    fn level(&self, coarse: usize) -> Option<&Level> {
        coarse.checked_sub(1).and_then(|k| self.halvings.get(k))
    }

    /// The square of `side` pixels that `place` maps into the picture (output pixels to picture
    /// pixels), for a network to read: from the halving that is just finer than the square.
    ///
    /// # Shapes
    /// → `[channels, side, side]` in [-1, 1]
    pub fn square(&self, place: &Similarity, side: usize) -> Vec<f32> {
        let coarse = place.scale().max(1.0).log2() as usize;
        let sampling = self.sampling(coarse, place);
        let rows: Vec<f32> = (0..side).flat_map(|y| sampling.row(y, side)).collect();
        planar(&rows, self.channels())
    }

    /// As [`Self::square`], with every pixel of the picture weighed: the area's mean when it
    /// shrinks, bicubic when it grows.
    ///
    /// # Errors
    /// `Interrupted` when the work of this thread is asked to stop.
    pub fn picture(&self, place: &Similarity, side: usize) -> Result<Raster> {
        self.rectangle(place, [side; 2])
    }

    /// As [`Self::picture`], `width` by `height` pixels.
    ///
    /// # Errors
    /// `Interrupted` when the work of this thread is asked to stop.
    pub fn rectangle(&self, place: &Similarity, [width, height]: [usize; 2]) -> Result<Raster> {
        let coarse = (place.scale() / SAMPLES as f64).max(1.0).log2().ceil() as usize;
        let sampling = self.sampling(coarse, place);
        let mut data = Vec::with_capacity(width * height * self.channels());
        for y in 0..height {
            check()?;
            data.extend(sampling.row(y, width).into_iter().map(to_byte));
        }
        Raster::new(width, height, self.channels(), data)
    }

    /// The picture reduced or enlarged so that its pixels are `step` of the original's wide, with
    /// `edge` pixels of what lies outside around it.
    ///
    /// # Shapes
    /// → `[channels, h, w]`, h, w
    ///
    /// # Errors
    /// `Limit` when that is more than [`LIMITS`]`.image_bytes`; `Interrupted` when the work of this
    /// thread is asked to stop.
    pub fn reduced(&self, step: f64, edge: usize) -> Result<(Vec<f32>, usize, usize)> {
        let coarse = (step.max(1.0).log2() as usize).min(self.halvings.len());
        let [w, h] = self.size().map(|n| ((n as f64 / step).round() as usize).max(1));
        let (wide, high) = (w.saturating_add(2 * edge), h.saturating_add(2 * edge));
        let bytes = wide.saturating_mul(high).saturating_mul(4 * self.channels());
        if bytes as u64 > LIMITS.image_bytes {
            let text = format!("a picture of {wide}×{high} pixels is too large to look through");
            return Err(Error::new(Kind::Limit, text));
        }
        let filter = if step < 1.0 { Filter::Bicubic } else { Filter::Area };
        let small = resized((&self.picture, self.level(coarse)), (w, h), filter)?;
        let channels = self.channels();
        let inside = |n: usize| {
            let at = (0..n + 2 * edge).map(|at| self.edge.pixel(at as f64 - edge as f64, n));
            at.collect::<Vec<_>>()
        };
        let (columns, rows) = (inside(w), inside(h));
        let mut out = vec![0f32; channels * wide * high];
        for (c, plane) in out.chunks_exact_mut(wide * high).enumerate() {
            for (line, y) in plane.chunks_exact_mut(wide).zip(&rows) {
                for (v, x) in line.iter_mut().zip(&columns) {
                    if let Some((y, x)) = y.zip(*x) {
                        *v = small[(y * w + x) * channels + c];
                    }
                }
            }
        }
        Ok((out, high, wide))
    }

    /// Width and height of the picture.
    pub fn size(&self) -> [usize; 2] {
        [self.picture.width, self.picture.height]
    }

    /// Channels of the picture.
    pub fn channels(&self) -> usize {
        self.picture.channels
    }

    /// Sampling of squares from a halving (0: the picture itself), at most the coarsest available.
    fn sampling(&self, coarse: usize, place: &Similarity) -> Sampling<'_> {
        let coarse = coarse.min(self.halvings.len());
        let pixels = match self.level(coarse) {
            Some(half) => Pixels::Values(half),
            None => Pixels::Bytes(&self.picture),
        };
        // An odd side loses its last pixel at every halving; the rest keeps its place.
        let half = Similarity { a: 1.0 / (1 << coarse) as f64, b: 0.0, shift: [0.0; 2] };
        let place = place.then(&half);
        let n = (place.scale().ceil() as usize).clamp(1, SAMPLES);
        Sampling { pixels, channels: self.channels(), place, n, edge: self.edge }
    }
}

/// A picture, or the halving that is given, at another size.
fn resized(
    (picture, half): (&Raster, Option<&Level>),
    to: (usize, usize),
    filter: Filter,
) -> Result<Vec<f32>> {
    let channels = picture.channels;
    if let Some(half) = half {
        return resize_f32(&half.data, channels, (half.width, half.height), to, filter);
    }
    let wide = picture.width * channels;
    let source = |y: usize, line: &mut Vec<f32>| {
        line.extend(picture.data[y * wide..][..wide].iter().map(|&v| value(v)));
    };
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    let from = (picture.width, picture.height);
    let scaling = Scaling { channels, from, to, filter, finish: |v| v };
    scaling.run(source, |line| out.extend(line))?;
    Ok(out)
}

enum Pixels<'a> {
    Bytes(&'a Raster),
    Values(&'a Level),
}

/// Pixels that are each the mean of as many bicubic samples as they cover pixels.
struct Sampling<'a> {
    pixels: Pixels<'a>,
    channels: usize,
    /// Output pixels to those of `pixels`.
    place: Similarity,
    /// Samples of a pixel, in each direction.
    n: usize,
    edge: Edge,
}

impl Sampling<'_> {
    /// One row of `side` pixels, `[side, channels]`.
    fn row(&self, y: usize, side: usize) -> Vec<f32> {
        let n = self.n;
        let at = |i: usize, k: usize| i as f64 + (k as f64 + 0.5) / n as f64;
        let mut out = vec![0f32; side * self.channels];
        for (x, pixel) in out.chunks_exact_mut(self.channels).enumerate() {
            for k in 0..n * n {
                self.add(self.place.apply([at(x, k % n), at(y, k / n)]), pixel);
            }
            pixel.iter_mut().for_each(|v| *v /= (n * n) as f32);
        }
        out
    }

    /// Adds the bicubic sample at a point to a pixel.
    fn add(&self, [x, y]: [f64; 2], pixel: &mut [f32]) {
        let (x, y) = (x - 0.5, y - 0.5);
        let (wx, wy) = (cubic(x - x.floor()), cubic(y - y.floor()));
        let (width, height) = match self.pixels {
            Pixels::Bytes(p) => (p.width, p.height),
            Pixels::Values(l) => (l.width, l.height),
        };
        let near = |at: f64, k: usize, n: usize| self.edge.pixel(at.floor() + k as f64 - 1.0, n);
        let columns = [0, 1, 2, 3].map(|k| near(x, k, width));
        for (k, wy) in wy.into_iter().enumerate() {
            let Some(row) = near(y, k, height) else { continue };
            for (at, wx) in columns.into_iter().zip(wx) {
                let Some(at) = at else { continue };
                let (row, at) = (row * width * pixel.len(), at * pixel.len());
                let w = wx * wy;
                match self.pixels {
                    Pixels::Bytes(p) => {
                        let source = &p.data[row + at..];
                        pixel.iter_mut().zip(source).for_each(|(p, v)| *p += w * value(*v));
                    }
                    Pixels::Values(l) => {
                        let source = &l.data[row + at..];
                        pixel.iter_mut().zip(source).for_each(|(p, v)| *p += w * v);
                    }
                }
            }
        }
    }
}

/// The weights of the four pixels around a place `t` behind the second (Keys 1981, a = -0.5).
fn cubic(t: f64) -> [f32; 4] {
    let near = |x: f64| ((1.5 * x - 2.5) * x * x + 1.0) as f32;
    let far = |x: f64| (((-0.5 * x + 2.5) * x - 4.0) * x + 2.0) as f32;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

fn planar(interleaved: &[f32], channels: usize) -> Vec<f32> {
    (0..channels).flat_map(|c| interleaved.iter().skip(c).step_by(channels).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose red is x and green is y, in steps of one byte a pixel.
    fn slopes(width: usize, height: usize) -> Raster {
        let pixel = |i: usize| [(i % width) as u8, (i / width) as u8, 7];
        Raster::new(width, height, 3, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn the_identity_changes_no_byte() {
        let p = slopes(40, 40);
        let same =
            Pyramid::new(&p).unwrap().picture(&Similarity::new(1.0, 0.0, [0.0; 2]), 40).unwrap();
        assert_eq!(same, p);
    }

    #[test]
    fn a_crop_and_a_quarter_turn_are_exact() {
        let p = slopes(60, 50);
        let pyramid = Pyramid::new(&p).unwrap();
        let crop = pyramid.picture(&Similarity::new(1.0, 0.0, [10.0, 5.0]), 20).unwrap();
        assert_eq!(crop, p.crop(10, 5, 20, 20).unwrap());
        // The output's x runs down the picture, its y to the left.
        let turned = pyramid.picture(&Similarity::new(1.0, 90.0, [30.0, 5.0]), 20).unwrap();
        assert_eq!(turned.pixel(0, 0), p.pixel(29, 5));
        assert_eq!(turned.pixel(3, 7), p.pixel(22, 8));
    }

    #[test]
    fn slopes_keep_their_place_at_every_size_and_turn() {
        let pyramid = Pyramid::new(slopes(200, 200)).unwrap();
        for (scale, degrees) in [(0.4, 10.0), (1.0, 33.0), (2.5, -20.0), (5.0, 45.0)] {
            let inner = Similarity::new(scale, degrees, [0.0; 2]);
            let [x, y] = inner.apply([8.0, 8.0]);
            let place = Similarity { shift: [100.0 - x, 100.0 - y], ..inner };
            let out = pyramid.picture(&place, 16).unwrap();
            let net = pyramid.square(&place, 16);
            for i in 0..256 {
                let [x, y] = place.apply([(i % 16) as f64 + 0.5, (i / 16) as f64 + 0.5]);
                let pixel = out.pixel(i % 16, i / 16);
                // Pixel k covers k..k+1, its value k belongs to its middle.
                assert!(
                    (f64::from(pixel[0]) + 0.5 - x).abs() < 0.6
                        && (f64::from(pixel[1]) + 0.5 - y).abs() < 0.6
                );
                let read = |v: f32| (f64::from(v) + 1.0) * 127.5 + 0.5;
                assert!(
                    (read(net[i]) - x).abs() < 0.05 && (read(net[256 + i]) - y).abs() < 0.05,
                    "{scale} {degrees}"
                );
            }
        }
    }

    #[test]
    fn shrinking_weighs_every_pixel() {
        // Stripes of one pixel average to grey at any angle; picking pixels would show black and
        // white.
        let stripes = |i: usize| if i.is_multiple_of(2) { 255 } else { 0 };
        let p =
            Raster::new(256, 256, 1, (0..256 * 256).map(|i| stripes(i % 256)).collect()).unwrap();
        for degrees in [0.0, 17.0] {
            let inner = Similarity::new(8.0, degrees, [0.0; 2]);
            let [x, y] = inner.apply([8.0, 8.0]);
            let out = Pyramid::new(&p)
                .unwrap()
                .picture(&Similarity { shift: [128.0 - x, 128.0 - y], ..inner }, 16)
                .unwrap();
            assert!(out.data.iter().all(|v| v.abs_diff(127) <= 3), "{degrees}: {:?}", out.data);
        }
    }

    #[test]
    fn what_lies_outside_repeats_the_edge() {
        let p = slopes(40, 40);
        let out = Pyramid::new(&p)
            .unwrap()
            .picture(&Similarity::new(1.0, 0.0, [-10.0, 30.0]), 20)
            .unwrap();
        assert_eq!(out.pixel(0, 0), [0, 30, 7]);
        assert_eq!(out.pixel(19, 19), [9, 39, 7]);
    }

    /// `numpy.pad(range(5), 7, mode="reflect")`, and a rectangle that is no square.
    #[test]
    fn what_lies_outside_is_mirrored() {
        let all: Vec<usize> =
            (-7..12).filter_map(|at| Edge::Mirrored.pixel(f64::from(at), 5)).collect();
        assert_eq!(all, [1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]);
        assert_eq!([-3.0, 0.0, 9.0].map(|at| Edge::Mirrored.pixel(at, 1)), [Some(0); 3]);
        let p = slopes(40, 30);
        let place = Similarity::new(1.0, 0.0, [-10.0, 20.0]);
        let pyramid = Pyramid::new(&p).unwrap();
        let mirrored = pyramid.with_edge(Edge::Mirrored);
        let out = mirrored.rectangle(&place, [60, 15]).unwrap();
        assert_eq!((out.width, out.height), (60, 15));
        assert_eq!((out.pixel(0, 0), out.pixel(10, 9)), (&[10, 20, 7][..], &[0, 29, 7][..]));
        assert_eq!((out.pixel(51, 10), out.pixel(59, 14)), (&[37, 28, 7][..], &[29, 24, 7][..]));
    }

    #[test]
    fn what_lies_outside_is_grey_where_it_is_asked_for() {
        let p = Raster::filled(40, 30, &[255, 255, 0]).unwrap();
        let pyramid = Pyramid::new(&p).unwrap();
        let grey = pyramid.with_edge(Edge::Grey);
        let place = Similarity::new(1.0, 0.0, [-10.0, 20.0]);
        let seen = grey.square(&place, 32);
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|c| seen[(c * 32 + y) * 32 + x]);
        assert_eq!(
            (pixel(12, 5), pixel(7, 5), pixel(12, 12)),
            ([1.0, 1.0, -1.0], [0.0; 3], [0.0; 3])
        );
        let (data, h, w) = grey.reduced(2.0, 3).unwrap();
        let red = |x: usize, y: usize| data[y * w + x];
        assert_eq!((h, w, red(2, 9), red(3, 9), red(9, 2)), (21, 26, 0.0, 1.0, 0.0));
    }

    #[test]
    fn reduced_with_an_edge() {
        let (data, h, w) = Pyramid::new(slopes(80, 40)).unwrap().reduced(4.0, 2).unwrap();
        assert_eq!((h, w, data.len()), (14, 24, 3 * 14 * 24));
        let red = |x: usize, y: usize| (data[y * 24 + x] + 1.0) * 127.5;
        assert!(
            (red(2, 5) - 1.5).abs() < 1e-3
                && (red(0, 5) - 1.5).abs() < 1e-3
                && (red(21, 5) - 77.5).abs() < 1e-3
        );
        let (_, h, w) = Pyramid::new(slopes(80, 40)).unwrap().reduced(0.5, 0).unwrap();
        assert_eq!((h, w), (80, 160));
    }
}
