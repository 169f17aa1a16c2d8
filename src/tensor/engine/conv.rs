//! The 3×3 convolutions of the engine, and what is fused with them.
//!
//! One driver serves all forms; see [`Form`]. Work is cut by shapes alone, and sums are added in a fixed order: the same
//! bits for any number of threads.

use super::buffer::{Buffer, Map, blocks_of};
use super::kernels::{Down, Grid, PANEL, Same, Scheme, Up, WEIGHTS, panel, tile_in, tile_out, weights};
use super::simd::{Isa, LANES, Lanes, Work};
use crate::tensor::raw::{Shared, jobs};
use std::marker::PhantomData;

/// Elements of transformed input that are alive at a time.
const ALIVE: usize = 2 << 20;
/// Panels of tiles that share one transformation of the weights at least, where there are so many.
const RANGE: usize = 12;
/// Jobs that a chunk of work is cut into, about.
const JOBS: usize = 16;
/// Elements of transformed weights that leave room for inputs in the nearer cache.
const CLOSE: usize = 160 << 10;
/// Elements of products that a job keeps before it transforms them back.
const GROUP: usize = 1 << 16;

/// What a convolution does to the size of a map, `h → h'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Padded by one: h.
    Same,
    /// Its gradient to the input.
    SameBack,
    /// Transposed, stride 2: 2h + 1.
    Up,
    /// Its gradient to the input: h where the map has 2h + 1.
    UpBack,
    /// Stride 2, padded by one: ⌈h/2⌉.
    Half,
    /// Its gradient to the input.
    HalfBack,
}

impl Form {
    /// Whether the weights are read turned round.
    fn flips(self) -> bool {
        matches!(self, Self::SameBack | Self::Up | Self::HalfBack)
    }

    /// Where the first tile begins, in the input and in the output.
    fn origin(self) -> (isize, isize) {
        match self {
            Self::Same | Self::SameBack | Self::Up => (-1, 0),
            Self::UpBack => (0, 0),
            Self::Half => (-1, 0),
            Self::HalfBack => (-1, -1),
        }
    }

    /// Whether a map of `input` pixels along an axis gives one of `output`.
    fn fits(self, input: usize, output: usize) -> bool {
        match self {
            Self::Same | Self::SameBack => input == output,
            Self::Up => output == 2 * input + 1,
            Self::UpBack => input == 2 * output + 1,
            Self::Half => output == input.div_ceil(2),
            Self::HalfBack => input == output.div_ceil(2),
        }
    }

    /// Tiles that cover `output` pixels along an axis.
    fn tiles(self, output: usize) -> usize {
        match self {
            Self::Up => output.div_ceil(8),
            Self::HalfBack => (output + 1).div_ceil(8),
            _ => output.div_ceil(4),
        }
    }
}

/// The pixels of one block of one sample.
#[inline(always)]
fn grid((blocks, h, w): (usize, usize, usize), sample: usize, block: usize) -> Grid {
    Grid { start: (sample * blocks + block) * h * w * LANES, h, w }
}

/// Weights in the order of the kernel, one way.
pub(super) struct Packed {
    /// `[blocks of outputs, inputs, 9, 16]`, inputs in whole blocks.
    w: Buffer,
    inputs: usize,
    outputs: usize,
    form: Form,
}

impl Packed {
    /// From `w(output, input, tap)`.
    pub(super) fn new(
        (outputs, inputs): (usize, usize),
        form: Form,
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
        Self { w: buffer, inputs, outputs, form }
    }

