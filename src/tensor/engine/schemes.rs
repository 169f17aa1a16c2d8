//! Winograd's algorithm (Lavin and Gray 2016) along one axis, in three schemes.
//!
//! A tile of outputs is `Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A`. Over all channels, each product is a matrix
//! product. Three schemes share everything else:
//! - [`Same`], F(4×4, 3×3) with the points 0, ±1, ±2, ∞: 36 products for 16 outputs instead of 144.
//! - [`Up`], the transposed convolution of stride 2: along an axis, even outputs have two taps,
//!   which F(4, 2) with the points 0, ±1, 2, ∞ gives four of for five products; odd outputs have
//!   one. 81 products for 64 outputs instead of 144.
//! - [`Down`], the convolution of stride 2, is its transpose.
//!
//! The weights are transformed when they are used, to 36 matrices in each scheme: that costs a few
//! per cent where maps are large, and where they are small, reading 36 numbers a weight from memory
//! would cost more than making them from nine.

use super::lanes::Lanes;

/// Computes `O` outputs from `I` inputs with `P` products along one axis.
///
/// # Safety
/// The processor has the instruction set of `L`.
pub(super) trait Scheme<const I: usize, const P: usize, const O: usize> {
    /// Pixels between tiles, in the input and in the output.
    const STEPS: [usize; 2];

    /// Index of the transformed weight, of six, that a product uses.
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
            let (ends, far) =
                (k[0].add(k[2]), k[0].mul_add(L::splat(1.0 / 24.0), k[2].mul(L::splat(1.0 / 6.0))));
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
