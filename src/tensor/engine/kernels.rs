//! The inner loops of the convolutions, on blocks of sixteen channels: tiles into products' factors
//! and back, and products.

use super::lanes::{LANES, Lanes, place};
use super::schemes::Scheme;

// No closures around vectors: they are functions of their own, without the instruction set of the
// kernel, and what they call is not inlined.

/// Transformed weights of a kernel.
pub(super) const WEIGHTS: usize = 36;
/// Number of inputs whose weights are prefetched from memory before they are transformed.
const AHEAD: usize = 16;
/// Tiles whose inputs are kept side by side.
pub(super) const PANEL: usize = 12;

/// Transforms the weights of one block of outputs and `inputs` inputs, turned round if `flip`.
///
/// # Safety
/// `w` points at `inputs · 9` vectors, `u` at 36 places `stride` elements apart with `inputs`
/// vectors each.
#[inline(always)]
pub(super) unsafe fn weights<L, S, const I: usize, const P: usize, const O: usize>(
    w: *const f32,
    (u, stride): (*mut f32, usize),
    inputs: usize,
    flip: bool,
) where
    L: Lanes,
    S: Scheme<I, P, O>,
{
    // SAFETY: the caller's promise.
    unsafe {
        let turn = |i: usize| if flip { 2 - i } else { i };
        let mut before = [L::splat(0.0); WEIGHTS];
        for i in 0..inputs {
            let w = w.add(i * 9 * LANES);
            let mut columns = [[L::splat(0.0); 3]; 6];
            for x in 0..3 {
                let mut line = [L::splat(0.0); 3];
                for (y, v) in line.iter_mut().enumerate() {
                    let at = w.add((turn(y) * 3 + turn(x)) * LANES);
                    *v = L::load(at);
                    L::fetch(at.wrapping_add(AHEAD * 9 * LANES));
                }
                for (column, v) in columns.iter_mut().zip(S::weights(line)) {
                    column[x] = v;
                }
            }
            for (y, column) in columns.into_iter().enumerate() {
                for (x, v) in S::weights(column).into_iter().enumerate() {
                    let at = y * 6 + x;
                    if !L::PAIRED {
                        v.store(u.add(at * stride + i * LANES));
                    } else if i % 2 == 0 {
                        before[at] = v;
                    } else {
                        before[at].pack_with(v, u.add(at * stride + i / 2 * LANES));
                    }
                }
            }
        }
    }
}

/// A grid of vectors in a map: pixel (y, x) lies at `start + (y · w + x) · 16` elements.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) start: usize,
    /// Pixels there are; beyond them is zero.
    pub(super) h: usize,
    pub(super) w: usize,
}

impl Grid {
    /// Whether a square of `side` pixels from (y, x) lies inside.
    #[inline(always)]
    pub(super) fn holds(&self, y: isize, x: isize, side: usize) -> bool {
        y >= 0 && x >= 0 && y as usize + side <= self.h && x as usize + side <= self.w
    }

    #[inline(always)]
    pub(super) fn at(&self, y: isize, x: isize) -> isize {
        self.start as isize + (y * self.w as isize + x) * LANES as isize
    }
}

/// Transforms the input tile whose first pixel is (y, x), scaled by `scale`, to places `stride`
/// elements apart.
///
/// # Safety
/// The grid lies in the data at `from`, and the places at `to` are valid.
#[inline(always)]
pub(super) unsafe fn tile_in<L, S, const I: usize, const P: usize, const O: usize>(
    (from, grid): (*const f32, &Grid),
    (y, x): (isize, isize),
    scale: L,
    (to, stride): (*mut f32, usize),
) where
    L: Lanes,
    S: Scheme<I, P, O>,
{
    // SAFETY: the caller's promise; pixels outside the grid are not read.
    unsafe {
        let zero = L::splat(0.0);
        let mut half = [[zero; I]; P];
        let inside = grid.holds(y, x, I);
        for c in 0..I {
            let mut column = [zero; I];
            if inside {
                let top = from.offset(grid.at(y, x + c as isize));
                for (r, v) in column.iter_mut().enumerate() {
                    *v = L::load(top.add(r * grid.w * LANES));
                }
            } else {
                for (r, v) in column.iter_mut().enumerate() {
                    let (y, x) = (y + r as isize, x + c as isize);
                    if grid.holds(y, x, 1) {
                        *v = L::load(from.offset(grid.at(y, x)));
                    }
                }
            }
            for (row, v) in half.iter_mut().zip(S::into(column)) {
                row[c] = v;
            }
        }
        for (r, row) in half.into_iter().enumerate() {
            for (c, v) in S::into(row).into_iter().enumerate() {
                v.mul(scale).pack(to.add((r * P + c) * stride));
            }
        }
    }
}

/// The outputs of a tile from its products, `stride` elements apart.
///
/// # Safety
/// The places at `from` are valid.
#[inline(always)]
pub(super) unsafe fn tile_out<L, S, const I: usize, const P: usize, const O: usize>(
    from: *const f32,
    stride: usize,
) -> [[L; O]; O]
where
    L: Lanes,
    S: Scheme<I, P, O>,
{
    // SAFETY: the caller's promise.
    unsafe {
        let zero = L::splat(0.0);
        let mut half = [[zero; P]; O];
        for c in 0..P {
            let mut column = [zero; P];
            for (r, v) in column.iter_mut().enumerate() {
                *v = L::load(from.add((r * P + c) * stride));
            }
            for (row, v) in half.iter_mut().zip(S::out_of(column)) {
                row[c] = v;
            }
        }
        let mut out = [[zero; O]; O];
        for (out, row) in out.iter_mut().zip(half) {
            *out = S::out_of(row);
        }
        out
    }
}

