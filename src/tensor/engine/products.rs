//! The jobs of a convolution: tiles of the input transformed, multiplied with the weights,
//! transformed back and finished.

use super::buffer::Buffer;
use super::conv::Conv;
use super::kernels::{Grid, PANEL, WEIGHTS, panel, tile_in, tile_out};
use super::lanes::{LANES, Lanes, Work, place};
use super::schemes::Scheme;
use crate::raw::Shared;
use std::marker::PhantomData;
use std::ops::Range;

/// Elements of products that a job keeps before it transforms them back.
const GROUP: usize = 1 << 16;
/// Elements of products that may wait in the nearer cache while weights are transformed a few
/// blocks of inputs at a time, and these blocks.
const WAITING: (usize, usize) = (1 << 17, 4);
/// Elements of the products of a panel at one point.
const ROW: usize = PANEL * 2 * LANES;

/// The pixels of one block of one sample.
#[inline(always)]
fn grid((blocks, h, w): (usize, usize, usize), sample: usize, block: usize) -> Grid {
    Grid { start: (sample * blocks + block) * h * w * LANES, h, w }
}

/// The tiles of a map, sample after sample.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) across: usize,
    /// Number of tiles of one sample.
    pub(super) each: usize,
    pub(super) all: usize,
}

impl Tiles {
    pub(super) fn new(n: usize, down: usize, across: usize) -> Self {
        Self { across, each: down * across, all: n * down * across }
    }

    /// Rows of one sample.
    pub(super) fn down(&self) -> usize {
        self.each / self.across.max(1)
    }

    /// Sample, row and column.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, isize, isize) {
        let (sample, at) = (tile / self.each, tile % self.each);
        (sample, (at / self.across) as isize, (at % self.across) as isize)
    }
}

/// Transforms one panel of one block of the input.
pub(super) struct Read<'a, S, const I: usize, const P: usize, const O: usize> {
    pub(super) conv: &'a Conv<'a>,
    pub(super) tiles: Tiles,
    pub(super) run: usize,
    pub(super) panel: usize,
    pub(super) block: usize,
    /// Destination of the panel: a run for every point, which this job shares with other blocks.
    pub(super) to: *mut f32,
    pub(super) scheme: PhantomData<S>,
}

impl<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize> Work
    for Read<'_, S, I, P, O>
{
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { conv, tiles, run, panel, block, to, .. } = self;
        let first = panel * PANEL;
        let blocks = conv.x.blocks();
        let from = conv.x.data.as_ptr();
        let (step, origin) = (S::STEPS[0] as isize, conv.weights.form().origin().0);
        for t in 0..PANEL.min(tiles.all - first) {
            let (sample, y, x) = tiles.place(first + t);
            let grid = grid((blocks, conv.x.h, conv.x.w), sample, block);
            // SAFETY: the grid lies in the map, the style has its blocks, and the places of this
            // block in the panel.
            unsafe {
                let scale = match conv.style {
                    Some(s) => L::load(s[(sample * blocks + block) * LANES..][..LANES].as_ptr()),
                    None => L::splat(1.0),
                };
                let to = to.add(place::<L>((block * PANEL + t) * LANES));
                tile_in::<L, S, I, P, O>(
                    (from, &grid),
                    (y * step + origin, x * step + origin),
                    scale,
                    (to, run),
                );
            }
        }
    }
}

/// The products of a range of panels with some blocks of outputs, transformed back and finished.
pub(super) struct Products<'a, S, const I: usize, const P: usize, const O: usize> {
    pub(super) conv: &'a Conv<'a>,
    /// The inputs of the chunk, where they are transformed already.
    pub(super) v: Option<&'a [f32]>,
    pub(super) run: usize,
    pub(super) tiles: Tiles,
    /// The first panel of the chunk.
    pub(super) first: usize,
    pub(super) panels: Range<usize>,
    pub(super) outputs: Range<usize>,
    pub(super) out: &'a Shared<'a>,
    /// Blocks, height and width of the output.
    pub(super) sizes: (usize, usize, usize),
    /// The sums of every tile and block, where they are wanted.
    pub(super) sums: &'a Shared<'a>,
    pub(super) scheme: PhantomData<S>,
}

