//! The walled-off part: reading candle's storage, shared disjoint writes, and one matrix product.
//!
//! Everything here is computed in single precision, row-major. Work is cut into blocks by the
//! shapes alone, never by the number of threads, and every output element is written by one block
//! in a fixed order of additions: results are the same bits for any size of the thread pool.
#![allow(unsafe_code)]

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;
use std::borrow::Cow;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements below which a loop is not worth the threads.
const SERIAL: usize = 1 << 14;

/// The numbers of a contiguous f32 tensor.
pub(super) fn f32s<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else {
        bail!("{op}: expected f32, found {:?}", storage_dtype(storage))
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("{op}: expected a contiguous tensor, found strides {:?}", layout.stride()),
    }
}

/// Runs `f` with the numbers of contiguous f32 tensors of the CPU: for a gradient that gives
/// several results at once.
pub(super) fn with_numbers<R>(
    op: &str,
    tensors: &[&Tensor],
    f: impl FnOnce(&[&[f32]]) -> R,
) -> Result<R> {
    let held: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let mut slices = Vec::with_capacity(held.len());
    for (storage, layout) in &held {
        match &**storage {
            Storage::Cpu(storage) => slices.push(f32s(op, storage, layout)?),
            _ => bail!("{op}: expected a tensor on the CPU"),
        }
    }
    Ok(f(&slices))
}

/// The numbers of a contiguous tensor of f32 or of f16, in single precision.
pub(super) fn singles<'a>(
    op: &str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<Cow<'a, [f32]>> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F16(data), Some((start, end))) => {
            Ok(Cow::Owned(data[start..end].iter().map(|v| v.to_f32()).collect()))
        }
        _ => f32s(op, storage, layout).map(Cow::Borrowed),
    }
}

/// A result in the type of the argument `like`: rounded to the nearest of f16, if that is what it
/// is stored in.
pub(super) fn stored(numbers: Vec<f32>, like: &CpuStorage) -> CpuStorage {
    match like {
        CpuStorage::F16(_) => {
            CpuStorage::F16(numbers.into_iter().map(half::f16::from_f32).collect())
        }
        _ => CpuStorage::F32(numbers),
    }
}

fn storage_dtype(storage: &CpuStorage) -> candle_core::DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// An output that parallel blocks write, each its own part.
pub(super) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only reached through `slice` and `gemm`, whose callers promise that
// concurrent parts are disjoint.
unsafe impl Sync for Shared<'_> {}
unsafe impl Send for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(data: &'a mut [f32]) -> Self {
        Self { start: data.as_mut_ptr(), len: data.len(), life: PhantomData }
    }

    /// Numbers that `write` writes, without zeros before: zeroing a large output takes as long as
    /// writing it.
    ///
    /// # Safety
    /// `write` writes every element, and reads and slices none before.
    pub(super) unsafe fn written(len: usize, write: impl FnOnce(&Shared<'_>)) -> Vec<f32> {
        let mut data = Vec::<f32>::with_capacity(len);
        write(&Shared { start: data.as_mut_ptr(), len, life: PhantomData });
        // SAFETY: the caller's promise.
        unsafe { data.set_len(len) };
        data
    }

    /// The part `at..at + len`.
    ///
    /// # Safety
    /// No other block may read or write that part while the slice lives.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn slice(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "block outside its tensor");
        // SAFETY: in bounds by the assertion, unaliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }

    /// The address of element `at`, for kernels that have checked their sizes.
    pub(super) fn at(&self, at: usize) -> *mut f32 {
        debug_assert!(at < self.len, "element outside its tensor");
        self.start.wrapping_add(at)
    }
}

/// A matrix in a slice: element (r, c) is `data[r * rows + c * cols]`.
#[derive(Clone, Copy)]
pub(super) struct Mat<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub cols: usize,
}

impl<'a> Mat<'a> {
    /// Row-major with `width` columns.
    pub(super) fn new(data: &'a [f32], width: usize) -> Self {
        Self { data, rows: width, cols: 1 }
    }

    /// The transposed view.
    pub(super) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, ..self }
    }

    fn check(&self, r: usize, c: usize) {
        assert!(
            r == 0 || c == 0 || (r - 1) * self.rows + (c - 1) * self.cols < self.data.len(),
            "matrix outside its data"
        );
    }
}

/// Destination of a product: rows of `stride` elements from `at`.
#[derive(Clone, Copy)]
pub(super) struct Into<'a, 'b> {
    pub out: &'a Shared<'b>,
    pub at: usize,
    pub stride: usize,
    /// Add to what is there.
    pub add: bool,
}

