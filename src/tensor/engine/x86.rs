//! AVX2 with FMA, AVX-512, and AVX-512 with products in bf16.

use super::lanes::{Lanes, Work};
use std::arch::x86_64::*;

#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<W: Work>(work: W) {
    // SAFETY: the feature is on here.
    unsafe { work.run::<Avx2>() }
}

#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) unsafe fn avx512<W: Work>(work: W) {
    // SAFETY: the features are on here.
    unsafe { work.run::<Avx512<false>>() }
}

#[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) unsafe fn avx512bf16<W: Work>(work: W) {
    // SAFETY: the features are on here.
    unsafe { work.run::<Avx512<true>>() }
}

#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

// SAFETY of all blocks: the trait's contract, the set is there and the addresses are valid.
impl Lanes for Avx2 {
    const TILE: (usize, usize) = (1, 6);

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        let v = unsafe { _mm256_set1_ps(v) };
        Self(v, v)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, b.0), _mm256_add_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, b.0), _mm256_sub_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, b.0), _mm256_mul_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, b.0), _mm256_min_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, b.0), _mm256_max_ps(self.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn positive(self, yes: Self, no: Self) -> Self {
        unsafe {
            let zero = _mm256_setzero_ps();
            let pick = |v, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(v, zero));
            Self(pick(self.0, yes.0, no.0), pick(self.1, yes.1, no.1))
        }
    }
    #[inline(always)]
    unsafe fn inside(self, limit: Self, v: Self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            let keep = |x, limit, v| {
                _mm256_and_ps(v, _mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_andnot_ps(sign, x), limit))
            };
            Self(keep(self.0, limit.0, v.0), keep(self.1, limit.1, v.1))
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe {
            let v = _mm256_add_ps(self.0, self.1);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    unsafe fn fence() {
        unsafe { std::arch::asm!("", options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn fetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    unsafe fn fetch_early(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

/// AVX-512, with products in pairs of bf16 or in single precision.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const PAIRED: bool>(__m512);

impl<const PAIRED: bool> Lanes for Avx512<PAIRED> {
    const TILE: (usize, usize) = (2, 12);
    const PAIRED: bool = PAIRED;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(v) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        Self(unsafe { _mm512_sub_ps(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        Self(unsafe { _mm512_mul_ps(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, b.0) })
    }
    #[inline(always)]
    unsafe fn positive(self, yes: Self, no: Self) -> Self {
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
            Self(_mm512_mask_blend_ps(above, no.0, yes.0))
        }
    }
    #[inline(always)]
    unsafe fn inside(self, limit: Self, v: Self) -> Self {
        unsafe {
            let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(self.0), limit.0);
            Self(_mm512_maskz_mov_ps(below, v.0))
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
    #[inline(always)]
    unsafe fn dot(self, b: Self, c: Self) -> Self {
        if !PAIRED {
            return unsafe { self.mul_add(b, c) };
        }
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(self.0);
            let b = std::mem::transmute::<__m512, __m512bh>(b.0);
            Self(_mm512_dpbf16_ps(c.0, a, b))
        }
    }
    #[inline(always)]
    unsafe fn pack(self, to: *mut f32) {
        if !PAIRED {
            return unsafe { self.store(to) };
        }
        unsafe {
            let half = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
            _mm256_storeu_si256(to.cast(), half);
        }
    }
    #[inline(always)]
    unsafe fn pack_with(self, b: Self, to: *mut f32) {
        unsafe {
            let a = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
            let b = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(b.0));
            let b = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(b));
            let pairs = _mm512_or_si512(_mm512_cvtepu16_epi32(a), b);
            _mm512_storeu_si512(to.cast(), pairs);
        }
    }
    #[inline(always)]
    unsafe fn fence() {
        unsafe { std::arch::asm!("", options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn fetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    unsafe fn fetch_early(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
