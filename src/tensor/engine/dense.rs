//! Products of few rows with a weight matrix: the fully connected layer and its gradient to the
//! input.
//!
//! Every row of the result is summed separately and in one order, so its bits do not depend on the
//! batch.

use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, blocks};

/// Rows that share one reading of the weights.
const ROWS: usize = 4;
/// Rows or columns of the weights of one job.
const SHARE: usize = 64;

/// `x · wᵀ`: x `[M, K]`, w `[N, K]` → `[M, N]`.
pub(crate) fn times_transposed(x: &[f32], w: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    run(x, w, [m, n, k], true)
}

/// `x · w`: x `[M, K]`, w `[K, N]` → `[M, N]`.
pub(crate) fn times(x: &[f32], w: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    run(x, w, [m, n, k], false)
}

fn run(x: &[f32], w: &[f32], [m, n, k]: [usize; 3], transposed: bool) -> Vec<f32> {
    assert!(x.len() == m * k && w.len() == n * k, "rows and weights");
    let (isa, mut out) = (Isa::current(), vec![0f32; m * n]);
    let shared = Shared::new(&mut out);
    blocks(n.div_ceil(SHARE), m * n * k / 16, |job| {
        let columns = job * SHARE..n.min(job * SHARE + SHARE);
        for first in (0..m).step_by(ROWS) {
            let rows = first..m.min(first + ROWS);
            let (columns, out) = (columns.clone(), &shared);
            // SAFETY: sizes were checked; every job writes its own columns.
            unsafe {
                match transposed {
                    true => isa.run(Dots { x, w, sizes: (n, k), rows, columns, out }),
                    false => isa.run(Sums { x, w, sizes: (n, k), rows, columns, out }),
                }
            }
        }
    });
    out
}

/// Scalar products of some rows of x with some rows of w.
struct Dots<'a> {
    x: &'a [f32],
    w: &'a [f32],
    sizes: (usize, usize),
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    out: &'a Shared<'a>,
}

impl Work for Dots<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (n, k) = self.sizes;
        let (count, whole) = (self.rows.len(), k / LANES * LANES);
        for o in self.columns {
            let w = &self.w[o * k..][..k];
            // SAFETY: rows of k elements; the place is the job's own.
            unsafe {
                let mut sums = [[L::splat(0.0); 2]; ROWS];
                for i in (0..whole).step_by(LANES) {
                    let v = L::load(w.as_ptr().add(i));
                    for r in 0..count {
                        let x = L::load(self.x.as_ptr().add((self.rows.start + r) * k + i));
                        let half = i / LANES % 2;
                        sums[r][half] = v.mul_add(x, sums[r][half]);
                    }
                }
                for r in 0..count {
                    let x = &self.x[(self.rows.start + r) * k..][..k];
                    let rest: f32 = x[whole..].iter().zip(&w[whole..]).map(|(a, b)| a * b).sum();
                    *self.out.at((self.rows.start + r) * n + o) =
                        sums[r][0].add(sums[r][1]).sum() + rest;
                }
            }
        }
    }
}

/// Sums of the rows of w, weighted by some rows of x, in some columns.
struct Sums<'a> {
    x: &'a [f32],
    w: &'a [f32],
    sizes: (usize, usize),
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    out: &'a Shared<'a>,
}

impl Work for Sums<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (n, k) = self.sizes;
        let count = self.rows.len();
        let mut c = self.columns.start;
        // SAFETY: vectors that lie within a row of w; the places are the job's own.
        unsafe {
            while c + LANES <= self.columns.end {
                let mut sums = [L::splat(0.0); ROWS];
                for o in 0..k {
                    let v = L::load(self.w.as_ptr().add(o * n + c));
                    for r in 0..count {
                        sums[r] =
                            v.mul_add(L::splat(self.x[(self.rows.start + r) * k + o]), sums[r]);
                    }
                }
                for r in 0..count {
                    sums[r].store(self.out.at((self.rows.start + r) * n + c));
                }
                c += LANES;
            }
            for c in c..self.columns.end {
                for r in 0..count {
                    let x = &self.x[(self.rows.start + r) * k..][..k];
                    *self.out.at((self.rows.start + r) * n + c) =
                        x.iter().enumerate().map(|(o, v)| v * self.w[o * n + c]).sum();
                }
            }
        }
    }
}
