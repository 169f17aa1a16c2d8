//! The 3×3 convolutions of the engine, and what is fused with them.
//!
//! One driver serves all forms; see [`Form`]. Work is cut by shapes alone, and sums are added in a
//! fixed order: the same bits for any number of threads.

use super::buffer::{Buffer, Map, blocks_of};
use super::direct;
use super::finish::{Finish, total};
use super::kernels::{PANEL, WEIGHTS, weights};
use super::products::{Products, Read, Tiles};
use super::schemes::{Down, Same, Scheme, Up};
use super::simd::{Isa, LANES, Lanes};
use crate::raw::{Shared, jobs};
use std::marker::PhantomData;
use std::ops::Range;

/// Elements of transformed input that are alive at a time.
const ALIVE: usize = 5 << 20;
/// Minimum number of panels of tiles that share one transformation of the weights, on maps that
/// have that many.
const RANGE: usize = 12;
/// Jobs that a chunk of work is cut into, about.
const JOBS: usize = 16;
/// Elements of transformed weights that leave room for inputs in the nearer cache.
const CLOSE: usize = 160 << 10;
/// Pixels of a map up to which every product is made: forms that keep the size, and forms that
/// change it.
const FEW: (usize, usize) = (16, 64);

/// Effect of a convolution on the size of a map, `h → h'`.
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

    /// Start of the first tile, in the input and in the output.
    pub(super) fn origin(self) -> (isize, isize) {
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

    /// Whether a map of this many pixels (the smaller of input and output) is so small that every
    /// product is made.
    fn few(self, pixels: usize) -> bool {
        pixels <= if matches!(self, Self::Same | Self::SameBack) { FEW.0 } else { FEW.1 }
    }

    /// Tiles that cover `output` pixels along an axis; of a doubling convolution all but perhaps
    /// the last pixel.
    fn tiles(self, output: usize) -> usize {
        match self {
            Self::Up => (output / 2).div_ceil(4),
            Self::HalfBack => (output + 1).div_ceil(8),
            _ => output.div_ceil(4),
        }
    }
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
    /// Packs the weights `w(output, input, tap)`.
    pub(super) fn new(
        (outputs, inputs): (usize, usize),
        form: Form,
        w: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let padded = blocks_of(inputs) * LANES;
        let mut buffer = Buffer::zeros(blocks_of(outputs) * padded * 9 * LANES);
        crate::raw::planes(&mut buffer, (padded * 9 * LANES).max(1), |block, dst| {
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

    /// Its effect on the size of a map.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The weights from a block of outputs on, and how many elements each block has.
    pub(super) fn block(&self, output: usize) -> (&[f32], usize) {
        let each = blocks_of(self.inputs) * LANES * 9 * LANES;
        (&self.w[output * each..], each)
    }

    /// The weights of one block of outputs and some blocks of inputs.
    pub(super) fn some(&self, output: usize, inputs: &Range<usize>) -> &[f32] {
        let (w, _) = self.block(output);
        &w[inputs.start * 9 * LANES * LANES..][..inputs.len() * 9 * LANES * LANES]
    }

    /// Transforms the weights of one block of outputs and some blocks of inputs: 36 runs of
    /// `stride` elements at `u`.
    ///
    /// # Safety
    /// `u` holds 36 runs of these inputs.
    #[inline(always)]
    pub(super) unsafe fn transform<L, S, const I: usize, const P: usize, const O: usize>(
        &self,
        (output, inputs): (usize, &Range<usize>),
        u: *mut f32,
        stride: usize,
    ) where
        L: Lanes,
        S: Scheme<I, P, O>,
    {
        let w = self.some(output, inputs).as_ptr();
        // SAFETY: the caller's promise, and these are the weights of these inputs.
        unsafe {
            weights::<L, S, I, P, O>(w, (u, stride), inputs.len() * LANES, self.form.flips())
        };
    }
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

/// Division of a convolution into jobs, from its shape alone.
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
    /// Whether inputs are transformed before the jobs and for all of them, or by each job for
    /// itself.
    apart: bool,
}

impl Plan {
    fn new((ins, outs): (usize, usize), points: usize, panels: usize) -> Self {
        // One line more than there is keeps the runs of a panel out of each other's place in the
        // cache.
        let run = ins * PANEL * LANES + LANES;
        if ins * outs * WEIGHTS * LANES * LANES <= CLOSE && panels >= JOBS * RANGE {
            // All weights stay in the nearer cache, and so can the inputs of a few panels.
            let range = (panels / (4 * JOBS)).clamp(RANGE, 4 * RANGE);
            return Self { panels, chunk: panels, range, outputs: outs, run, apart: false };
        }
        let chunks = panels.div_ceil((ALIVE / (points * run)).max(1)).max(1);
        let chunk = panels.div_ceil(chunks);
        // Few ranges where there are many outputs to share out, as each transforms the weights
        // anew; and none that is much shorter than the others.
        let ranges =
            chunk.div_ceil((chunk * outs.div_ceil(2) / JOBS).clamp(RANGE, chunk.max(RANGE))).max(1);
        let range = chunk.div_ceil(ranges);
        Self { panels, chunk, range, outputs: 2, run, apart: true }
    }
}

impl Conv<'_> {
    /// Runs it into `out`. With [`Finish::Gradient`] the gradient of the style, `[N, C]` in whole
    /// blocks, is returned.
    ///
    /// Panics when sizes do not fit: a mistake of the caller, found before anything is written.
    pub(super) fn run(&self, out: &mut Map) -> Vec<f32> {
        let tiles = self.check(out);
        let form = self.weights.form;
        if form.few((self.x.h * self.x.w).min(out.h * out.w)) {
            return direct::run(self, out, &[(0..out.h, 0..out.w)]);
        }
        match form {
            Form::Same | Form::SameBack => self.run_as::<Same, 6, 6, 4>(out, tiles),
            Form::Up => {
                let mut sums = self.run_as::<Up, 5, 9, 8>(out, tiles);
                let (h, w) = (out.h.min(tiles.down() * 8), out.w.min(tiles.across * 8));
                let edges = [(h..out.h, 0..out.w), (0..h, w..out.w)];
                sums.iter_mut()
                    .zip(direct::run(self, out, &edges))
                    .for_each(|(sum, edge)| *sum += edge);
                sums
            }
            Form::HalfBack => self.run_as::<Up, 5, 9, 8>(out, tiles),
            Form::UpBack | Form::Half => self.run_as::<Down, 9, 9, 4>(out, tiles),
        }
    }

    fn run_as<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>(
        &self,
        out: &mut Map,
        tiles: Tiles,
    ) -> Vec<f32> {
        let plan = Plan::new((self.x.blocks(), out.blocks()), P * P, tiles.all.div_ceil(PANEL));
        // The sums of every tile: how many tiles are added up before the next rounding must not
        // depend on the batch.
        let each = out.blocks() * LANES;
        let mut parts = Buffer::new(if self.finish.sums() { tiles.all * each } else { 0 });
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
                // SAFETY: every job writes its own tiles of its own blocks, and its own part of the
                // sums.
                unsafe { self.isa.run(job) };
            });
        }
        parts
            .chunks_exact((tiles.each * each).max(1))
            .flat_map(|sample| total(sample, each))
            .collect()
    }

    /// The tiles, if all sizes fit.
    fn check(&self, out: &Map) -> Tiles {
        let (x, w) = (self.x, self.weights);
        assert_eq!((x.n, x.channels), (out.n, w.inputs), "samples and input channels");
        assert!(
            w.outputs == out.channels && w.form.fits(x.h, out.h) && w.form.fits(x.w, out.w),
            "output"
        );
        assert!(
            x.data.len() == x.n * x.blocks() * x.plane()
                && out.data.len() == out.n * out.blocks() * out.plane()
        );
        assert!(self.style.is_none_or(|v| v.len() == x.n * x.blocks() * LANES), "styles");
        self.finish.check(out);
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
            let job = Read::<S, I, P, O> {
                conv: self,
                tiles,
                run,
                panel: first + at,
                block,
                to,
                scheme: PhantomData,
            };
            unsafe { self.isa.run(job) };
        });
    }
}
