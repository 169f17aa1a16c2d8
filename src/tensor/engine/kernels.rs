//! The inner loops of the convolution: Winograd's F(4×4, 3×3) (Lavin and Gray 2016) on blocks of sixteen channels.
//!
//! Four by four outputs are computed from six by six inputs with 36 products instead of 144: `Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A`,
//! with the interpolation points 0, ±1, ±2 and ∞. Over all channels, each of the 36 products is a matrix product. The
//! weights are transformed when they are used: that costs a few per cent where maps are large, and where they are small,
//! reading 36 numbers a weight from memory would cost more than making them from nine.

use super::simd::{LANES, Lanes};

// No closures around vectors: they are functions of their own, without the instruction set of the kernel, and what they
// call is not inlined.

/// Products of one tile.
pub(super) const POINTS: usize = 36;
/// Tiles whose inputs are kept side by side.
pub(super) const PANEL: usize = 12;

/// A line of six weights from three: G, with the taps in order or turned round.
#[inline(always)]
unsafe fn spread<L: Lanes>(k: [L; 3]) -> [L; 6] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (ends, far) = (k[0].add(k[2]), k[0].mul_add(L::splat(1.0 / 24.0), k[2].mul(L::splat(1.0 / 6.0))));
        let (sixth, twelfth) = (L::splat(-1.0 / 6.0), k[1].mul(L::splat(1.0 / 12.0)));
        [
            k[0].mul(L::splat(0.25)),
            ends.add(k[1]).mul(sixth),
            ends.sub(k[1]).mul(sixth),
            far.add(twelfth),
            far.sub(twelfth),
            k[2],
        ]
    }
}

/// A linear combination.
#[inline(always)]
unsafe fn mix<L: Lanes>(m: &[f32; 3], w: [L; 3]) -> L {
    // SAFETY: the set of `L` is there.
    unsafe { w[2].mul_add(L::splat(m[2]), w[1].mul_add(L::splat(m[1]), w[0].mul(L::splat(m[0])))) }
}

/// How the nine weights of a kernel become the three by three taps of a convolution along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Taps {
    /// As they are, or turned round.
    Plain { flip: bool },
    /// Any linear map: tap j is `Σ_a m[j][a] · w[a]`.
    Mixed([[f32; 3]; 3]),
}

impl Taps {
    #[inline(always)]
    unsafe fn line<L: Lanes>(&self, w: [L; 3]) -> [L; 6] {
        // SAFETY: the set of `L` is there.
        unsafe {
            match self {
                Self::Plain { flip: false } => spread(w),
                Self::Plain { flip: true } => spread([w[2], w[1], w[0]]),
                Self::Mixed(m) => spread([mix(&m[0], w), mix(&m[1], w), mix(&m[2], w)]),
            }
        }
    }
}

/// Transforms the weights of one block of outputs and `inputs` inputs.
///
/// # Safety
/// `w` points at `inputs · 9` vectors, `u` at 36 places `stride` elements apart with `inputs` vectors each.
#[inline(always)]
pub(super) unsafe fn weights<L: Lanes>(w: *const f32, u: *mut f32, stride: usize, inputs: usize, taps: &[Taps; 2]) {
    // SAFETY: the caller's promise.
    unsafe {
        for i in 0..inputs {
            let w = w.add(i * 9 * LANES);
            let mut columns = [[L::splat(0.0); 3]; 6];
            for x in 0..3 {
                let mut line = [L::splat(0.0); 3];
                for (y, v) in line.iter_mut().enumerate() {
                    *v = L::load(w.add((y * 3 + x) * LANES));
                }
                for (column, v) in columns.iter_mut().zip(taps[0].line(line)) {
                    column[x] = v;
                }
            }
            for (y, column) in columns.into_iter().enumerate() {
                for (x, v) in taps[1].line(column).into_iter().enumerate() {
                    v.store(u.add((y * 6 + x) * stride + i * LANES));
                }
            }
        }
    }
}

/// Six transformed inputs from six: Bᵀ.
#[inline(always)]
unsafe fn into<L: Lanes>(d: [L; 6]) -> [L; 6] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (two, four, minus_four) = (L::splat(2.0), L::splat(4.0), L::splat(-4.0));
        let minus_five = L::splat(-5.0);
        let (a, b) = (d[2].mul_add(minus_four, d[4]), d[1].mul_add(minus_four, d[3]));
        let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]).mul(two));
        [
            d[0].mul_add(four, d[2].mul_add(minus_five, d[4])),
            a.add(b),
            a.sub(b),
            c.add(e),
            c.sub(e),
            d[1].mul_add(four, d[3].mul_add(minus_five, d[5])),
        ]
    }
}

/// Four outputs from six products: Aᵀ.
#[inline(always)]
unsafe fn out_of<L: Lanes>(m: [L; 6]) -> [L; 4] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (s12, d12) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (s34, d34) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(s12).add(s34),
            d34.mul_add(L::splat(2.0), d12),
            s34.mul_add(L::splat(4.0), s12),
            d34.mul_add(L::splat(8.0), d12).add(m[5]),
        ]
    }
}

