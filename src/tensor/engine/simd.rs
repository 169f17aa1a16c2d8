//! Sixteen numbers at a time: one interface, three instruction sets, chosen when the program runs.
//!
//! Kernels are written once over [`Lanes`] and compiled for each set by [`Isa::run`]. The portable
//! set is plain Rust that the compiler vectorises for any processor; it is the reference of the
//! others.

use std::sync::atomic::{AtomicU8, Ordering};

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

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust, vectorised by the compiler for the oldest processor of the target.
    Portable = 1,
    /// AVX2 with FMA.
    Avx2 = 2,
    /// AVX-512 (F, VL, BW, DQ).
    Avx512 = 3,
    /// AVX-512 with products in bf16, for pictures that are only looked at.
    Bf16 = 4,
}

/// Choice of [`force`]; 0 for none.
static FORCED: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// Those in single precision, the simplest first.
    pub const EXACT: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Bf16];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Bf16 => "bf16",
        }
    }

    /// The set in single precision that goes with it.
    pub(super) fn exact(self) -> Self {
        if self == Self::Bf16 { Self::Avx512 } else { self }
    }

    /// Whether this processor has it.
    pub fn available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => Self::Avx512.available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The one in use, always in single precision: the best that this processor has, unless one was
    /// forced.
    pub fn current() -> Self {
        Self::forced().map_or_else(Self::best, Self::exact)
    }

    /// The set for pictures without gradients: bf16 only if it was forced.
    pub fn painting() -> Self {
        Self::forced().unwrap_or_else(Self::best)
    }

    fn forced() -> Option<Self> {
        let forced = FORCED.load(Ordering::Relaxed);
        Self::ALL.into_iter().find(|isa| *isa as u8 == forced)
    }

    fn best() -> Self {
        Self::EXACT.into_iter().rev().find(|isa| isa.available()).unwrap_or(Self::Portable)
    }

    /// Compiles the work for this set and does it.
    ///
    /// # Safety
    /// As the work demands. That the processor has the set is checked.
    pub(super) unsafe fn run<W: Work>(self, work: W) {
        debug_assert!(self.available());
        match self {
            // SAFETY: every processor runs plain Rust; the work's own demands are passed on.
            Self::Portable => unsafe { work.run::<Portable>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` that is run was found available.
            Self::Avx2 => unsafe { super::x86::avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { super::x86::avx512(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Bf16 => unsafe { super::x86::avx512bf16(work) },
            #[cfg(not(target_arch = "x86_64"))]
            // SAFETY: as for the portable set.
            _ => unsafe { work.run::<Portable>() },
        }
    }
}

/// Uses this instruction set from now on, for measuring and testing; models that are loaded already
/// keep theirs.
///
/// Returns false without a change when the processor does not have it.
pub fn force(isa: Isa) -> bool {
    let there = isa.available();
    if there {
        FORCED.store(isa as u8, Ordering::Relaxed);
    }
    there
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Lanes for Portable {
    const TILE: (usize, usize) = (1, 2);

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self([v; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: sixteen elements, by the caller's promise.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.zip(b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        self.zip(b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.zip(b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        self.zip(b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        self.zip(b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn positive(self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] > 0.0 { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn inside(self, limit: Self, v: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i].abs() < limit.0[i] { v.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut v = self.0;
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                v[i] += v[i + half];
            }
        }
        v[0]
    }
}
