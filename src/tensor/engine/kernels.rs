//! The inner loops of the convolutions: Winograd's algorithm (Lavin and Gray 2016) on blocks of sixteen channels.
//!
//! A tile of outputs is `Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A`. Over all channels, each product is a matrix product. Three schemes
//! share everything else:
//! - [`Same`], F(4×4, 3×3) with the points 0, ±1, ±2, ∞: 36 products for 16 outputs instead of 144.
//! - [`Up`], the transposed convolution of stride 2: along an axis, even outputs have two taps, which F(4, 2) with the points
//!   0, ±1, 2, ∞ gives four of for five products; odd outputs have one. 81 products for 64 outputs instead of 144.
//! - [`Down`], the convolution of stride 2, is its transpose.
//!
//! The weights are transformed when they are used, to 36 matrices in each scheme: that costs a few per cent where maps are
//! large, and where they are small, reading 36 numbers a weight from memory would cost more than making them from nine.

use super::simd::{LANES, Lanes, place};

// No closures around vectors: they are functions of their own, without the instruction set of the kernel, and what they
// call is not inlined.

/// Transformed weights of a kernel.
pub(super) const WEIGHTS: usize = 36;
/// Inputs whose weights are asked for before they are transformed: they come from memory.
const AHEAD: usize = 16;
/// Tiles whose inputs are kept side by side.
pub(super) const PANEL: usize = 12;

/// How `O` outputs are computed from `I` inputs with `P` products along one axis.
///
/// # Safety
/// The processor has the instruction set of `L`.
pub(super) trait Scheme<const I: usize, const P: usize, const O: usize> {
    /// Pixels between tiles, in the input and in the output.
    const STEPS: [usize; 2];

    /// Which of the six transformed weights a product uses.
    fn weight(product: usize) -> usize;
    /// Six transformed weights from three: G.
    unsafe fn weights<L: Lanes>(k: [L; 3]) -> [L; 6];
    /// Transformed inputs: Bᵀ.
    unsafe fn into<L: Lanes>(d: [L; I]) -> [L; P];
    /// Outputs from products: Aᵀ.
    unsafe fn out_of<L: Lanes>(m: [L; P]) -> [L; O];
}

/// The same size.
pub(super) struct Same;
/// Twice the size and one: `z[2i + a] += x[i] w[a]`. The weights come turned round.
pub(super) struct Up;
/// Every second place: `y[i] = Σ_a x[2i + a] w[a]`.
pub(super) struct Down;

impl Scheme<6, 6, 4> for Same {
    const STEPS: [usize; 2] = [4, 4];

    #[inline(always)]
    fn weight(product: usize) -> usize {
        product
    }

    #[inline(always)]
    unsafe fn weights<L: Lanes>(k: [L; 3]) -> [L; 6] {
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

    #[inline(always)]
    unsafe fn into<L: Lanes>(d: [L; 6]) -> [L; 6] {
        // SAFETY: the set of `L` is there.
        unsafe {
            let (two, four, minus_four) = (L::splat(2.0), L::splat(4.0), L::splat(-4.0));
            let minus_five = L::splat(-5.0);
            let (a, b) = (d[2].mul_add(minus_four, d[4]), d[1].mul_add(minus_four, d[3]));
            let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]).mul(two));
            let first = d[0].mul_add(four, d[2].mul_add(minus_five, d[4]));
            let last = d[1].mul_add(four, d[3].mul_add(minus_five, d[5]));
            [first, a.add(b), a.sub(b), c.add(e), c.sub(e), last]
        }
    }

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
}

/// G of F(4, 2) for the outer taps, and the middle tap as it is.
#[inline(always)]
unsafe fn pair_weights<L: Lanes>(k: [L; 3]) -> [L; 6] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (a, b) = (k[0], k[2]);
        [
            a.mul(L::splat(0.5)),
            a.add(b).mul(L::splat(-0.5)),
            b.sub(a).mul(L::splat(1.0 / 6.0)),
            b.mul_add(L::splat(1.0 / 3.0), a.mul(L::splat(1.0 / 6.0))),
            b,
            k[1],
        ]
    }
}

