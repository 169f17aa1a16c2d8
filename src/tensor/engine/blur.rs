//! The separable filter of four taps that follows a doubling convolution, and its gradient.

use super::buffer::{Buffer, Map};
use super::finish::Epilogue;
use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, jobs};

/// Rows of one job.
const ROWS: usize = 16;

/// `y[o] = Σ_t taps[t] · x[o + t − before]` along both axes; beyond the map is zero.
pub(super) struct Blur<'a> {
    pub(super) isa: Isa,
    pub(super) x: &'a Map,
    pub(super) taps: [f32; 4],
    pub(super) before: usize,
}

impl Blur<'_> {
    /// Runs it into `out`, whose size decides how far the filter goes.
    pub(super) fn run(&self, out: &mut Map, epilogue: Option<&Epilogue<'_>>) {
        let x = self.x;
        assert_eq!((x.n, x.channels), (out.n, out.channels), "samples and channels");
        assert!(
            x.data.len() == x.n * x.blocks() * x.plane()
                && out.data.len() == out.n * out.blocks() * out.plane()
        );
        // Three more pixels hold what the filter reads beyond the map.
        assert!(
            out.w + 3 >= self.before + x.w,
            "the filter's result is narrower than what it reads"
        );
        if let Some(e) = epilogue {
            e.check(out);
        }
        let bands = out.h.div_ceil(ROWS);
        let (size, each) = ((out.blocks(), out.h, out.w), out.plane());
        let (planes, to) = (out.n * out.blocks(), Shared::new(&mut out.data));
        jobs(planes * bands, 1, |job| {
            let (plane, band) = (job / bands, job % bands);
            let work = Band {
                blur: self,
                plane,
                first: band * ROWS,
                size,
                to: (&to, plane * each),
                epilogue,
            };
            // SAFETY: every job writes its own rows.
            unsafe { self.isa.run(work) };
        });
    }
}

/// Some rows of one block of one sample.
struct Band<'a> {
    blur: &'a Blur<'a>,
    plane: usize,
    first: usize,
    /// Blocks, height and width of the result.
    size: (usize, usize, usize),
    to: (&'a Shared<'a>, usize),
    epilogue: Option<&'a Epilogue<'a>>,
}

impl Work for Band<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (blocks, h, w) = self.size;
        let Blur { x, taps, before, .. } = self.blur;
        let mut line = Buffer::zeros((w + 3) * LANES);
        // SAFETY: the sizes were checked; rows outside the map are not read, pixels outside stay
        // zero in the line.
        unsafe {
            let [a, b, c, d] =
                [L::splat(taps[0]), L::splat(taps[1]), L::splat(taps[2]), L::splat(taps[3])];
            let from = x.data.as_ptr().add(self.plane * x.plane());
            for row in self.first..h.min(self.first + ROWS) {
                let mut rows = [std::ptr::null::<f32>(); 4];
                for (t, place) in rows.iter_mut().enumerate() {
                    if let Some(y) = (row + t).checked_sub(*before).filter(|y| *y < x.h) {
                        *place = from.add(y * x.w * LANES);
                    }
                }
                down::<L>(rows, [a, b, c, d], &mut line[before * LANES..], x.w);
                let to = self.to.0.at(self.to.1 + row * w * LANES);
                let ready = match self.epilogue {
                    Some(e) => Some(e.ready::<L>(blocks, self.plane / blocks, self.plane % blocks)),
                    None => None,
                };
                for at in 0..w {
                    let p = line.as_ptr().add(at * LANES);
                    let (first, second) = (L::load(p).mul(a), L::load(p.add(LANES)).mul(b));
                    let v = L::load(p.add(2 * LANES)).mul_add(c, first);
                    let v = L::load(p.add(3 * LANES)).mul_add(d, second).add(v);
                    let v = match &ready {
                        Some(ready) => ready.apply(v, row * w + at),
                        None => v,
                    };
                    v.store(to.add(at * LANES));
                }
            }
        }
    }
}

/// Filters four rows, of which some may not be there, into one of `w` pixels.
///
/// # Safety
/// The rows that are there have `w` pixels.
#[inline(always)]
unsafe fn down<L: Lanes>(rows: [*const f32; 4], taps: [L; 4], to: &mut [f32], w: usize) {
    let whole = rows.iter().all(|r| !r.is_null());
    for (at, to) in to.chunks_exact_mut(LANES).take(w).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let v = if whole {
                let (first, second) =
                    (L::load(rows[0].add(at * LANES)), L::load(rows[1].add(at * LANES)));
                let v = L::load(rows[2].add(at * LANES)).mul_add(taps[2], first.mul(taps[0]));
                L::load(rows[3].add(at * LANES)).mul_add(taps[3], second.mul(taps[1])).add(v)
            } else {
                let mut v = L::splat(0.0);
                for (row, tap) in rows.iter().zip(taps) {
                    if !row.is_null() {
                        v = L::load(row.add(at * LANES)).mul_add(tap, v);
                    }
                }
                v
            };
            v.store(to.as_mut_ptr());
        }
    }
}