impl<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize> Work
    for Products<'_, S, I, P, O>
{
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (each, blocks) = (P * P * ROW, self.conv.x.blocks());
        // Few products wait for all blocks of inputs, whose weights then need not be there at once.
        let waits = self.v.is_some() && self.panels.len() * each <= WAITING.0;
        let (most, deep) =
            if waits { (self.panels.len(), WAITING.1) } else { ((GROUP / each).max(1), blocks) };
        // One line more keeps the 36 places that a weight goes to out of each other's place in the
        // cache.
        let stride = deep.min(blocks) * LANES * LANES + LANES;
        let mut u = Buffer::new(self.outputs.len() * WEIGHTS * stride);
        let mut m = Buffer::new(most * each);
        let mut own = Buffer::new(if self.v.is_none() { most * P * P * self.run } else { 0 });
        for inputs in (0..blocks).step_by(deep).map(|from| from..blocks.min(from + deep)) {
            for (i, output) in self.outputs.clone().enumerate() {
                let u = u[i * WEIGHTS * stride..].as_mut_ptr();
                // SAFETY: 36 runs of these inputs.
                unsafe {
                    self.conv.weights.transform::<L, S, I, P, O>((output, &inputs), u, stride)
                };
            }
            let mut coming = self.coming(inputs.end, deep);
            for from in self.panels.clone().step_by(most) {
                let count = most.min(self.panels.end - from);
                let v = match self.v {
                    Some(v) => &v[from * P * P * self.run..],
                    None => {
                        // SAFETY: the buffer is this job's own.
                        unsafe { self.read::<L>(&mut own, from, count) };
                        &own[..]
                    }
                };
                let group = Group { from, count, v, inputs: &inputs, stride };
                for pair in (0..self.outputs.len()).step_by(2) {
                    let some = 2.min(self.outputs.len() - pair);
                    let u = &u[pair * WEIGHTS * stride..];
                    // SAFETY: the weights of these blocks of outputs, and all products of the
                    // group.
                    unsafe { self.multiply_group::<L>(&group, &mut coming, some, u, &mut m) };
                    for i in (0..some).take_while(|_| inputs.end == blocks) {
                        for at in 0..count {
                            let block = self.outputs.start + pair + i;
                            // SAFETY: as promised to `run`.
                            unsafe {
                                self.finish::<L>(block, &m[at * each + i * LANES..], from + at)
                            };
                        }
                    }
                }
            }
        }
    }
}

/// Panels that are multiplied with one after the other by the same weights.
struct Group<'a> {
    /// The first of them in the chunk, and how many they are.
    from: usize,
    count: usize,
    /// Their inputs.
    v: &'a [f32],
    /// The blocks of inputs whose weights are there.
    inputs: &'a Range<usize>,
    /// Elements between the weights of two points.
    stride: usize,
}

/// Weights that are transformed next. They are prefetched a few with each product, as products
/// leave memory idle.
struct Coming<'a> {
    /// Weights of two blocks of outputs.
    weights: [&'a [f32]; 2],
    /// Elements prefetched at a time.
    step: usize,
}

impl Coming<'_> {
    /// Asks for some more.
    #[inline(always)]
    unsafe fn fetch<L: Lanes>(&mut self) {
        for weights in &mut self.weights {
            let (now, later) = weights.split_at(self.step.min(weights.len()));
            for line in now.chunks_exact(LANES) {
                // SAFETY: any address may be given.
                unsafe { L::fetch_early(line.as_ptr()) };
            }
            *weights = later;
        }
    }
}

