//! The parts of a separable convolution around its matrix product, on bands of rows: the 3×3 of
//! every channel before it, and noise, bias and activation behind it; and their gradients.

use super::depthwise::plane_rows;
use super::isa::Isa;
use super::lanes::{Lanes, Work};
use crate::raw::Shared;
use std::ops::Range;

/// Some rows of all channels of a sample, scaled and, where there are taps, convolved.
pub(crate) struct Band<'a> {
    /// The sample's planes, `[C, H, W]`.
    pub(crate) x: &'a [f32],
    /// H and W.
    pub(crate) size: (usize, usize),
    /// The rows that are made.
    pub(crate) rows: Range<usize>,
    /// 9 taps for each channel, with the style; or the styles alone.
    pub(crate) factors: &'a [f32],
    /// Whether `factors` are taps.
    pub(crate) taps: bool,
    /// `[C, rows · W]`.
    pub(crate) out: &'a mut [f32],
}

impl Band<'_> {
    /// Makes the rows.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub(crate) fn run(self, isa: Isa) {
        let (h, w) = self.size;
        let channels = self.factors.len() / if self.taps { 9 } else { 1 };
        assert!(
            self.x.len() == channels * h * w
                && self.rows.end <= h
                && self.out.len() == channels * self.rows.len() * w,
            "a band of a sample"
        );
        // SAFETY: the sizes were checked.
        unsafe { isa.run(self) }
    }
}

impl Work for Band<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { x, size: (h, w), rows, factors, taps, out } = self;
        let (plane, some) = ((h * w).max(1), (rows.len() * w).max(1));
        let each = if taps { 9 } else { 1 };
        let channels = x.chunks_exact(plane).zip(out.chunks_exact_mut(some));
        for ((x, out), factors) in channels.zip(factors.chunks_exact(each)) {
            if taps {
                // SAFETY: rows of this plane.
                unsafe { plane_rows::<L>(x, (h, w), rows.clone(), factors, out) };
            } else {
                let x = &x[rows.start * w..];
                out.iter_mut().zip(x).for_each(|(o, x)| *o = x * factors[0]);
            }
        }
    }
}

/// Adds noise and bias to rows of the result and activates them.
pub(crate) struct Finish<'a, 'b> {
    pub(crate) out: &'a Shared<'b>,
    /// Offset of the first row and elements between rows.
    pub(crate) at: (usize, usize),
    /// Elements of a row.
    pub(crate) len: usize,
    /// One for each row.
    pub(crate) bias: &'a [f32],
    /// As long as a row.
    pub(crate) noise: Option<&'a [f32]>,
    /// Slope below zero, and gain.
    pub(crate) act: [f32; 2],
}

impl Finish<'_, '_> {
    /// Finishes the rows.
    ///
    /// # Safety
    /// No other job may touch them meanwhile.
    pub(crate) unsafe fn run(self, isa: Isa) {
        assert!(self.noise.is_none_or(|n| n.len() == self.len), "noise of the rows");
        // SAFETY: the caller's promise.
        unsafe { isa.run(self) }
    }
}

impl Work for Finish<'_, '_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [slope, gain] = self.act;
        for (i, bias) in self.bias.iter().enumerate() {
            // SAFETY: the caller's own rows; `slice` checks that they are in the tensor.
            let row = unsafe { self.out.slice(self.at.0 + i * self.at.1, self.len) };
            let act = |v: f32| (if v > 0.0 { v } else { v * slope }) * gain;
            match self.noise {
                Some(noise) => row.iter_mut().zip(noise).for_each(|(v, e)| *v = act(*v + e + bias)),
                None => row.iter_mut().for_each(|v| *v = act(*v + bias)),
            }
        }
    }
}

/// The gradient through the activation of some pixels, from its result: `out = g · slope(y)`.
pub(crate) struct Through<'a> {
    pub(crate) y: &'a [f32],
    pub(crate) g: &'a [f32],
    /// Slope below zero, and gain.
    pub(crate) act: [f32; 2],
    pub(crate) out: &'a mut [f32],
    /// The result is added to it: the gradient of a noise map, over the channels.
    pub(crate) sum: Option<&'a mut [f32]>,
}

impl Through<'_> {
    /// Computes it.
    pub(crate) fn run(self, isa: Isa) {
        // SAFETY: safe code.
        unsafe { isa.run(self) }
    }
}

impl Work for Through<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [slope, gain] = self.act;
        let below = slope * gain;
        for ((o, y), g) in self.out.iter_mut().zip(self.y).zip(self.g) {
            *o = g * if *y > 0.0 { gain } else { below };
        }
        if let Some(sum) = self.sum {
            sum.iter_mut().zip(self.out).for_each(|(s, o)| *s += *o);
        }
    }
}