    /// Channels that it reads.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Transforms the weights of one block of outputs: 36 runs of `stride` elements at `u`.
    ///
    /// # Safety
    /// `u` holds 36 runs of all inputs.
    #[inline(always)]
    unsafe fn transform<L, S, const I: usize, const P: usize, const O: usize>(
        &self,
        output: usize,
        u: *mut f32,
        stride: usize,
    ) where
        L: Lanes,
        S: Scheme<I, P, O>,
    {
        let each = blocks_of(self.inputs) * LANES;
        let w = self.w[output * each * 9 * LANES..][..each * 9 * LANES].as_ptr();
        // SAFETY: the caller's promise, and the weights were sliced above.
        unsafe { weights::<L, S, I, P, O>(w, (u, stride), each, self.form.flips()) };
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

/// How a convolution is cut into jobs, by its shape alone.
struct Plan {
    /// Panels of tiles.
    panels: usize,
    /// Panels of one chunk, whose transformed inputs are alive together.
    chunk: usize,
    /// Panels of one job.
    range: usize,
    /// Blocks of outputs of one job.
    outputs: usize,
    /// Elements of a panel's inputs at one point.
    run: usize,
    /// Whether inputs are transformed before the jobs and for all of them, or by each job for itself.
    apart: bool,
}

impl Plan {
    fn new((ins, outs): (usize, usize), points: usize, panels: usize) -> Self {
        // One line more than there is keeps the runs of a panel out of each other's place in the cache.
        let run = ins * PANEL * LANES + LANES;
        if ins * outs * WEIGHTS * LANES * LANES <= CLOSE && panels >= JOBS * RANGE {
            // All weights stay in the nearer cache, and so can the inputs of a few panels.
            let range = (panels / (4 * JOBS)).clamp(RANGE, 4 * RANGE);
            return Self { panels, chunk: panels, range, outputs: outs, run, apart: false };
        }
        let chunks = panels.div_ceil((ALIVE / (points * run)).max(1)).max(1);
        let chunk = panels.div_ceil(chunks);
        // Few ranges where there are many outputs to share out, as each transforms the weights anew.
        let range = (chunk * outs.div_ceil(2) / JOBS).clamp(RANGE, chunk.max(RANGE));
        Self { panels, chunk, range, outputs: 2, run, apart: true }
    }
}

/// The tiles of a map, sample after sample.
#[derive(Clone, Copy)]
struct Tiles {
    across: usize,
    each: usize,
    all: usize,
}

impl Tiles {
    fn new(n: usize, down: usize, across: usize) -> Self {
        Self { across, each: down * across, all: n * down * across }
    }

    /// Sample, row and column.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, isize, isize) {
        let (sample, at) = (tile / self.each, tile % self.each);
        (sample, (at / self.across) as isize, (at % self.across) as isize)
    }
}

impl Conv<'_> {
    /// Runs it into `out`. With [`Finish::Gradient`] the gradient of the style, `[N, C]` in whole blocks, is returned.
    ///
    /// Panics when sizes do not fit: a mistake of the caller, found before anything is written.
    pub(super) fn run(&self, out: &mut Map) -> Vec<f32> {
        match self.weights.form {
            Form::Same | Form::SameBack => self.run_as::<Same, 6, 6, 4>(out),
            Form::Up | Form::HalfBack => self.run_as::<Up, 5, 9, 8>(out),
            Form::UpBack | Form::Half => self.run_as::<Down, 9, 9, 4>(out),
        }
    }

    fn run_as<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>(&self, out: &mut Map) -> Vec<f32> {
        let tiles = self.check(out);
        let plan = Plan::new((self.x.blocks(), out.blocks()), P * P, tiles.all.div_ceil(PANEL));
        // The sums of every tile: how many tiles are added up before the next rounding must not depend on the batch.
        let each = out.blocks() * LANES;
        let mut parts = match self.finish {
            Finish::Gradient(_) => Buffer::new(tiles.all * each),
            _ => Buffer::new(0),
        };
        let mut v = Buffer::new(if plan.apart { plan.chunk * P * P * plan.run } else { 0 });
        let (sums, sizes) = (Shared::new(&mut parts), (out.blocks(), out.h, out.w));
        let whole = Shared::new(&mut out.data);
        for first in (0..plan.panels).step_by(plan.chunk.max(1)) {
            let count = plan.chunk.min(plan.panels - first);
            if plan.apart {
                self.read::<S, I, P, O>(&mut v, (tiles, plan.run), (first, count));
            }
            let shares = sizes.0.div_ceil(plan.outputs);
            jobs(count.div_ceil(plan.range) * shares, 1, |job| {
                let (part, share) = (job / shares, job % shares);
                let (from, block) = (part * plan.range, share * plan.outputs);
                let job = Products::<S, I, P, O> {
                    conv: self,
                    v: plan.apart.then_some(&v),
                    run: plan.run,
                    tiles,
                    first,
                    panels: from..count.min(from + plan.range),
                    outputs: block..sizes.0.min(block + plan.outputs),
                    out: &whole,
                    sizes,
                    sums: &sums,
                    scheme: PhantomData,
                };
                // SAFETY: every job writes its own tiles of its own blocks, and its own part of the sums.
                unsafe { self.isa.run(job) };
            });
        }
        parts.chunks_exact((tiles.each * each).max(1)).flat_map(|sample| total(sample, each)).collect()
    }

