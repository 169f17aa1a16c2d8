//! The gradient of the weights of a 3×3 convolution, on blocks of channels.

use super::buffer::Map;
use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, jobs};

/// Weights of an output and an input channel.
const TAPS: usize = 9;
/// Outputs whose sums are in registers at a time.
const TOGETHER: usize = 8;
/// Rows that are summed up in registers before their sum goes to memory: long sums in single
/// precision lose digits.
const ROWS: usize = 16;

/// The gradient of the weights `[O, I, 3, 3]` of a convolution of x, scaled by styles.
pub(super) struct WeightBack<'a> {
    pub(super) isa: Isa,
    /// The gradient of the convolution's result: as large as x, or `2h + 1` where it doubles the
    /// size.
    pub(super) g: &'a Map,
    pub(super) x: &'a Map,
    /// `[N, I]` in whole blocks.
    pub(super) style: &'a [f32],
    /// Whether the convolution is transposed, with stride 2.
    pub(super) up: bool,
}

impl WeightBack<'_> {
    /// Computes it, `[O, I, 3, 3]`.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub(super) fn run(&self) -> Vec<f32> {
        let (g, x) = (self.g, self.x);
        let size = if self.up { (2 * x.h + 1, 2 * x.w + 1) } else { (x.h, x.w) };
        assert!(
            (g.n, g.h, g.w) == (x.n, size.0, size.1)
                && self.style.len() == x.n * x.blocks() * LANES
                && g.data.len() == g.n * g.blocks() * g.plane()
                && x.data.len() == x.n * x.blocks() * x.plane(),
            "gradient, input and styles"
        );
        let (inputs, each) = (x.blocks(), LANES * LANES);
        let mut sums = vec![0f32; g.blocks() * inputs * TAPS * each];
        let to = Shared::new(&mut sums);
        jobs(g.blocks() * inputs * TAPS, 1, |job| {
            let (pair, tap) = (job / TAPS, job % TAPS);
            // SAFETY: every job owns its sums.
            let out = unsafe { to.slice(job * each, each) };
            let work = Tap { op: self, output: pair / inputs, input: pair % inputs, tap, out };
            // SAFETY: the sizes were checked.
            unsafe { self.isa.run(work) };
        });
        let mut out = vec![0f32; g.channels * x.channels * TAPS];
        crate::raw::planes(&mut out, (x.channels * TAPS).max(1), |o, line| {
            for (at, v) in line.iter_mut().enumerate() {
                let (i, tap) = (at / TAPS, at % TAPS);
                let pair = o / LANES * inputs + i / LANES;
                *v = sums[(pair * TAPS + tap) * each + o % LANES * LANES + i % LANES];
            }
        });
        out
    }
}

/// One tap of a block of outputs and a block of inputs.
struct Tap<'a> {
    op: &'a WeightBack<'a>,
    output: usize,
    input: usize,
    tap: usize,
    /// Zeros: `[16 outputs, 16 inputs]`.
    out: &'a mut [f32],
}

impl Work for Tap<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { op, output, input, tap, out } = self;
        let (g, x) = (op.g, op.x);
        let (ky, kx) = (tap / 3, tap % 3);
        // Rows and columns of the input whose result exists, and where that is.
        let scale = if op.up { 2 } else { 1 };
        let inside = |k: usize, n: usize| match (op.up, k) {
            (true, _) | (_, 1) => (0, n),
            (_, 0) => (0, n - n.min(1)),
            _ => (n.min(1), n),
        };
        let place = |at: usize, k: usize| if op.up { 2 * at + k } else { at + 1 - k };
        let ((top, end), (left, right)) = (inside(ky, x.h), inside(kx, x.w));
        if top >= end || left >= right {
            return;
        }
        for sample in 0..x.n {
            // SAFETY: `run` has checked the sizes; rows, columns and channels are in the maps.
            unsafe {
                let from = x.data.as_ptr().add((sample * x.blocks() + input) * x.plane());
                let back = g.data.as_ptr().add((sample * g.blocks() + output) * g.plane());
                let style = L::load(op.style.as_ptr().add((sample * x.blocks() + input) * LANES));
                for first in (0..LANES).step_by(TOGETHER) {
                    for start in (top..end).step_by(ROWS) {
                        let mut sums = [L::splat(0.0); TOGETHER];
                        for row in start..end.min(start + ROWS) {
                            let mut from = from.add((row * x.w + left) * LANES);
                            let at = place(row, ky) * g.w + place(left, kx);
                            let mut back = back.add(at * LANES + first);
                            for _ in left..right {
                                let v = L::load(from);
                                for k in 0..TOGETHER {
                                    sums[k] = v.mul_add(L::splat(*back.add(k)), sums[k]);
                                }
                                from = from.add(LANES);
                                back = back.add(scale * LANES);
                            }
                        }
                        for (k, sum) in sums.into_iter().enumerate() {
                            let to = out.as_mut_ptr().add((first + k) * LANES);
                            sum.mul_add(style, L::load(to)).store(to);
                        }
                    }
                }
            }
        }
    }
}

/// The sums of a map over samples and pixels, each channel of a sample divided by its factor
/// `[N, C]`, in whole blocks.
pub(super) fn sums_over(g: &Map, factors: &[f32]) -> Vec<f32> {
    let mut out = vec![0f64; g.blocks() * LANES];
    for (at, plane) in g.data.chunks_exact(g.plane().max(1)).enumerate() {
        let block = at % g.blocks().max(1);
        let mut sums = [0f64; LANES];
        for row in plane.chunks(g.w.max(1) * LANES) {
            let mut some = [0f32; LANES];
            for pixel in row.chunks_exact(LANES) {
                some.iter_mut().zip(pixel).for_each(|(s, v)| *s += v);
            }
            sums.iter_mut().zip(some).for_each(|(s, v)| *s += f64::from(v));
        }
        let factors = &factors[at * LANES..][..LANES];
        let out = &mut out[block * LANES..][..LANES];
        for ((o, s), f) in out.iter_mut().zip(sums).zip(factors) {
            // Channels beyond the last have no factor.
            *o += if *f == 0.0 { 0.0 } else { s / f64::from(*f) };
        }
    }
    out.truncate(g.channels);
    out.into_iter().map(|v| v as f32).collect()
}
