//! Sixteen numbers at a time: one interface for all instruction sets.
//!
//! Kernels are written once over [`Lanes`]. `portable.rs` and `x86.rs` implement it, each set in
//! its own way, and `isa.rs` chooses one of them when the program runs.

/// Numbers in one vector; channels are kept in blocks of this many.
pub(crate) const LANES: usize = 16;

/// A vector of sixteen numbers in single precision.
///
/// # Safety
/// Every method needs the instruction set of its implementation; loads and stores need sixteen
/// valid elements.
pub(super) trait Lanes: Copy {
    /// Blocks of outputs and tiles that a matrix kernel keeps in registers at a time.
    const TILE: (usize, usize);
    /// Whether [`Lanes::dot`] takes pairs of numbers in bf16: half the memory, twice the products,
    /// 8 bits of each.
    const PAIRED: bool = false;

    unsafe fn splat(v: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    /// `self · b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// The smaller one; `b` where one is not a number.
    unsafe fn min(self, b: Self) -> Self;
    /// The greater one; `b` where one is not a number.
    unsafe fn max(self, b: Self) -> Self;
    /// `yes` where self is above zero, else `no`.
    unsafe fn positive(self, yes: Self, no: Self) -> Self;
    /// `v` where |self| is below `limit`, else 0.
    unsafe fn inside(self, limit: Self, v: Self) -> Self;
    /// The sum of all sixteen.
    unsafe fn sum(self) -> f32;

    /// Keeps the compiler from moving loads across: it would hoist broadcasts out of a kernel and
    /// run out of registers.
    #[inline(always)]
    unsafe fn fence() {}

    /// Asks for a cache line that will be read soon; any address may be given.
    #[inline(always)]
    unsafe fn fetch(_: *const f32) {}

    /// Asks for a cache line that will be read later, and keeps it out of the nearest cache; any
    /// address may be given.
    #[inline(always)]
    unsafe fn fetch_early(_: *const f32) {}

    /// Multiply-add of matrix kernels: `self · b + c`, of both numbers of a pair where there are
    /// pairs.
    #[inline(always)]
    unsafe fn dot(self, b: Self, c: Self) -> Self {
        // SAFETY: the set is there.
        unsafe { self.mul_add(b, c) }
    }
    /// Stores neighbours as pairs, or as they are.
    #[inline(always)]
    unsafe fn pack(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.store(to) }
    }
    /// Stores pairs of a lane of `self` and the same of `b`; only where there are pairs.
    #[inline(always)]
    unsafe fn pack_with(self, _: Self, _: *mut f32) {}
}

/// Offset of element `at` in a row of products' factors: pairs take half the room.
#[inline(always)]
pub(super) const fn place<L: Lanes>(at: usize) -> usize {
    if L::PAIRED { at / 2 } else { at }
}

/// Work that is compiled for every instruction set.
pub(super) trait Work {
    /// Does it. Implementations are `#[inline(always)]`, or the instruction set of the caller is
    /// lost.
    ///
    /// # Safety
    /// The processor has the instruction set of `L`.
    unsafe fn run<L: Lanes>(self);
}