    /// The tiles, if all sizes fit.
    fn check(&self, out: &Map) -> Tiles {
        let (x, w) = (self.x, self.weights);
        assert_eq!((x.n, x.channels), (out.n, w.inputs), "samples and input channels");
        assert!(w.outputs == out.channels && w.form.fits(x.h, out.h) && w.form.fits(x.w, out.w), "output");
        assert!(x.data.len() == x.n * x.blocks() * x.plane() && out.data.len() == out.n * out.blocks() * out.plane());
        assert!(self.style.is_none_or(|v| v.len() == x.n * x.blocks() * LANES), "styles");
        match &self.finish {
            Finish::Activate(e) => e.check(out),
            Finish::Gradient(g) => {
                let same = (g.x.n, g.x.channels, g.x.h, g.x.w) == (out.n, out.channels, out.h, out.w);
                assert!(same && g.style.len() == out.n * out.blocks() * LANES, "input and styles");
            }
            Finish::Plain => {}
        }
        Tiles::new(x.n, w.form.tiles(out.h), w.form.tiles(out.w))
    }

    /// Transforms the inputs of `count` panels from `first`.
    fn read<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>(
        &self,
        v: &mut Buffer,
        (tiles, run): (Tiles, usize),
        (first, count): (usize, usize),
    ) {
        let ins = self.x.blocks();
        let shared = Shared::new(v);
        jobs(count * ins, 8, |job| {
            let (at, block) = (job / ins, job % ins);
            // SAFETY: every job writes its own block of its own panel.
            let to = shared.at(at * P * P * run);
            let job = Read::<S, I, P, O> { conv: self, tiles, run, panel: first + at, block, to, scheme: PhantomData };
            unsafe { self.isa.run(job) };
        });
    }
}

impl Epilogue<'_> {
    /// Panics when the sizes are not those of `out`.
    pub(super) fn check(&self, out: &Map) {
        let (lanes, area) = (out.blocks() * LANES, out.h * out.w);
        assert!(self.scale.is_none_or(|s| s.len() == out.n * lanes) && self.bias.len() == lanes, "scale and bias");
        assert!(self.noise.is_none_or(|(map, apart)| map.len() >= (out.n - 1) * apart + area), "noise");
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
struct Read<'a, S, const I: usize, const P: usize, const O: usize> {
    conv: &'a Conv<'a>,
    tiles: Tiles,
    run: usize,
    panel: usize,
    block: usize,
    /// Where the panel goes: a run for every point, which this job shares with other blocks.
    to: *mut f32,
    scheme: PhantomData<S>,
}

impl<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize> Work for Read<'_, S, I, P, O> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { conv, tiles, run, panel, block, to, .. } = self;
        let first = panel * PANEL;
        let blocks = conv.x.blocks();
        let from = conv.x.data.as_ptr();
        let (step, origin) = (S::STEPS[0] as isize, conv.weights.form.origin().0);
        for t in 0..PANEL.min(tiles.all - first) {
            let (sample, y, x) = tiles.place(first + t);
            let grid = grid((blocks, conv.x.h, conv.x.w), sample, block);
            // SAFETY: the grid lies in the map, the style has its blocks, and the places of this block in the panel.
            unsafe {
                let scale = match conv.style {
                    Some(s) => L::load(s[(sample * blocks + block) * LANES..][..LANES].as_ptr()),
                    None => L::splat(1.0),
                };
                let to = to.add((block * PANEL + t) * LANES);
                tile_in::<L, S, I, P, O>((from, &grid), (y * step + origin, x * step + origin), scale, (to, run));
            }
        }
    }
}