/// The matrix kernel: `c[t][o] = Σ_i a[o][i] · b[i][t]`, or that added to it, for `M` blocks of
/// outputs and `N` tiles, in registers.
///
/// # Safety
/// `a` points at `M` runs of `inputs · 16` vectors, `run` elements apart; `b` at `inputs` panels;
/// `c` at `N` rows of `2` blocks.
#[inline(always)]
unsafe fn product<L: Lanes, const M: usize, const N: usize>(
    inputs: usize,
    (a, run): (*const f32, usize),
    b: *const f32,
    (c, more): (*mut f32, bool),
    next: [*const f32; 2],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; M];
        if more {
            for t in 0..N {
                for m in 0..M {
                    sums[m][t] = L::load(c.add((t * 2 + m) * LANES));
                }
            }
        }
        for block in 0..inputs {
            let (ahead, along) =
                (place::<L>(block * LANES * LANES), place::<L>(block * PANEL * LANES));
            let (a, b) = (a.add(ahead), b.add(along));
            for i in 0..place::<L>(LANES) {
                let mut left = [L::splat(0.0); M];
                for (m, left) in left.iter_mut().enumerate() {
                    *left = L::load(a.add(m * run + i * LANES));
                    L::fetch(next[0].wrapping_add(ahead + m * run + i * LANES));
                }
                if i < place::<L>(PANEL) {
                    L::fetch(next[1].wrapping_add(along + i * LANES));
                }
                for t in 0..N {
                    let right = L::splat(*b.add(place::<L>(t * LANES) + i));
                    for m in 0..M {
                        sums[m][t] = left[m].dot(right, sums[m][t]);
                    }
                    L::fence();
                }
            }
        }
        for t in 0..N {
            for m in 0..M {
                sums[m][t].store(c.add((t * 2 + m) * LANES));
            }
        }
    }
}

/// [`product`] for the first `tiles` tiles of a panel, as many at a time as the registers hold.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
pub(super) unsafe fn panel<L: Lanes, const M: usize>(
    (inputs, tiles): (usize, usize),
    a: (*const f32, usize),
    b: *const f32,
    (c, more): (*mut f32, bool),
    next: [*const f32; 2],
) {
    let mut t = 0;
    while t < tiles {
        let n = L::TILE.1.min(tiles - t);
        // SAFETY: the caller's promise, t + n tiles at most.
        unsafe {
            let (b, c) = (b.add(place::<L>(t * LANES)), c.add(t * 2 * LANES));
            macro_rules! columns {
                ($($n:literal)*) => {
                    match n {
                        $($n => product::<L, M, $n>(inputs, a, b, (c, more), next),)*
                        _ => unreachable!("a tile has at most twelve columns"),
                    }
                };
            }
            columns!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
        t += n;
    }
}

/// Adds to `c[t][o]` the products of one block of inputs with some taps:
/// `Σ_i Σ_tap w[o][i][tap] · from[place(tap, t)][i]`.
///
/// # Safety
/// `w` points at `M` runs of 16 inputs · 9 taps, `run` elements apart; the places are pixels at
/// `from`; `c` has `pixels` rows of 2 blocks.
#[inline(always)]
pub(super) unsafe fn gathered<L: Lanes, const M: usize>(
    taps: &[(usize, [usize; PANEL])],
    w: (*const f32, usize),
    from: *const f32,
    c: *mut f32,
    pixels: usize,
) {
    let mut t = 0;
    while t < pixels {
        let n = L::TILE.1.min(pixels - t);
        // SAFETY: the caller's promise, t + n pixels at most.
        unsafe {
            let c = c.add(t * 2 * LANES);
            macro_rules! columns {
                ($($n:literal)*) => {
                    match n {
                        $($n => picked::<L, M, $n>((taps, t), w, from, c),)*
                        _ => unreachable!("a tile has at most twelve columns"),
                    }
                };
            }
            columns!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
        t += n;
    }
}

/// [`gathered`] for `N` pixels from the `first`.
///
/// # Safety
/// As for [`gathered`].
#[inline(always)]
unsafe fn picked<L: Lanes, const M: usize, const N: usize>(
    (taps, first): (&[(usize, [usize; PANEL])], usize),
    (w, run): (*const f32, usize),
    from: *const f32,
    c: *mut f32,
) {
    // SAFETY: the caller's promise; what is fetched ahead is not read.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; M];
        for t in 0..N {
            for m in 0..M {
                sums[m][t] = L::load(c.add((t * 2 + m) * LANES));
            }
        }
        for (tap, places) in taps {
            let mut right = [from; N];
            for t in 0..N {
                right[t] = from.add(places[first + t] * LANES);
            }
            for i in 0..LANES {
                let mut left = [L::splat(0.0); M];
                for (m, left) in left.iter_mut().enumerate() {
                    let at = w.add(m * run + (i * 9 + tap) * LANES);
                    *left = L::load(at);
                    L::fetch(at.wrapping_add(9 * LANES * LANES));
                }
                for t in 0..N {
                    let right = L::splat(*right[t].add(i));
                    for m in 0..M {
                        sums[m][t] = left[m].mul_add(right, sums[m][t]);
                    }
                    L::fence();
                }
            }
        }
        for t in 0..N {
            for m in 0..M {
                sums[m][t].store(c.add((t * 2 + m) * LANES));
            }
        }
    }
}
