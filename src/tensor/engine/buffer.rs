//! Memory of the engine: aligned, and kept for the next operator when it is given back.
//!
//! A step of an inversion needs the same buffers as the step before. Fresh memory costs a page
//! fault and a zeroed page every 4 KiB, about as much as writing it twice; so buffers go back to a
//! pool that all threads share.

use super::lanes::LANES;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Mutex;

/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of a huge page. Kernels walk through many places of a buffer at once, more than there are
/// entries for small pages in the processor's tables.
const HUGE: usize = 2 << 20;

/// Memory of whole cache lines.
struct Block {
    start: NonNull<f32>,
    lines: usize,
}

// SAFETY: a block owns its memory.
unsafe impl Send for Block {}
// SAFETY: shared, it is only read.
unsafe impl Sync for Block {}

impl Block {
    fn layout(lines: usize) -> Layout {
        let bytes = lines * LINE;
        let align = if bytes >= HUGE { HUGE } else { LINE };
        // The size is bounded by `Buffer::new`, so that it cannot overflow.
        Layout::from_size_align(bytes, align).unwrap_or(Layout::new::<[f32; LANES]>())
    }

    /// Zeros, in `lines` lines, at least one.
    fn new(lines: usize) -> Self {
        let layout = Self::layout(lines);
        // SAFETY: the layout is not empty; the memory is initialised before anything reads it.
        unsafe {
            let Some(start) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            #[cfg(target_os = "linux")]
            if layout.align() == HUGE {
                // Only advice: without huge pages everything works as well, a little slower.
                let _ = rustix::mm::madvise(
                    start.as_ptr().cast(),
                    layout.size(),
                    rustix::mm::Advice::LinuxHugepage,
                );
            }
            start.write_bytes(0, layout.size());
            Self { start: start.cast(), lines }
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.lines)) }
    }
}

/// Blocks that wait for their next use, by capacity.
struct Pool {
    free: BTreeMap<usize, Vec<Block>>,
    lines: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeMap::new(), lines: 0 });

/// Gives the buffers of the pool back to the system.
pub(crate) fn release() {
    if let Ok(mut pool) = POOL.lock() {
        *pool = Pool { free: BTreeMap::new(), lines: 0 };
    }
}

/// Maximum size of the pool, in lines: 2 GiB, a step at 1024 pixels.
const KEPT: usize = (2 << 30) / LINE;

/// A buffer of numbers, aligned to a cache line. Its initial content is unspecified.
pub(crate) struct Buffer {
    block: Option<Block>,
    len: usize,
}

/// The capacity that serves `lines`: the next of eight steps to each power of two, so that similar
/// sizes share buffers.
fn class(lines: usize) -> usize {
    let step = (lines.max(8).next_power_of_two() / 16).max(1);
    lines.max(8).next_multiple_of(step)
}

impl Buffer {
    /// A buffer of `len` numbers.
    ///
    /// Panics beyond 2⁵⁸ numbers.
    pub(crate) fn new(len: usize) -> Self {
        assert!(len < 1 << 58, "a buffer of {len} numbers");
        if len == 0 {
            return Self { block: None, len };
        }
        let class = class(len.div_ceil(LANES));
        let found = POOL.lock().ok().and_then(|mut pool| {
            let found = pool.free.get_mut(&class)?.pop()?;
            pool.lines -= class;
            Some(found)
        });
        Self { block: Some(found.unwrap_or_else(|| Block::new(class))), len }
    }

    /// A buffer of zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut b = Self::new(len);
        b.fill(0.0);
        b
    }

    fn start(&self) -> NonNull<f32> {
        self.block.as_ref().map_or(NonNull::dangling(), |b| b.start)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let (Some(block), Ok(mut pool)) = (self.block.take(), POOL.lock()) else { return };
        if pool.lines + block.lines <= KEPT {
            pool.lines += block.lines;
            pool.free.entry(block.lines).or_default().push(block);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the block is initialised and has room for `len` numbers; without one there are
        // none.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.start().as_ptr(), self.len) }
    }
}

/// Features in blocks of sixteen channels: `[N, ⌈C/16⌉, H, W, 16]`. Channels beyond C are finite
/// and ignored.
pub(crate) struct Map {
    pub(crate) data: Buffer,
    pub(crate) n: usize,
    /// Channels that count.
    pub(crate) channels: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
}