/// The products of a range of panels with some blocks of outputs, transformed back and finished.
struct Products<'a, S, const I: usize, const P: usize, const O: usize> {
    conv: &'a Conv<'a>,
    /// The inputs of the chunk, where they are transformed already.
    v: Option<&'a [f32]>,
    run: usize,
    tiles: Tiles,
    /// The first panel of the chunk.
    first: usize,
    panels: std::ops::Range<usize>,
    outputs: std::ops::Range<usize>,
    out: &'a Shared<'a>,
    /// Blocks, height and width of the output.
    sizes: (usize, usize, usize),
    /// The sums of every tile and block, where they are wanted.
    sums: &'a Shared<'a>,
    scheme: PhantomData<S>,
}

/// Elements of the products of a panel at one point.
const ROW: usize = PANEL * 2 * LANES;

impl<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize> Work for Products<'_, S, I, P, O> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let each = P * P * ROW;
        let most = (GROUP / each).max(1);
        let stride = self.conv.x.blocks() * LANES * LANES;
        let mut u = Buffer::new(self.outputs.len() * WEIGHTS * stride);
        let mut m = Buffer::new(most * each);
        let mut own = Buffer::new(if self.v.is_none() { most * P * P * self.run } else { 0 });
        for (i, output) in self.outputs.clone().enumerate() {
            let u = u[i * WEIGHTS * stride..].as_mut_ptr();
            // SAFETY: 36 runs of all inputs.
            unsafe { self.conv.weights.transform::<L, S, I, P, O>(output, u, stride) };
        }
        for from in self.panels.clone().step_by(most) {
            let group = most.min(self.panels.end - from);
            let v = match self.v {
                Some(v) => &v[from * P * P * self.run..],
                None => {
                    // SAFETY: the buffer is this job's own.
                    unsafe { self.read::<L>(&mut own, from, group) };
                    &own[..]
                }
            };
            for pair in (0..self.outputs.len()).step_by(2) {
                let two = self.outputs.len() - pair > 1;
                for point in 0..P * P {
                    let weight = S::weight(point / P) * 6 + S::weight(point % P);
                    let a = &u[(pair * WEIGHTS + weight) * stride..];
                    for at in 0..group {
                        let b = &v[(at * P * P + point) * self.run..][..self.run];
                        let c = &mut m[at * each + point * ROW..][..ROW];
                        // SAFETY: u holds the weights of both blocks, b a run of the panel, c its products.
                        unsafe { self.multiply::<L>((from + at, two), a.as_ptr(), b.as_ptr(), c.as_mut_ptr()) };
                    }
                }
                for i in 0..if two { 2 } else { 1 } {
                    for at in 0..group {
                        let block = self.outputs.start + pair + i;
                        // SAFETY: as promised to `run`.
                        unsafe { self.finish::<L>(block, &m[at * each + i * LANES..], from + at) };
                    }
                }
            }
        }
    }
}