impl<'a, S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>
    Products<'a, S, I, P, O>
{
    /// Weights transformed after the inputs before block `end`: the next `deep` blocks of inputs,
    /// or the first ones of the next outputs, most likely this thread's next job. Empty when all
    /// weights stay in the cache.
    #[inline(always)]
    fn coming(&self, end: usize, deep: usize) -> Coming<'a> {
        let (weights, blocks) = (self.conv.weights, self.conv.x.blocks());
        let (outputs, start) = if end < blocks {
            (&self.outputs, end)
        } else {
            (&(self.outputs.end..self.sizes.0), 0)
        };
        let inputs = start..blocks.min(start + deep);
        let some = |i: usize| match outputs.clone().nth(i) {
            Some(output) if self.v.is_some() => weights.some(output, &inputs),
            _ => &[],
        };
        let lines = inputs.len() * LANES * 9;
        let step = lines.div_ceil(P * P * self.panels.len()) * LANES;
        Coming { weights: [some(0), some(1)], step }
    }

    /// Transforms the inputs of a group of panels.
    #[inline(always)]
    unsafe fn read<L: Lanes>(&self, to: &mut [f32], from: usize, group: usize) {
        let Self { conv, tiles, run, .. } = *self;
        for at in 0..group {
            let to = to[at * P * P * run..].as_mut_ptr();
            for block in 0..conv.x.blocks() {
                let panel = self.first + from + at;
                let work =
                    Read::<S, I, P, O> { conv, tiles, run, panel, block, to, scheme: PhantomData };
                // SAFETY: a panel of the buffer.
                unsafe { work.run::<L>() };
            }
        }
    }

    /// The products of a group at all points with one or two blocks of outputs.
    #[inline(always)]
    unsafe fn multiply_group<L: Lanes>(
        &self,
        group: &Group<'_>,
        coming: &mut Coming<'_>,
        outputs: usize,
        u: &[f32],
        m: &mut [f32],
    ) {
        let Group { from, count, v, inputs, stride } = *group;
        let skip = place::<L>(inputs.start * PANEL * LANES);
        let weight = |point: usize| (S::weight(point / P) * 6 + S::weight(point % P)) * stride;
        for point in 0..P * P {
            for at in 0..count {
                let a = u[weight(point)..].as_ptr();
                let b = v[(at * P * P + point) * self.run + skip..].as_ptr();
                let c = m[(at * P * P + point) * ROW..][..ROW].as_mut_ptr();
                // Inputs of the following products: the next panel, or the first of the next point.
                let (on, ahead) = if at + 1 < count { (at + 1, point) } else { (0, point + 1) };
                let next = [
                    u.as_ptr().wrapping_add(weight(ahead)),
                    v.as_ptr().wrapping_add((on * P * P + ahead) * self.run + skip),
                ];
                // SAFETY: the set is there.
                unsafe { coming.fetch::<L>() };
                // SAFETY: u holds the weights of these blocks, b a run of the panel, c its
                // products.
                unsafe {
                    self.multiply::<L>(
                        (from + at, outputs == 2),
                        inputs,
                        (a, WEIGHTS * stride),
                        (b, c),
                        next,
                    )
                };
            }
        }
    }

    /// The products of one panel at one point with some blocks of inputs, added to those of the
    /// blocks before.
    #[inline(always)]
    unsafe fn multiply<L: Lanes>(
        &self,
        (at, two): (usize, bool),
        inputs: &Range<usize>,
        (a, run): (*const f32, usize),
        (b, c): (*const f32, *mut f32),
        next: [*const f32; 2],
    ) {
        let sizes = (inputs.len(), PANEL.min(self.tiles.all - (self.first + at) * PANEL));
        let more = inputs.start > 0;
        // SAFETY: the caller's promise.
        unsafe {
            match (two, L::TILE.0) {
                (true, 2) => panel::<L, 2>(sizes, (a, run), b, (c, more), next),
                (true, _) => {
                    panel::<L, 1>(sizes, (a, run), b, (c, more), next);
                    panel::<L, 1>(sizes, (a.add(run), run), b, (c.add(LANES), more), next);
                }
                (false, _) => panel::<L, 1>(sizes, (a, run), b, (c, more), next),
            }
        }
    }

    /// Transforms back the products of a panel and writes one block of outputs.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, block: usize, m: &[f32], at: usize) {
        let first = (self.first + at) * PANEL;
        let (step, origin) = (S::STEPS[1] as isize, self.conv.weights.form().origin().1);
        for t in 0..PANEL.min(self.tiles.all - first) {
            let (sample, y, x) = self.tiles.place(first + t);
            let grid = grid(self.sizes, sample, block);
            let (y, x) = (y * step + origin, x * step + origin);
            let whole = grid.holds(y, x, O);
            // SAFETY: the products of a tile lie a row apart; the job owns its pixels.
            unsafe {
                let values = tile_out::<L, S, I, P, O>(m[t * 2 * LANES..].as_ptr(), ROW);
                let pen = self.conv.finish.pen::<L>(self.sizes.0, (sample, block), grid.start);
                let (to, mut sum) = (self.out.at(grid.start), L::splat(0.0));
                for (r, row) in values.into_iter().enumerate() {
                    for (c, v) in row.into_iter().enumerate() {
                        let (y, x) = (y + r as isize, x + c as isize);
                        if whole || grid.holds(y, x, 1) {
                            sum = pen.put(v, y as usize * grid.w + x as usize, to, sum);
                        }
                    }
                }
                if self.conv.finish.sums() {
                    sum.store(self.sums.at(((first + t) * self.sizes.0 + block) * LANES));
                }
            }
        }
    }
}
