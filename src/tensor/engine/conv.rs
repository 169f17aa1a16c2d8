//! The 3×3 convolution of the engine, and what is fused with it.
//!
//! One kernel serves all forms. A convolution that doubles the size (transposed, then filtered) is a 3×3 convolution to
//! four phases, which are written side by side; one of stride 2 reads four phases. Their gradients are one another.
//! Work is cut by shapes alone, and sums are added in a fixed order: the same bits for any number of threads.

use super::buffer::{Buffer, Map, blocks_of};
use super::kernels::{Grid, PANEL, POINTS, Taps, panel, tile_in, tile_out, weights};
use super::simd::{Isa, LANES, Lanes, Work};
use crate::tensor::raw::{Shared, jobs};

/// Elements of transformed input that are alive at a time.
const ALIVE: usize = 4 << 20;
/// Panels of tiles that share one transformation of the weights at least, where there are so many.
const RANGE: usize = 12;
/// Jobs that a chunk of work is cut into, about.
const JOBS: usize = 16;
/// Panels whose products are kept before they are transformed back.
const GROUP: usize = 4;

/// Which pixels of a map stand beside each other: all, or every second in four phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phases {
    /// One.
    One,
    /// Four: even and odd rows, even and odd columns.
    Four,
}

impl Phases {
    fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Four => 4,
        }
    }

    fn step(self) -> usize {
        match self {
            Self::One => 1,
            Self::Four => 2,
        }
    }

    /// Pixels of the low resolution along an axis of `n`.
    fn low(self, n: usize) -> usize {
        n.div_ceil(self.step())
    }

    /// The pixels of a phase and block of a sample, in a map of so many blocks, rows and columns.
    #[inline(always)]
    fn grid(self, (blocks, h, w): (usize, usize, usize), sample: usize, index: usize) -> Grid {
        let (phase, block) = (index / blocks, index % blocks);
        let (dy, dx, step) = (phase / 2, phase % 2, self.step());
        let start = ((sample * blocks + block) * h * w + dy * w + dx) * LANES;
        let (rows, columns) = (step * w * LANES, step * LANES);
        Grid { start, rows, columns, h: (h - dy.min(h)).div_ceil(step), w: (w - dx.min(w)).div_ceil(step) }
    }
}

/// Weights in the order of the kernel, one way.
pub(super) struct Packed {
    /// `[blocks of outputs, inputs, 9, 16]`, inputs in whole blocks.
    w: Buffer,
    inputs: usize,
    outputs: usize,
    pub(super) read: Phases,
    pub(super) write: Phases,
    /// Along one axis for each half of a phase, of the outputs or of the inputs.
    taps: [Taps; 2],
}

impl Packed {
    /// From `w(output, input, tap)`.
    pub(super) fn new(
        (outputs, inputs): (usize, usize),
        (read, write): (Phases, Phases),
        taps: [Taps; 2],
        w: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let padded = blocks_of(inputs) * LANES;
        let mut buffer = Buffer::zeros(blocks_of(outputs) * padded * 9 * LANES);
        crate::tensor::raw::planes(&mut buffer, (padded * 9 * LANES).max(1), |block, dst| {
            for (at, v) in dst.iter_mut().enumerate() {
                let (lane, tap, input) = (at % LANES, at / LANES % 9, at / LANES / 9);
                let output = block * LANES + lane;
                if output < outputs && input < inputs {
                    *v = w(output, input, tap);
                }
            }
        });
        Self { w: buffer, inputs, outputs, read, write, taps }
    }

    /// Blocks of inputs and of outputs, phases counted.
    fn blocks(&self) -> (usize, usize) {
        (blocks_of(self.inputs) * self.read.count(), blocks_of(self.outputs) * self.write.count())
    }

    /// Transforms the weights of one block of outputs: 36 runs of `stride` elements at `u`.
    ///
    /// # Safety
    /// `u` holds 36 runs of all inputs.
    #[inline(always)]
    unsafe fn transform<L: Lanes>(&self, output: usize, u: *mut f32, stride: usize) {
        let (ins, outs) = (blocks_of(self.inputs), blocks_of(self.outputs));
        let (phase, block) = (output / outs, output % outs);
        let each = ins * LANES;
        let w = self.w[block * each * 9 * LANES..][..each * 9 * LANES].as_ptr();
        for source in 0..self.read.count() {
            let phase = phase.max(source);
            let taps = [self.taps[phase / 2], self.taps[phase % 2]];
            // SAFETY: the caller's promise, and the weights were sliced above.
            unsafe { weights::<L>(w, u.add(source * each * LANES), stride, each, &taps) };
        }
    }
}