/// Bᵀ of F(4, 2).
#[inline(always)]
unsafe fn pair_into<L: Lanes>(d: [L; 5]) -> [L; 5] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (two, minus_two) = (L::splat(2.0), L::splat(-2.0));
        let odd = d[3].sub(d[1]);
        [
            d[0].sub(d[2]).mul_add(two, odd),
            d[1].mul_add(minus_two, d[3].sub(d[2])),
            d[1].mul_add(two, d[2].mul_add(L::splat(-3.0), d[3])),
            odd,
            odd.mul_add(minus_two, d[4].sub(d[2])),
        ]
    }
}

/// Aᵀ of F(4, 2).
#[inline(always)]
unsafe fn pair_out<L: Lanes>(m: [L; 5]) -> [L; 4] {
    // SAFETY: the set of `L` is there.
    unsafe {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        [
            m[0].add(sum).add(m[3]),
            m[3].mul_add(L::splat(2.0), difference),
            m[3].mul_add(L::splat(4.0), sum),
            m[3].mul_add(L::splat(8.0), difference).add(m[4]),
        ]
    }
}

impl Scheme<5, 9, 8> for Up {
    const STEPS: [usize; 2] = [4, 8];

    #[inline(always)]
    fn weight(product: usize) -> usize {
        product.min(5)
    }

    #[inline(always)]
    unsafe fn weights<L: Lanes>(k: [L; 3]) -> [L; 6] {
        // SAFETY: the set of `L` is there.
        unsafe { pair_weights(k) }
    }

    #[inline(always)]
    unsafe fn into<L: Lanes>(d: [L; 5]) -> [L; 9] {
        // SAFETY: the set of `L` is there.
        let t = unsafe { pair_into([d[0], d[1], d[2], d[3], d[4]]) };
        [t[0], t[1], t[2], t[3], t[4], d[1], d[2], d[3], d[4]]
    }

    #[inline(always)]
    unsafe fn out_of<L: Lanes>(m: [L; 9]) -> [L; 8] {
        // SAFETY: the set of `L` is there.
        let even = unsafe { pair_out([m[0], m[1], m[2], m[3], m[4]]) };
        [even[0], m[5], even[1], m[6], even[2], m[7], even[3], m[8]]
    }
}

impl Scheme<9, 9, 4> for Down {
    const STEPS: [usize; 2] = [8, 4];

    #[inline(always)]
    fn weight(product: usize) -> usize {
        product.min(5)
    }

    #[inline(always)]
    unsafe fn weights<L: Lanes>(k: [L; 3]) -> [L; 6] {
        // SAFETY: the set of `L` is there.
        unsafe { pair_weights(k) }
    }

    #[inline(always)]
    unsafe fn into<L: Lanes>(d: [L; 9]) -> [L; 9] {
        // SAFETY: the set of `L` is there.
        let t = unsafe { pair_into([d[0], d[2], d[4], d[6], d[8]]) };
        [t[0], t[1], t[2], t[3], t[4], d[1], d[3], d[5], d[7]]
    }

    #[inline(always)]
    unsafe fn out_of<L: Lanes>(m: [L; 9]) -> [L; 4] {
        // SAFETY: the set of `L` is there.
        unsafe {
            let [a, b, c, d] = pair_out([m[0], m[1], m[2], m[3], m[4]]);
            [a.add(m[5]), b.add(m[6]), c.add(m[7]), d.add(m[8])]
        }
    }
}

/// Transforms the weights of one block of outputs and `inputs` inputs, turned round if `flip`.
///
/// # Safety
/// `w` points at `inputs · 9` vectors, `u` at 36 places `stride` elements apart with `inputs` vectors each.
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

/// Transforms the input tile whose first pixel is (y, x), scaled by `scale`, to places `stride` elements apart.
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

/// The matrix kernel: `c[t][o] = Σ_i a[o][i] · b[i][t]`, or that added to it, for `M` blocks of outputs and `N` tiles, in
/// registers.
///
/// # Safety
/// `a` points at `M` runs of `inputs · 16` vectors, `run` elements apart; `b` at `inputs` panels; `c` at `N` rows of
/// `2` blocks.
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
            let (ahead, along) = (place::<L>(block * LANES * LANES), place::<L>(block * PANEL * LANES));
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

/// Adds to `c[t][o]` the products of one block of inputs with some taps: `Σ_i Σ_tap w[o][i][tap] · from[place(tap, t)][i]`.
///
/// # Safety
/// `w` points at `M` runs of 16 inputs · 9 taps, `run` elements apart; the places are pixels at `from`; `c` has `pixels`
/// rows of 2 blocks.
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