/// The gradients of one plane and of its style, in place.
pub(crate) struct PlaneBack<'a> {
    /// The plane of the input.
    pub(crate) x: &'a [f32],
    pub(crate) size: (usize, usize),
    /// Taps, turned round; none where the layer only scales.
    pub(crate) taps: Option<&'a [f32; 9]>,
    pub(crate) style: f32,
    /// The gradient behind the 3×3; becomes that of x.
    pub(crate) g: &'a mut [f32],
    /// As large as a plane; any content.
    pub(crate) spare: &'a mut [f32],
    /// Becomes the gradient of the style.
    pub(crate) sum: &'a mut f64,
}

impl PlaneBack<'_> {
    /// Computes both.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub(crate) fn run(self, isa: Isa) {
        let plane = self.size.0 * self.size.1;
        let sizes = [self.x.len(), self.g.len(), self.spare.len()];
        assert!(sizes == [plane; 3], "planes of one size");
        // SAFETY: the sizes were checked.
        unsafe { isa.run(self) }
    }
}

impl Work for PlaneBack<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { x, size: (h, w), taps, style, g, spare, sum } = self;
        let Some(taps) = taps else { return *sum = scaled(g, x, style) };
        // A few rows at a time: the convolution of them is read again while it is in the cache.
        *sum = 0.0;
        let rows = (PART / w.max(1)).max(1);
        for first in (0..h).step_by(rows) {
            let rows = first..h.min(first + rows);
            let part = rows.start * w..rows.end * w;
            // SAFETY: rows of the plane.
            unsafe { plane_rows::<L>(g, (h, w), rows, taps, &mut spare[part.clone()]) };
            *sum += scaled(&mut spare[part.clone()], &x[part], style);
        }
        g.copy_from_slice(spare);
    }
}

/// The gradient of a channel's 3×3: the sums of g times the pixels of x that each tap meets.
///
/// # Panics
/// When sizes do not fit.
pub(crate) fn taps_back(isa: Isa, x: &[f32], g: &[f32], size: (usize, usize)) -> [f64; 9] {
    assert!(x.len() == size.0 * size.1 && g.len() == x.len(), "planes of one size");
    let mut out = [0f64; 9];
    // SAFETY: safe code.
    unsafe { isa.run(TapsBack { x, g, size, out: &mut out }) };
    out
}

struct TapsBack<'a> {
    x: &'a [f32],
    g: &'a [f32],
    size: (usize, usize),
    out: &'a mut [f64; 9],
}

impl Work for TapsBack<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { x, g, size: (h, w), out } = self;
        for r in 0..h {
            let g = &g[r * w..][..w];
            for (k, from) in (r.saturating_sub(1)..h.min(r + 2)).enumerate() {
                let k = if r == 0 { k + 1 } else { k };
                let x = &x[from * w..][..w];
                out[3 * k] += dot(&g[w.min(1)..], x);
                out[3 * k + 1] += dot(g, x);
                out[3 * k + 2] += dot(g, &x[w.min(1)..]);
            }
        }
    }
}

/// The sum of products of two rows, as far as the shorter goes.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const EACH: usize = 16;
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0f32; EACH];
    for (a, b) in a.chunks_exact(EACH).zip(b.chunks_exact(EACH)) {
        for k in 0..EACH {
            sums[k] += a[k] * b[k];
        }
    }
    let mut total: f64 = sums.iter().map(|v| f64::from(*v)).sum();
    for (a, b) in a.chunks_exact(EACH).remainder().iter().zip(b.chunks_exact(EACH).remainder()) {
        total += f64::from(a * b);
    }
    total
}

/// Elements of the rows that are convolved and scaled together.
const PART: usize = 2048;

/// Scales the gradient and returns the sum of its products with x before.
#[inline(always)]
fn scaled(g: &mut [f32], x: &[f32], style: f32) -> f64 {
    const EACH: usize = 16;
    // Blocks of single precision, added up in double: the order depends on the size alone.
    let mut total = 0.0;
    for (g, x) in g.chunks_mut(64 * EACH).zip(x.chunks(64 * EACH)) {
        let mut sums = [0f32; EACH];
        for (g, x) in g.chunks_mut(EACH).zip(x.chunks(EACH)) {
            for ((g, x), s) in g.iter_mut().zip(x).zip(&mut sums) {
                *s += *g * x;
                *g *= style;
            }
        }
        total += sums.iter().map(|v| f64::from(*v)).sum::<f64>();
    }
    total
}