/// What becomes of the outputs.
pub(super) enum Finish<'a> {
    /// Scaled, noise and bias added, activated.
    Activate(&'a Epilogue<'a>),
    /// Scaled by the style, and multiplied with the input of the layer: gradients of input and style.
    Gradient(&'a Gradient<'a>),
    /// Nothing.
    Plain,
}

/// After a convolution.
pub(super) struct Epilogue<'a> {
    /// Factors `[N, C]` in whole blocks; none is 1.
    pub(super) scale: Option<&'a [f32]>,
    /// `[C]` in whole blocks.
    pub(super) bias: &'a [f32],
    /// A map `[H, W]` for each sample, so many elements apart; 0 where all share one.
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

/// One convolution.
pub(super) struct Conv<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Packed,
    pub(super) x: &'a Map,
    /// Factors of the input `[N, C]` in whole blocks.
    pub(super) style: Option<&'a [f32]>,
    pub(super) finish: Finish<'a>,
}

/// The tiles of a map, sample after sample.
#[derive(Clone, Copy)]
struct Tiles {
    across: usize,
    each: usize,
    all: usize,
}

impl Tiles {
    fn new(n: usize, h: usize, w: usize) -> Self {
        let (down, across) = (h.div_ceil(4), w.div_ceil(4));
        Self { across, each: down * across, all: n * down * across }
    }

    /// Sample and first output pixel.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (sample, at) = (tile / self.each, tile % self.each);
        (sample, at / self.across * 4, at % self.across * 4)
    }
}

impl Conv<'_> {
    /// Runs it into `out`. With [`Finish::Gradient`] the gradient of the style, `[N, C]` in whole blocks, is returned.
    ///
    /// Panics when sizes do not fit: a mistake of the caller, found before anything is written.
    pub(super) fn run(&self, out: &mut Map) -> Vec<f32> {
        let (ins, outs) = self.weights.blocks();
        let tiles = self.check(out);
        let run = ins * PANEL * LANES + LANES;
        let panels = tiles.all.div_ceil(PANEL);
        let chunks = panels.div_ceil((ALIVE / (POINTS * run)).max(GROUP)).max(1);
        let chunk = panels.div_ceil(chunks);
        let pairs = outs.div_ceil(2);
        // Few ranges where there are many outputs to share out, as each transforms the weights anew.
        let range = (chunk * pairs / JOBS).clamp(RANGE, chunk.max(RANGE));
        let ranges = chunks * chunk.div_ceil(range);
        let mut parts = match self.finish {
            Finish::Gradient(_) => Buffer::zeros(ranges * out.n * outs * LANES),
            _ => Buffer::new(0),
        };
        let mut v = Buffer::new(chunk * POINTS * run);
        let (n, mut done) = (out.n, 0);
        for first in (0..panels).step_by(chunk.max(1)) {
            let count = chunk.min(panels - first);
            self.read(&mut v, (tiles, run), (first, count));
            let (here, shared) = (count.div_ceil(range), Shared::new(&mut parts));
            let sizes = (out.blocks(), out.h, out.w);
            let whole = Shared::new(&mut out.data);
            jobs(here * pairs, 1, |job| {
                let (part, pair) = (job / pairs, job % pairs);
                let from = part * range;
                let job = Products {
                    conv: self,
                    v: &v,
                    run,
                    tiles,
                    first,
                    panels: from..count.min(from + range),
                    outputs: pair * 2..outs.min(pair * 2 + 2),
                    out: &whole,
                    sizes,
                    sums: (&shared, (done + part) * n * outs * LANES),
                };
                // SAFETY: every job writes its own tiles of its own blocks, and its own part of the sums.
                unsafe { self.isa.run(job) };
            });
            done += here;
        }
        total(&parts, n * outs * LANES)
    }

    /// The tiles, if all sizes fit.
    fn check(&self, out: &Map) -> Tiles {
        let (x, w) = (self.x, self.weights);
        let low = (w.read.low(x.h), w.read.low(x.w));
        assert_eq!((x.n, x.channels), (out.n, w.inputs), "samples and input channels");
        assert_eq!((out.channels, w.write.low(out.h), w.write.low(out.w)), (w.outputs, low.0, low.1), "output");
        assert!(x.data.len() == x.n * x.blocks() * x.plane() && out.data.len() == out.n * out.blocks() * out.plane());
        let fits = |v: Option<&[f32]>, n: usize| v.is_none_or(|v| v.len() == n);
        assert!(fits(self.style, x.n * x.blocks() * LANES), "styles");
        let (lanes, area) = (out.blocks() * LANES, out.h * out.w);
        match &self.finish {
            Finish::Activate(e) => {
                assert!(fits(e.scale, out.n * lanes) && e.bias.len() == lanes, "scale and bias");
                assert!(e.noise.is_none_or(|(map, apart)| map.len() >= (out.n - 1) * apart + area), "noise");
            }
            Finish::Gradient(g) => {
                let same = (g.x.n, g.x.channels, g.x.h, g.x.w) == (out.n, out.channels, out.h, out.w);
                assert!(same && w.write == Phases::One && g.style.len() == out.n * lanes, "input and styles");
            }
            Finish::Plain => {}
        }
        Tiles::new(x.n, low.0, low.1)
    }

    /// Transforms the inputs of `count` panels from `first`.
    fn read(&self, v: &mut Buffer, (tiles, run): (Tiles, usize), (first, count): (usize, usize)) {
        let (ins, _) = self.weights.blocks();
        let shared = Shared::new(v);
        jobs(count * ins, 8, |job| {
            let (at, block) = (job / ins, job % ins);
            let job = Read { conv: self, tiles, run, first: (first + at) * PANEL, block, v: (&shared, at) };
            // SAFETY: every job writes its own panel of its own block.
            unsafe { self.isa.run(job) };
        });
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

/// Transforms one panel of one block of the input.
struct Read<'a> {
    conv: &'a Conv<'a>,
    tiles: Tiles,
    run: usize,
    /// The first tile.
    first: usize,
    block: usize,
    /// Where to, and the panel's place there.
    v: (&'a Shared<'a>, usize),
}

