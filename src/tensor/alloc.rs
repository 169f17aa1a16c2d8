//! An allocator that keeps large blocks for the next allocation of the same size.
//!
//! A step of an inversion allocates the same tensors as the step before. The system's allocator
//! returns large blocks to the kernel at once, so each tensor costs a page fault and a zeroed page
//! every 4 KiB: a third of a step of MobileStyleGAN at 1024 pixels. Blocks come from `mmap`, with
//! huge pages where they fit.
#![allow(unsafe_code)]

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::{NonNull, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes from which blocks are kept.
const LARGE: usize = 1 << 20;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a huge page.
const HUGE: usize = 2 << 20;
/// Most blocks that are kept.
const SLOTS: usize = 512;

/// The allocator of a program that computes with tensors; the other parts of the program may use it
/// too. Blocks that are in use and blocks that are kept take at most as much memory as all blocks
/// in use have taken at any one time.
#[derive(Debug)]
pub struct Reusing;

/// A block that waits for its next use.
#[derive(Clone, Copy)]
struct Free {
    start: NonNull<u8>,
    bytes: usize,
}

/// The blocks that are kept, oldest first, and the sizes of all.
struct Pool {
    free: [Option<Free>; SLOTS],
    /// Number of blocks that are kept.
    count: usize,
    kept: usize,
    used: usize,
    /// Most bytes in use so far.
    most: usize,
}

// SAFETY: the pool owns its blocks.
unsafe impl Send for Pool {}

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// The pool. It is valid at every moment, so a panic elsewhere does not spoil it.
fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the memory that is kept for the next step back to the system.
pub fn release() {
    crate::engine::release();
    pool().shrink(0);
}

impl Pool {
    const fn new() -> Self {
        Self { free: [None; SLOTS], count: 0, kept: 0, used: 0, most: 0 }
    }

    /// Takes a kept block of that size, the latest first: it may be in the caches.
    fn take(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        self.used += bytes;
        self.most = self.most.max(self.used);
        let slots = &self.free[..self.count];
        let at = slots.iter().rposition(|f| f.is_some_and(|f| f.bytes == bytes));
        match at {
            Some(at) => self.remove(at).map(|f| f.start),
            None => {
                // The new block takes the place of kept ones.
                self.shrink(self.most - self.used);
                None
            }
        }
    }

    /// Keeps a block that was in use.
    fn keep(&mut self, start: NonNull<u8>, bytes: usize) {
        self.used -= bytes;
        if self.count == SLOTS {
            self.drop_oldest();
        }
        self.free[self.count] = Some(Free { start, bytes });
        self.count += 1;
        self.kept += bytes;
    }

    /// Gives the oldest blocks back until at most `bytes` are kept.
    fn shrink(&mut self, bytes: usize) {
        while self.kept > bytes {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(f) = self.remove(0) {
            // SAFETY: the block is kept, so no one else has it.
            unsafe { unmap(f.start.as_ptr(), f.bytes) };
        }
    }

    fn remove(&mut self, at: usize) -> Option<Free> {
        let found = self.free[at].take()?;
        self.free.copy_within(at + 1..self.count, at);
        self.count -= 1;
        self.free[self.count] = None;
        self.kept -= found.bytes;
        Some(found)
    }
}

/// Bytes that are mapped for a block.
fn mapped(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

/// A zeroed block that counts as used; null when there is no memory.
fn fresh(bytes: usize) -> *mut u8 {
    let start = map(bytes);
    if start.is_null() {
        pool().used -= bytes;
    }
    start
}

/// Fresh zeroed memory; null when there is none.
fn map(bytes: usize) -> *mut u8 {
    let (whole, spare) = (mapped(bytes), if bytes >= HUGE { HUGE } else { 0 });
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place of the system's choice.
    let found = unsafe { mmap_anonymous(null_mut(), whole + spare, protection, MapFlags::PRIVATE) };
    let Ok(found) = found else { return null_mut() };
    let found = found.cast::<u8>();
    if spare == 0 {
        return found;
    }
    let before = found.align_offset(HUGE);
    let start = found.wrapping_add(before);
    // SAFETY: the ends of the mapping above, which are not used.
    unsafe {
        unmap(found, before);
        unmap(start.wrapping_add(whole), spare - before);
    }
    #[cfg(target_os = "linux")]
    // SAFETY: advice about whole huge pages of the mapping. Without them everything works as well,
    // a little slower.
    unsafe {
        let advice = rustix::mm::Advice::LinuxHugepage;
        let _ = rustix::mm::madvise(start.cast(), bytes / HUGE * HUGE, advice);
    }
    start
}

/// Gives memory back.
///
/// # Safety
/// It comes from [`map`] and is not used any more.
unsafe fn unmap(start: *mut u8, bytes: usize) {
    if bytes > 0 {
        // SAFETY: the caller's promise. A failure leaves the memory mapped.
        let _ = unsafe { munmap(start.cast(), mapped(bytes)) };
    }
}

/// Whether blocks of this layout are kept.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

// SAFETY: blocks have at least the size and the alignment of their layout. A block is either in
// use or kept, never both.
unsafe impl GlobalAlloc for Reusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        let found = pool().take(layout.size());
        found.map_or_else(|| fresh(layout.size()), NonNull::as_ptr)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let found = pool().take(layout.size());
        match found {
            Some(block) => {
                // SAFETY: the block has that size and is no one else's.
                unsafe { block.write_bytes(0, layout.size()) };
                block.as_ptr()
            }
            None => fresh(layout.size()),
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match NonNull::new(start).filter(|_| is_large(layout)) {
            Some(block) => pool().keep(block, layout.size()),
            // SAFETY: the caller's promise.
            None => unsafe { System.dealloc(start, layout) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 16).unwrap()
    }

    /// One test, because the pool belongs to the process.
    #[test]
    fn blocks_are_used_again_and_never_take_more_than_was_in_use() {
        let all = [LARGE - 1, LARGE, LARGE + 13, 2 * HUGE - 1, 2 * HUGE, 9 * LARGE + 5];
        let fill = |start: *mut u8, bytes: usize, value: u8| {
            // SAFETY: a block of that size.
            unsafe { std::slice::from_raw_parts_mut(start, bytes).fill(value) };
        };
        // SAFETY: every block is freed once, with its layout, and not used afterwards.
        unsafe {
            let blocks = all.map(|n| Reusing.alloc(layout(n)));
            for ((&start, &n), value) in blocks.iter().zip(&all).zip(1..) {
                assert!(!start.is_null() && start.align_offset(16) == 0);
                assert!(n < HUGE || start.align_offset(HUGE) == 0, "{n}");
                fill(start, n, value);
            }
            for ((&start, &n), value) in blocks.iter().zip(&all).zip(1u8..) {
                let block = std::slice::from_raw_parts(start, n);
                assert!(block.iter().all(|v| *v == value), "blocks overlap: {n}");
                Reusing.dealloc(start, layout(n));
            }
            // The same size comes back, zeroed where that is asked for; another one does not.
            let again = Reusing.alloc_zeroed(layout(all[4]));
            assert_eq!(again, blocks[4]);
            assert!(std::slice::from_raw_parts(again, all[4]).iter().all(|v| *v == 0));
            let most = pool().most;
            let larger = Reusing.alloc(layout(most - all[4]));
            assert!(!larger.is_null());
            let Pool { kept, used, count, .. } = *pool();
            assert_eq!((kept, used, count), (0, most, 0), "room was made for it");
            // A block that grows keeps its numbers.
            fill(again, all[4], 7);
            let grown = Reusing.realloc(again, layout(all[4]), 3 * all[4]);
            assert!(std::slice::from_raw_parts(grown, all[4]).iter().all(|v| *v == 7));
            Reusing.dealloc(grown, layout(3 * all[4]));
            Reusing.dealloc(larger, layout(most - all[4]));
            assert!(pool().kept > 0);
            release();
            assert_eq!((pool().kept, pool().used), (0, 0));
            // More blocks than there is room for.
            let small = layout(LARGE);
            let many: Vec<_> = (0..SLOTS + 9).map(|_| Reusing.alloc(small)).collect();
            many.into_iter().for_each(|start| Reusing.dealloc(start, small));
            assert_eq!(pool().count, SLOTS);
            release();
        }
    }
}
