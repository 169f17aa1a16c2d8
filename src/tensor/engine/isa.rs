//! The instruction set, chosen when the program runs.
//!
//! Kernels are written once over [`Lanes`](super::lanes::Lanes) and compiled for each set by
//! [`Isa::run`].

use super::lanes::Work;
use super::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::x86;
use std::sync::atomic::{AtomicU8, Ordering};

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
            Self::Avx2 => unsafe { x86::avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { x86::avx512(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Bf16 => unsafe { x86::avx512bf16(work) },
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