impl Work for Read<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { conv, tiles, run, first, block, v } = self;
        let blocks = conv.x.blocks();
        // SAFETY: a panel is the job's own; the slice checks its bounds.
        let to = unsafe { v.0.slice(v.1 * POINTS * run, POINTS * run) }.as_mut_ptr();
        let from = conv.x.data.as_ptr();
        for t in 0..PANEL.min(tiles.all - first) {
            let (sample, y, x) = tiles.place(first + t);
            let grid = conv.weights.read.grid((blocks, conv.x.h, conv.x.w), sample, block);
            // SAFETY: the grid lies in the map, the style has its blocks, and the places of this block in the panel.
            unsafe {
                let scale = match conv.style {
                    Some(s) => Some(L::load(s[(sample * blocks + block % blocks) * LANES..][..LANES].as_ptr())),
                    None => None,
                };
                let to = to.add((block * PANEL + t) * LANES);
                tile_in::<L>((from, &grid), (y as isize - 1, x as isize - 1), scale, (to, run));
            }
        }
    }
}

/// The products of a range of panels with one or two blocks of outputs, transformed back and finished.
struct Products<'a> {
    conv: &'a Conv<'a>,
    v: &'a [f32],
    run: usize,
    tiles: Tiles,
    /// The first panel of `v`.
    first: usize,
    panels: std::ops::Range<usize>,
    outputs: std::ops::Range<usize>,
    out: &'a Shared<'a>,
    /// Blocks, height and width of the output.
    sizes: (usize, usize, usize),
    /// Where the sums of this range begin.
    sums: (&'a Shared<'a>, usize),
}

/// Elements of the products of a panel.
const PRODUCTS: usize = POINTS * PANEL * 2 * LANES;

impl Work for Products<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let inputs = self.conv.weights.blocks().0 * LANES;
        let (two, stride) = (self.outputs.len() == 2, inputs * LANES);
        let mut u = Buffer::new(2 * POINTS * stride);
        let mut m = Buffer::new(GROUP * PRODUCTS);
        let u = u.as_mut_ptr();
        for (i, output) in self.outputs.clone().enumerate() {
            // SAFETY: two times 36 runs of all inputs.
            unsafe { self.conv.weights.transform::<L>(output, u.add(i * POINTS * stride), stride) };
        }
        let mut from = self.panels.start;
        while from < self.panels.end {
            let group = GROUP.min(self.panels.end - from);
            for point in 0..POINTS {
                for at in 0..group {
                    let tiles = PANEL.min(self.tiles.all - (self.first + from + at) * PANEL);
                    let b = self.v[((from + at) * POINTS + point) * self.run..][..self.run].as_ptr();
                    let c = m[at * PRODUCTS + point * PANEL * 2 * LANES..][..PANEL * 2 * LANES].as_mut_ptr();
                    let (blocks, run) = (inputs / LANES, POINTS * stride);
                    // SAFETY: u holds the weights of both blocks, b a run of the panel, c its products.
                    unsafe {
                        let a = u.add(point * stride).cast_const();
                        match (two, L::TILE.0) {
                            (true, 2) => panel::<L, 2>((blocks, tiles), (a, run), b, c),
                            (true, _) => {
                                panel::<L, 1>((blocks, tiles), (a, run), b, c);
                                panel::<L, 1>((blocks, tiles), (a.add(run), run), b, c.add(LANES));
                            }
                            (false, _) => panel::<L, 1>((blocks, tiles), (a, run), b, c),
                        }
                    }
                }
            }
            for (i, output) in self.outputs.clone().enumerate() {
                // SAFETY: as promised to `run`.
                unsafe { self.finish::<L>(output, &m[i * LANES..], from, group) };
            }
            from += group;
        }
    }
}