/// Blocks of sixteen that hold `channels`.
pub(crate) fn blocks_of(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

impl Map {
    /// A map whose numbers are unspecified.
    pub(crate) fn new(n: usize, channels: usize, h: usize, w: usize) -> Self {
        Self { data: Buffer::new(n * blocks_of(channels) * LANES * h * w), n, channels, h, w }
    }

    /// Blocks of channels.
    pub(crate) fn blocks(&self) -> usize {
        blocks_of(self.channels)
    }

    /// Elements of one block of one sample.
    pub(crate) fn plane(&self) -> usize {
        self.h * self.w * LANES
    }

    /// Converts `[N, C, H, W]` to blocks.
    pub(crate) fn from_planar(x: &[f32], shape: (usize, usize, usize, usize)) -> Self {
        Self::padded(x, shape, 0)
    }

    /// Converts `[N, C, H, W]` to blocks, with `margin` zeros on every side.
    pub(crate) fn padded(
        x: &[f32],
        (n, c, h, w): (usize, usize, usize, usize),
        margin: usize,
    ) -> Self {
        assert_eq!(x.len(), n * c * h * w, "map and its data");
        let mut map = Self::new(n, c, h + 2 * margin, w + 2 * margin);
        let (blocks, area, plane) = (map.blocks(), h * w, map.plane().max(1));
        let line = map.w * LANES;
        crate::raw::planes(&mut map.data, plane, |i, dst| {
            let (sample, block) = (i / blocks, i % blocks);
            let used = LANES.min(c - block * LANES);
            let src = &x[(sample * c + block * LANES) * area..][..used * area];
            for (y, line) in dst.chunks_exact_mut(line).enumerate() {
                line.fill(0.0);
                let Some(y) = y.checked_sub(margin).filter(|y| *y < h) else { continue };
                let inside = &mut line[margin * LANES..][..w * LANES];
                for (x, pixel) in inside.chunks_exact_mut(LANES).enumerate() {
                    for (to, v) in pixel.iter_mut().zip(src[y * w + x..].iter().step_by(area)) {
                        *to = *v;
                    }
                }
            }
        });
        map
    }

    /// Converts to `[N, C, H, W]`.
    pub(crate) fn to_planar(&self) -> Vec<f32> {
        self.cropped(0)
    }

    /// Converts to `[N, C, H − 2·margin, W − 2·margin]`, without the margins.
    pub(crate) fn cropped(&self, margin: usize) -> Vec<f32> {
        let (h, w, blocks) = (self.h - 2 * margin, self.w - 2 * margin, self.blocks());
        let mut out = vec![0f32; self.n * self.channels * h * w];
        crate::raw::planes(&mut out, h * w, |i, dst| {
            let (sample, c) = (i / self.channels, i % self.channels);
            let src = &self.data[(sample * blocks + c / LANES) * self.plane() + c % LANES..];
            for (y, dst) in dst.chunks_exact_mut(w).enumerate() {
                let src = &src[((y + margin) * self.w + margin) * LANES..];
                dst.iter_mut().zip(src.iter().step_by(LANES)).for_each(|(d, s)| *d = *s);
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_come_back() {
        // A size that only this test requests: tests share the pool.
        let n = 7_777_777;
        let mut a = Buffer::new(n);
        a.fill(3.0);
        assert_eq!((a.len(), a.as_ptr().align_offset(64)), (n, 0));
        let start = a.as_ptr();
        drop(a);
        let mut zeros = Buffer::zeros(n);
        assert_eq!(zeros.as_ptr(), start);
        assert!(zeros.iter().all(|v| *v == 0.0));
        zeros[n - 1] = 1.0;
        for n in 1..5000 {
            assert!(class(n) >= n && class(n) <= (n.max(8) * 9).div_ceil(8), "{n}: {}", class(n));
            assert_eq!(class(class(n)), class(n));
        }
    }

    #[test]
    fn planar_and_back() {
        for c in [1, 3, 16, 17, 40] {
            let x: Vec<f32> = (0..2 * c * 5 * 3).map(|v| v as f32).collect();
            let map = Map::from_planar(&x, (2, c, 5, 3));
            assert_eq!(map.to_planar(), x);
            let total: f32 = map.data.iter().sum();
            assert_eq!(total, x.iter().sum::<f32>(), "channels beyond {c} are zero");
            let map = Map::padded(&x, (2, c, 5, 3), 2);
            assert_eq!((map.h, map.w), (9, 7));
            assert_eq!(map.cropped(2), x);
            let total: f32 = map.data.iter().sum();
            assert_eq!(total, x.iter().sum::<f32>(), "the margin is zero");
        }
    }
}
