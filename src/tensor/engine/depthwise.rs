//! A 3×3 convolution of every channel by itself, on planes: what a separable convolution reads
//! before it mixes the channels.

use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use std::ops::Range;

/// Writes some rows of a plane's convolution: `Σ taps[3·i + j] · x[r + i − 1][c + j − 1]`, zero
/// padded.
///
/// # Panics
/// When x is no plane of `h × w` pixels, or `out` does not have the rows.
pub(crate) fn depthwise_rows(
    isa: Isa,
    x: &[f32],
    (h, w): (usize, usize),
    rows: Range<usize>,
    taps: &[f32; 9],
    out: &mut [f32],
) {
    assert!(x.len() == h * w && rows.end <= h && out.len() == rows.len() * w, "rows of a plane");
    // SAFETY: the sizes were checked.
    unsafe { isa.run(Rows { x, size: (h, w), rows, taps, out }) }
}

struct Rows<'a> {
    x: &'a [f32],
    size: (usize, usize),
    rows: Range<usize>,
    taps: &'a [f32; 9],
    out: &'a mut [f32],
}

impl Work for Rows<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: `depthwise_rows` has checked the sizes.
        unsafe { plane_rows::<L>(self.x, self.size, self.rows, self.taps, self.out) }
    }
}

/// See [`depthwise_rows`].
///
/// # Safety
/// The processor has the instruction set of `L`; x has `h × w` pixels, there are 9 taps, and `out`
/// has the rows.
#[inline(always)]
pub(super) unsafe fn plane_rows<L: Lanes>(
    x: &[f32],
    (h, w): (usize, usize),
    rows: Range<usize>,
    taps: &[f32],
    out: &mut [f32],
) {
    for (r, out) in rows.zip(out.chunks_exact_mut(w.max(1))) {
        let (first, last) = (r.saturating_sub(1), h.min(r + 2));
        let x = &x[first * w..last * w];
        let taps = &taps[3 * (first + 1 - r)..];
        // SAFETY: x has as many rows as taps are taken of.
        unsafe {
            match last - first {
                3 => row::<L, 3>(x, taps, out),
                2 => row::<L, 2>(x, taps, out),
                _ => row::<L, 1>(x, taps, out),
            }
        }
    }
}

/// One row from the K rows around it.
///
/// # Safety
/// x has K rows as long as `out`, and there are 3 taps for each.
#[inline(always)]
unsafe fn row<L: Lanes, const K: usize>(x: &[f32], taps: &[f32], out: &mut [f32]) {
    let w = out.len();
    let at = |c: usize| {
        let mut sum = 0.0;
        for k in 0..K {
            for j in 0..3 {
                if let Some(c) = (c + j).checked_sub(1).filter(|c| *c < w) {
                    sum += taps[3 * k + j] * x[k * w + c];
                }
            }
        }
        sum
    };
    if w < LANES + 2 {
        out.iter_mut().enumerate().for_each(|(c, o)| *o = at(c));
        return;
    }
    (out[0], out[w - 1]) = (at(0), at(w - 1));
    // SAFETY: columns from 1 to w − 2 and their neighbours; the last vector overlaps the one
    // before.
    unsafe {
        let t: [[L; 3]; K] =
            std::array::from_fn(|k| std::array::from_fn(|j| L::splat(taps[3 * k + j])));
        let mut c = 1;
        while c < w - 1 {
            c = c.min(w - 1 - LANES);
            let mut sum = L::splat(0.0);
            for k in 0..K {
                let from = x.as_ptr().add(k * w + c - 1);
                for j in 0..3 {
                    sum = L::load(from.add(j)).mul_add(t[k][j], sum);
                }
            }
            sum.store(out.as_mut_ptr().add(c));
            c += LANES;
        }
    }
}