impl<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize> Products<'_, S, I, P, O> {
    /// Transforms the inputs of a group of panels.
    #[inline(always)]
    unsafe fn read<L: Lanes>(&self, to: &mut [f32], from: usize, group: usize) {
        let Self { conv, tiles, run, .. } = *self;
        for at in 0..group {
            let to = to[at * P * P * run..].as_mut_ptr();
            for block in 0..conv.x.blocks() {
                let panel = self.first + from + at;
                let work = Read::<S, I, P, O> { conv, tiles, run, panel, block, to, scheme: PhantomData };
                // SAFETY: a panel of the buffer.
                unsafe { work.run::<L>() };
            }
        }
    }

    /// The products of one panel at one point.
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(&self, (at, two): (usize, bool), a: *const f32, b: *const f32, c: *mut f32) {
        let tiles = PANEL.min(self.tiles.all - (self.first + at) * PANEL);
        let blocks = self.conv.x.blocks();
        let (sizes, run) = ((blocks, tiles), WEIGHTS * blocks * LANES * LANES);
        // SAFETY: the caller's promise.
        unsafe {
            match (two, L::TILE.0) {
                (true, 2) => panel::<L, 2>(sizes, (a, run), b, c),
                (true, _) => {
                    panel::<L, 1>(sizes, (a, run), b, c);
                    panel::<L, 1>(sizes, (a.add(run), run), b, c.add(LANES));
                }
                (false, _) => panel::<L, 1>(sizes, (a, run), b, c),
            }
        }
    }

    /// Transforms back the products of a panel and writes one block of outputs.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, block: usize, m: &[f32], at: usize) {
        let first = (self.first + at) * PANEL;
        let (step, origin) = (S::STEPS[1] as isize, self.conv.weights.form.origin().1);
        for t in 0..PANEL.min(self.tiles.all - first) {
            let (sample, y, x) = self.tiles.place(first + t);
            let grid = grid(self.sizes, sample, block);
            let (y, x) = (y * step + origin, x * step + origin);
            let tile = Tile { sample, block, y, x, grid, whole: grid.holds(y, x, O) };
            // SAFETY: the products of a tile lie a row apart; the job owns its pixels.
            unsafe {
                let values = tile_out::<L, S, I, P, O>(m[t * 2 * LANES..].as_ptr(), ROW);
                let mut sum = L::splat(0.0);
                for (r, row) in values.into_iter().enumerate() {
                    match &self.conv.finish {
                        Finish::Activate(e) => self.activate(&tile, (r, row), e),
                        Finish::Gradient(g) => sum = self.gradient(&tile, (r, row), g, sum),
                        Finish::Plain => self.plain(&tile, (r, row)),
                    }
                }
                if let Finish::Gradient(_) = self.conv.finish {
                    sum.store(self.sums.at(((first + t) * self.sizes.0 + block) * LANES));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn plain<L: Lanes>(&self, tile: &Tile, (r, row): (usize, [L; O])) {
        for (c, v) in row.into_iter().enumerate() {
            if let Some(at) = tile.at(r, c) {
                // SAFETY: the pixels are the job's own.
                unsafe { v.store(self.out.at(at)) };
            }
        }
    }

    #[inline(always)]
    unsafe fn activate<L: Lanes>(&self, tile: &Tile, (r, row): (usize, [L; O]), e: &Epilogue<'_>) {
        // SAFETY: the sizes of scale, bias and noise were checked; the pixels are the job's own.
        unsafe {
            let ready = e.ready::<L>(self.sizes.0, tile.sample, tile.block);
            for (c, v) in row.into_iter().enumerate() {
                let Some(at) = tile.at(r, c) else { continue };
                ready.apply(v, (at - tile.grid.start) / LANES).store(self.out.at(at));
            }
        }
    }

    #[inline(always)]
    unsafe fn gradient<L: Lanes>(&self, tile: &Tile, (r, row): (usize, [L; O]), g: &Gradient<'_>, mut sum: L) -> L {
        let lane = (tile.sample * self.sizes.0 + tile.block) * LANES;
        // SAFETY: the sizes of input and styles were checked; the pixels are the job's own.
        unsafe {
            let style = L::load(g.style.as_ptr().add(lane));
            let x = g.x.data.as_ptr();
            for (c, v) in row.into_iter().enumerate() {
                let Some(at) = tile.at(r, c) else { continue };
                sum = v.mul_add(L::load(x.add(at)), sum);
                v.mul(style).store(self.out.at(at));
            }
        }
        sum
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
    pub(super) unsafe fn ready<L: Lanes>(&self, blocks: usize, sample: usize, block: usize) -> Ready<L> {
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
            let shift = if self.noise.is_null() { self.bias } else { self.bias.add(L::splat(*self.noise.add(pixel))) };
            let v = v.mul_add(self.scale, shift);
            let v = v.mul(v.positive(self.gain.0, self.gain.1));
            // In this order a value that is not a number stays one.
            self.clamp.1.max(self.clamp.0.min(v))
        }
    }
}

/// Where a tile of outputs goes.
struct Tile {
    sample: usize,
    block: usize,
    /// Its first pixel.
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
