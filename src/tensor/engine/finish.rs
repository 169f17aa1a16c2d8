//! Final operations on the outputs of a convolution while they are in registers.

use super::buffer::Map;
use super::lanes::{LANES, Lanes};

/// Final operation on the outputs.
pub(super) enum Finish<'a> {
    /// Scaled, noise and bias added, activated.
    Activate(&'a Epilogue<'a>),
    /// Scaled by the style, and multiplied with the input of the layer: gradients of input and
    /// style.
    Gradient(&'a Gradient<'a>),
    /// Nothing.
    Plain,
}

/// After a convolution.
pub(super) struct Epilogue<'a> {
    /// Factors `[N, C]` in whole blocks; `None` means 1.
    pub(super) scale: Option<&'a [f32]>,
    /// `[C]` in whole blocks.
    pub(super) bias: &'a [f32],
    /// A map `[H, W]` for each sample, with its stride in elements; 0 when all share one.
    pub(super) noise: Option<(&'a [f32], usize)>,
    /// Slope below zero, gain, clamp.
    pub(super) act: [f32; 3],
}

/// After the gradient of a convolution.
pub(super) struct Gradient<'a> {
    /// The styles `[N, C]` in whole blocks.
    pub(super) style: &'a [f32],
    /// The input of the convolution.
    pub(super) x: &'a Map,
}

/// A [`Finish`] for one block of one sample, in registers.
#[derive(Clone, Copy)]
pub(super) enum Pen<L> {
    Activate(Ready<L>),
    /// The style, and the first pixel of the input.
    Gradient(L, *const f32),
    Plain,
}

impl Finish<'_> {
    /// Panics when the sizes are not those of `out`.
    pub(super) fn check(&self, out: &Map) {
        match self {
            Self::Activate(e) => e.check(out),
            Self::Gradient(g) => {
                let same =
                    (g.x.n, g.x.channels, g.x.h, g.x.w) == (out.n, out.channels, out.h, out.w);
                assert!(same && g.style.len() == out.n * out.blocks() * LANES, "input and styles");
            }
            Self::Plain => {}
        }
    }

    /// Whether sums for the gradient of the styles are wanted.
    pub(super) fn sums(&self) -> bool {
        matches!(self, Self::Gradient(_))
    }

    /// The finish of one block of a sample, from the number of blocks of its map and its first
    /// element `start`.
    ///
    /// # Safety
    /// The sizes were checked.
    #[inline(always)]
    pub(super) unsafe fn pen<L: Lanes>(
        &self,
        blocks: usize,
        (sample, block): (usize, usize),
        start: usize,
    ) -> Pen<L> {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Activate(e) => Pen::Activate(e.ready(blocks, sample, block)),
                Self::Gradient(g) => {
                    let style = L::load(g.style.as_ptr().add((sample * blocks + block) * LANES));
                    Pen::Gradient(style, g.x.data.as_ptr().add(start))
                }
                Self::Plain => Pen::Plain,
            }
        }
    }
}

impl<L: Lanes> Pen<L> {
    /// Writes pixel number `pixel` of the block that begins at `to`; returns `sum` and what it adds
    /// to the sums.
    ///
    /// # Safety
    /// There is such a pixel.
    #[inline(always)]
    pub(super) unsafe fn put(&self, v: L, pixel: usize, to: *mut f32, sum: L) -> L {
        // SAFETY: the caller's promise.
        unsafe {
            let to = to.add(pixel * LANES);
            match self {
                Self::Activate(ready) => ready.apply(v, pixel).store(to),
                Self::Gradient(style, x) => {
                    v.mul(*style).store(to);
                    return v.mul_add(L::load(x.add(pixel * LANES)), sum);
                }
                Self::Plain => v.store(to),
            }
        }
        sum
    }
}

impl Epilogue<'_> {
    /// Panics when the sizes are not those of `out`.
    pub(super) fn check(&self, out: &Map) {
        let (lanes, area) = (out.blocks() * LANES, out.h * out.w);
        assert!(
            self.scale.is_none_or(|s| s.len() == out.n * lanes) && self.bias.len() == lanes,
            "scale and bias"
        );
        assert!(
            self.noise.is_none_or(|(map, apart)| map.len() >= (out.n - 1) * apart + area),
            "noise"
        );
    }
}

/// An epilogue for one block of one sample, in registers.
#[derive(Clone, Copy)]
pub(super) struct Ready<L> {
    scale: L,
    bias: L,
    /// Above and below zero.
    gain: (L, L),
    clamp: (L, L),
    noise: *const f32,
}

impl Epilogue<'_> {
    /// # Safety
    /// The sizes were checked.
    #[inline(always)]
    pub(super) unsafe fn ready<L: Lanes>(
        &self,
        blocks: usize,
        sample: usize,
        block: usize,
    ) -> Ready<L> {
        // SAFETY: the caller's promise.
        unsafe {
            let scale = match self.scale {
                Some(s) => L::load(s.as_ptr().add((sample * blocks + block) * LANES)),
                None => L::splat(1.0),
            };
            let noise = match self.noise {
                Some((map, apart)) => map.as_ptr().add(sample * apart),
                None => std::ptr::null(),
            };
            let [slope, gain, clamp] = self.act;
            Ready {
                scale,
                bias: L::load(self.bias.as_ptr().add(block * LANES)),
                gain: (L::splat(gain), L::splat(gain * slope)),
                clamp: (L::splat(clamp), L::splat(-clamp)),
                noise,
            }
        }
    }
}

impl<L: Lanes> Ready<L> {
    /// # Safety
    /// There is such a pixel.
    #[inline(always)]
    pub(super) unsafe fn apply(&self, v: L, pixel: usize) -> L {
        // SAFETY: the caller's promise.
        unsafe {
            let shift = if self.noise.is_null() {
                self.bias
            } else {
                self.bias.add(L::splat(*self.noise.add(pixel)))
            };
            let v = v.mul_add(self.scale, shift);
            let v = v.mul(v.positive(self.gain.0, self.gain.1));
            // In this order a value that is not a number stays one.
            self.clamp.1.max(self.clamp.0.min(v))
        }
    }
}

/// The sum of `parts`, each of `len`, in their order.
pub(super) fn total(parts: &[f32], len: usize) -> Vec<f32> {
    if parts.is_empty() {
        return Vec::new();
    }
    let mut sums = vec![0f64; len];
    for part in parts.chunks_exact(len) {
        for (s, v) in sums.iter_mut().zip(part) {
            *s += f64::from(*v);
        }
    }
    sums.into_iter().map(|v| v as f32).collect()
}