impl Products<'_> {
    /// Transforms back the products of a group of panels and writes one block of outputs.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, output: usize, m: &[f32], from: usize, group: usize) {
        let block = output % self.sizes.0;
        for at in 0..group {
            let first = (self.first + from + at) * PANEL;
            for t in 0..PANEL.min(self.tiles.all - first) {
                let (sample, y, x) = self.tiles.place(first + t);
                let grid = self.conv.weights.write.grid(self.sizes, sample, output);
                let (y, x) = (y as isize, x as isize);
                let tile = Tile { sample, block, y, x, grid, whole: grid.holds(y, x, 4) };
                // SAFETY: the products of a tile lie 36 strides apart; the job owns its pixels.
                unsafe {
                    let products = m[at * PRODUCTS + t * 2 * LANES..].as_ptr();
                    let values = tile_out::<L>(products, PANEL * 2 * LANES);
                    match &self.conv.finish {
                        Finish::Activate(e) => self.activate(&tile, values, e),
                        Finish::Gradient(g) => self.gradient(&tile, values, g),
                        Finish::Plain => self.plain(&tile, values),
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn plain<L: Lanes>(&self, tile: &Tile, values: [[L; 4]; 4]) {
        // SAFETY: the pixels are the job's own.
        unsafe {
            for (r, row) in values.into_iter().enumerate() {
                for (c, v) in row.into_iter().enumerate() {
                    if let Some(at) = tile.at(r, c) {
                        v.store(self.out.at(at));
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn activate<L: Lanes>(&self, tile: &Tile, values: [[L; 4]; 4], e: &Epilogue<'_>) {
        let (blocks, h, w) = self.sizes;
        // SAFETY: the sizes of scale, bias and noise were checked; the pixels are the job's own.
        unsafe {
            let scale = match e.scale {
                Some(s) => L::load(s.as_ptr().add((tile.sample * blocks + tile.block) * LANES)),
                None => L::splat(1.0),
            };
            let bias = L::load(e.bias.as_ptr().add(tile.block * LANES));
            let [slope, gain, clamp] = e.act;
            let (gain, below) = (L::splat(gain), L::splat(slope * gain));
            let (clamp, low) = (L::splat(clamp), L::splat(-clamp));
            let map = e.noise.map_or(std::ptr::null(), |(map, apart)| map.as_ptr().add(tile.sample * apart));
            let first = (tile.sample * blocks + tile.block) * h * w;
            for (r, row) in values.into_iter().enumerate() {
                for (c, v) in row.into_iter().enumerate() {
                    let Some(at) = tile.at(r, c) else { continue };
                    let shift = if map.is_null() { bias } else { bias.add(L::splat(*map.add(at / LANES - first))) };
                    let v = v.mul_add(scale, shift);
                    let v = v.mul(v.positive(gain, below));
                    low.max(clamp.min(v)).store(self.out.at(at));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gradient<L: Lanes>(&self, tile: &Tile, values: [[L; 4]; 4], g: &Gradient<'_>) {
        let blocks = self.sizes.0;
        let lane = (tile.sample * blocks + tile.block) * LANES;
        // SAFETY: the sizes of input and styles were checked; pixels and sums are the job's own.
        unsafe {
            let style = L::load(g.style.as_ptr().add(lane));
            let sums = self.sums.0.slice(self.sums.1 + lane, LANES).as_mut_ptr();
            let mut sum = L::load(sums);
            let x = g.x.data.as_ptr();
            for (r, row) in values.into_iter().enumerate() {
                for (c, v) in row.into_iter().enumerate() {
                    let Some(at) = tile.at(r, c) else { continue };
                    sum = v.mul_add(L::load(x.add(at)), sum);
                    v.mul(style).store(self.out.at(at));
                }
            }
            sum.store(sums);
        }
    }
}

/// Where a tile of outputs goes.
struct Tile {
    sample: usize,
    block: usize,
    /// Its first pixel, in the low resolution.
    y: isize,
    x: isize,
    grid: Grid,
    /// Whether all its pixels are there.
    whole: bool,
}

impl Tile {
    /// The place of a pixel, if it is there.
    #[inline(always)]
    fn at(&self, r: usize, c: usize) -> Option<usize> {
        let (y, x) = (self.y + r as isize, self.x + c as isize);
        (self.whole || self.grid.holds(y, x, 1)).then(|| self.grid.at(y, x) as usize)
    }
}