/// A grid of vectors in a map: pixel (y, x) lies at `start + y · rows + x · columns` elements.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Pixels there are; beyond them is zero.
    pub(super) h: usize,
    pub(super) w: usize,
}

impl Grid {
    /// Whether a square of `side` pixels from (y, x) lies inside.
    #[inline(always)]
    pub(super) fn holds(&self, y: isize, x: isize, side: isize) -> bool {
        y >= 0 && x >= 0 && y + side <= self.h as isize && x + side <= self.w as isize
    }

    #[inline(always)]
    pub(super) fn at(&self, y: isize, x: isize) -> isize {
        self.start as isize + y * self.rows as isize + x * self.columns as isize
    }
}

/// Transforms the input tile whose first pixel is (y, x), scaled by `scale`, to 36 places `stride` elements apart.
///
/// # Safety
/// The grid lies in the data at `from`, and the places at `to` are valid.
#[inline(always)]
pub(super) unsafe fn tile_in<L: Lanes>(
    (from, grid): (*const f32, &Grid),
    (y, x): (isize, isize),
    scale: Option<L>,
    (to, stride): (*mut f32, usize),
) {
    // SAFETY: the caller's promise; pixels outside the grid are not read.
    unsafe {
        let zero = L::splat(0.0);
        let mut half = [[zero; 6]; 6];
        let inside = grid.holds(y, x, 6);
        for c in 0..6 {
            let mut column = [zero; 6];
            if inside {
                let top = from.offset(grid.at(y, x + c as isize));
                for (r, v) in column.iter_mut().enumerate() {
                    *v = L::load(top.add(r * grid.rows));
                }
            } else {
                for (r, v) in column.iter_mut().enumerate() {
                    let (y, x) = (y + r as isize, x + c as isize);
                    if grid.holds(y, x, 1) {
                        *v = L::load(from.offset(grid.at(y, x)));
                    }
                }
            }
            for (row, v) in half.iter_mut().zip(into(column)) {
                row[c] = v;
            }
        }
        for (r, row) in half.into_iter().enumerate() {
            for (c, v) in into(row).into_iter().enumerate() {
                let v = match scale {
                    Some(s) => v.mul(s),
                    None => v,
                };
                v.store(to.add((r * 6 + c) * stride));
            }
        }
    }
}

/// The four by four outputs of a tile from its 36 products, `stride` elements apart.
///
/// # Safety
/// The places at `from` are valid.
#[inline(always)]
pub(super) unsafe fn tile_out<L: Lanes>(from: *const f32, stride: usize) -> [[L; 4]; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = L::splat(0.0);
        let mut half = [[zero; 6]; 4];
        for c in 0..6 {
            let mut column = [zero; 6];
            for (r, v) in column.iter_mut().enumerate() {
                *v = L::load(from.add((r * 6 + c) * stride));
            }
            for (row, v) in half.iter_mut().zip(out_of(column)) {
                row[c] = v;
            }
        }
        [out_of(half[0]), out_of(half[1]), out_of(half[2]), out_of(half[3])]
    }
}

/// The matrix kernel: `c[t][o] = Σ_i a[o][i] · b[i][t]` for `M` blocks of outputs and `N` tiles, in registers.
///
/// # Safety
/// `a` points at `M` runs of `inputs · 16` vectors, `run` elements apart; `b` at `inputs` panels; `c` at `N` rows of
/// `2` blocks.
#[inline(always)]
unsafe fn product<L: Lanes, const M: usize, const N: usize>(
    inputs: usize,
    (a, run): (*const f32, usize),
    b: *const f32,
    c: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[L::splat(0.0); N]; M];
        for block in 0..inputs {
            let (a, b) = (a.add(block * LANES * LANES), b.add(block * PANEL * LANES));
            for i in 0..LANES {
                let mut left = [L::splat(0.0); M];
                for (m, left) in left.iter_mut().enumerate() {
                    *left = L::load(a.add(m * run + i * LANES));
                }
                for t in 0..N {
                    let right = L::splat(*b.add(t * LANES + i));
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

/// [`product`] for the first `tiles` tiles of a panel, as many at a time as the registers hold.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
pub(super) unsafe fn panel<L: Lanes, const M: usize>(
    (inputs, tiles): (usize, usize),
    a: (*const f32, usize),
    b: *const f32,
    c: *mut f32,
) {
    let mut t = 0;
    while t < tiles {
        let n = L::TILE.1.min(tiles - t);
        // SAFETY: the caller's promise, t + n tiles at most.
        unsafe {
            let (b, c) = (b.add(t * LANES), c.add(t * 2 * LANES));
            macro_rules! columns {
                ($($n:literal)*) => {
                    match n {
                        $($n => product::<L, M, $n>(inputs, a, b, c),)*
                        _ => unreachable!("a tile has at most twelve columns"),
                    }
                };
            }
            columns!(1 2 3 4 5 6 7 8 9 10 11 12);
        }
        t += n;
    }
}
