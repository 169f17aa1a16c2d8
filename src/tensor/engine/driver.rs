//! Runs the 3×3 convolutions of the engine.
//!
//! One driver serves all forms; see [`Form`]. It lies above the two ways to make the products:
//! `products.rs` makes them on tiles, `direct.rs` pixel by pixel. Work is cut by shapes alone, and
//! sums are added in a fixed order: the same bits for any number of threads.

use super::buffer::{Buffer, Map};
use super::conv::{Conv, Form};
use super::direct;
use super::finish::total;
use super::kernels::{PANEL, WEIGHTS};
use super::lanes::LANES;
use super::products::{Products, Read, Tiles};
use super::schemes::{Down, Same, Scheme, Up};
use crate::raw::{Shared, jobs};
use std::marker::PhantomData;

/// Elements of transformed input that are alive at a time.
const ALIVE: usize = 5 << 20;
/// Minimum number of panels of tiles that share one transformation of the weights, on maps that
/// have that many.
const RANGE: usize = 12;
/// Jobs that a chunk of work is cut into, about.
const JOBS: usize = 16;
/// Elements of transformed weights that leave room for inputs in the nearer cache.
const CLOSE: usize = 160 << 10;

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

/// Runs a convolution into `out`. Returns the gradient of the style, `[N, C]` in whole blocks, if
/// that is how it finishes.
///
/// Panics when sizes do not fit: a mistake of the caller, found before anything is written.
pub(super) fn run(conv: &Conv<'_>, out: &mut Map) -> Vec<f32> {
    let tiles = check(conv, out);
    let form = conv.weights.form();
    if form.few((conv.x.h * conv.x.w).min(out.h * out.w)) {
        return direct::run(conv, out, &[(0..out.h, 0..out.w)]);
    }
    match form {
        Form::Same | Form::SameBack => run_as::<Same, 6, 6, 4>(conv, out, tiles),
        Form::Up => {
            let mut sums = run_as::<Up, 5, 9, 8>(conv, out, tiles);
            let (h, w) = (out.h.min(tiles.down() * 8), out.w.min(tiles.across * 8));
            let edges = [(h..out.h, 0..out.w), (0..h, w..out.w)];
            sums.iter_mut()
                .zip(direct::run(conv, out, &edges))
                .for_each(|(sum, edge)| *sum += edge);
            sums
        }
        Form::HalfBack => run_as::<Up, 5, 9, 8>(conv, out, tiles),
        Form::UpBack | Form::Half => run_as::<Down, 9, 9, 4>(conv, out, tiles),
    }
}

fn run_as<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>(
    conv: &Conv<'_>,
    out: &mut Map,
    tiles: Tiles,
) -> Vec<f32> {
    let plan = Plan::new((conv.x.blocks(), out.blocks()), P * P, tiles.all.div_ceil(PANEL));
    // The sums of every tile: how many tiles are added up before the next rounding must not
    // depend on the batch.
    let each = out.blocks() * LANES;
    let mut parts = Buffer::new(if conv.finish.sums() { tiles.all * each } else { 0 });
    let mut v = Buffer::new(if plan.apart { plan.chunk * P * P * plan.run } else { 0 });
    let (sums, sizes) = (Shared::new(&mut parts), (out.blocks(), out.h, out.w));
    let whole = Shared::new(&mut out.data);
    for first in (0..plan.panels).step_by(plan.chunk.max(1)) {
        let count = plan.chunk.min(plan.panels - first);
        if plan.apart {
            read::<S, I, P, O>(conv, &mut v, (tiles, plan.run), (first, count));
        }
        let shares = sizes.0.div_ceil(plan.outputs);
        jobs(count.div_ceil(plan.range) * shares, 1, |job| {
            let (part, share) = (job / shares, job % shares);
            let (from, block) = (part * plan.range, share * plan.outputs);
            let job = Products::<S, I, P, O> {
                conv,
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
            unsafe { conv.isa.run(job) };
        });
    }
    parts.chunks_exact((tiles.each * each).max(1)).flat_map(|sample| total(sample, each)).collect()
}

/// The tiles, if all sizes fit.
fn check(conv: &Conv<'_>, out: &Map) -> Tiles {
    let (x, w) = (conv.x, conv.weights);
    assert_eq!((x.n, x.channels), (out.n, w.inputs()), "samples and input channels");
    assert!(
        w.outputs() == out.channels && w.form().fits(x.h, out.h) && w.form().fits(x.w, out.w),
        "output"
    );
    assert!(
        x.data.len() == x.n * x.blocks() * x.plane()
            && out.data.len() == out.n * out.blocks() * out.plane()
    );
    assert!(conv.style.is_none_or(|v| v.len() == x.n * x.blocks() * LANES), "styles");
    conv.finish.check(out);
    Tiles::new(x.n, w.form().tiles(out.h), w.form().tiles(out.w))
}

/// Transforms the inputs of `count` panels from `first`.
fn read<S: Scheme<I, P, O>, const I: usize, const P: usize, const O: usize>(
    conv: &Conv<'_>,
    v: &mut Buffer,
    (tiles, run): (Tiles, usize),
    (first, count): (usize, usize),
) {
    let ins = conv.x.blocks();
    let shared = Shared::new(v);
    jobs(count * ins, 8, |job| {
        let (at, block) = (job / ins, job % ins);
        // SAFETY: every job writes its own block of its own panel.
        let to = shared.at(at * P * P * run);
        let job = Read::<S, I, P, O> {
            conv,
            tiles,
            run,
            panel: first + at,
            block,
            to,
            scheme: PhantomData,
        };
        unsafe { conv.isa.run(job) };
    });
}