/// `dst (+)= a · b` with a `[m, k]`, b `[k, n]`, on the calling thread.
///
/// # Safety
/// No other block may touch the `m × n` elements of `dst` meanwhile.
pub(super) unsafe fn gemm(dst: Into<'_, '_>, [m, n, k]: [usize; 3], a: Mat<'_>, b: Mat<'_>) {
    a.check(m, k);
    b.check(k, n);
    assert!(
        m == 0 || n == 0 || dst.at + (m - 1) * dst.stride + n <= dst.out.len,
        "product outside its tensor"
    );
    if m == 0 || n == 0 {
        return;
    }
    let beta = if dst.add { 1.0 } else { 0.0 };
    // SAFETY: all three matrices were checked to lie in their data; the destination is unaliased by
    // the caller's promise.
    unsafe {
        gemm::gemm::<f32>(
            m,
            n,
            k,
            dst.out.start.add(dst.at),
            1,
            dst.stride as isize,
            dst.add,
            a.data.as_ptr(),
            a.cols as isize,
            a.rows as isize,
            b.data.as_ptr(),
            b.cols as isize,
            b.rows as isize,
            beta,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Runs `f` for every index below `n`, in parallel when `work` elements are worth it.
pub(super) fn blocks(n: usize, work: usize, f: impl Fn(usize) + Sync + Send) {
    if n <= 1 || work < SERIAL {
        (0..n).for_each(f);
    } else {
        (0..n).into_par_iter().for_each(f);
    }
}

/// Runs `f` on a thread of the pool. Its parallel work then starts at once, while a thread from
/// outside would have to wake a worker and to be woken at the end, each time.
pub(super) fn inside<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| f())
}

/// Runs `f` for every index below `n`, in parallel, `together` of them one after the other.
///
/// Every thread begins with a range of its own, which keeps neighbours in its cache, and when it is
/// done takes from those of the others, `together` indices at a time. Rayon's iterators share out
/// larger pieces, and jobs are few and long: threads would wait for the last piece.
pub(super) fn jobs(n: usize, together: usize, f: impl Fn(usize) + Sync + Send) {
    let (parts, threads) = (n.div_ceil(together), rayon::current_num_threads());
    let shares = threads.min(parts);
    if shares <= 1 {
        return (0..n).for_each(f);
    }
    let next: Vec<AtomicUsize> =
        (0..shares).map(|share| AtomicUsize::new(share * parts / shares)).collect();
    let work = || {
        let own = rayon::current_thread_index().unwrap_or(0);
        for share in (own..own + shares).map(|share| share % shares) {
            loop {
                let part = next[share].fetch_add(1, Ordering::Relaxed);
                if part >= (share + 1) * parts / shares {
                    break;
                }
                (part * together..n.min((part + 1) * together)).for_each(&f);
            }
        }
    };
    rayon::scope(|scope| {
        (1..shares).for_each(|_| scope.spawn(|_| work()));
        work();
    });
}

/// Runs `f(index, plane)` for every plane of `len` elements of `out`.
pub(super) fn planes(out: &mut [f32], len: usize, f: impl Fn(usize, &mut [f32]) + Sync + Send) {
    if len == 0 {
        return;
    }
    if out.len() < SERIAL {
        out.chunks_mut(len).enumerate().for_each(|(i, p)| f(i, p));
    } else {
        out.par_chunks_mut(len)
            .with_min_len(SERIAL.div_ceil(2 * len))
            .enumerate()
            .for_each(|(i, p)| f(i, p));
    }
}

/// Runs `f` for every part, in parallel when `work` elements a part are worth it.
pub(super) fn each<T: Send>(parts: Vec<T>, work: usize, f: impl Fn(T) + Sync + Send) {
    if parts.len() * work < SERIAL {
        parts.into_iter().for_each(f);
    } else {
        parts.into_par_iter().for_each(f);
    }
}

/// The sum of `term(i)` over `0..n` in double precision, over blocks summed in sixteen lanes of
/// single precision.
pub(super) fn sum(n: usize, term: impl Fn(usize) -> f32) -> f64 {
    const LANES: usize = 16;
    let mut total = 0.0;
    let mut i = 0;
    while i < n {
        let end = n.min(i + 64 * LANES);
        let mut lanes = [0f32; LANES];
        while i + LANES <= end {
            for (l, lane) in lanes.iter_mut().enumerate() {
                *lane += term(i + l);
            }
            i += LANES;
        }
        total += lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        while i < end {
            total += f64::from(term(i));
            i += 1;
        }
    }
    total
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `n` elements with any content, kept by the thread for the next call.
pub(super) fn scratch<R>(n: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with(|s| std::mem::take(&mut *s.borrow_mut()));
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    let result = f(&mut buffer[..n]);
    SCRATCH.with(|s| *s.borrow_mut() = buffer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for (n, together) in [(0, 1), (1, 1), (5, 8), (7, 1), (100, 1), (101, 4)] {
                let done: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                let all = || jobs(n, together, |i| _ = done[i].fetch_add(1, Ordering::Relaxed));
                pool.install(|| inside(all));
                assert!(
                    done.iter().all(|d| d.load(Ordering::Relaxed) == 1),
                    "{n} by {together} on {threads}"
                );
            }
        }
    }
}
