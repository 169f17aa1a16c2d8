//! Convolutions of few pixels, product by product.
//!
//! On maps with few pixels, Winograd's algorithm spends its time on the weights: it makes 36
//! numbers of nine and uses each once or twice. Here the weights are read once, in memory order,
//! and not transformed. The same code adds the last row and column of an upsampling convolution,
//! which would otherwise cost a whole row of tiles.

use super::buffer::{Buffer, Map};
use super::conv::{Conv, Form};
use super::finish::total;
use super::kernels::{PANEL, gathered};
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, jobs};
use std::ops::Range;

/// Pixels of an output map, as rows and columns.
pub(super) type Part = (Range<usize>, Range<usize>);

/// The input pixel that a tap of the weights brings to an output pixel along an axis, if any; it
/// may lie outside.
fn source(form: Form, at: usize, tap: usize) -> Option<isize> {
    let (at, tap) = (at as isize, tap as isize);
    let half = |v: isize| (v.rem_euclid(2) == 0).then_some(v.div_euclid(2));
    match form {
        Form::Same => Some(at + tap - 1),
        Form::SameBack => Some(at - tap + 1),
        Form::Up => half(at - tap),
        Form::UpBack => Some(2 * at + tap),
        Form::Half => Some(2 * at + tap - 1),
        Form::HalfBack => half(at - tap + 1),
    }
}

/// Some output pixels that take the same taps, as many as the registers hold.
struct Few {
    /// The outputs.
    pixels: Vec<usize>,
    /// For each tap, the gathered input pixel that each output reads.
    taps: Vec<(usize, [usize; PANEL])>,
}

/// Offsets of the inputs of each output.
struct Table {
    few: Vec<Few>,
    /// The input pixels that are read; the gathered pixel 0 is an extra zero.
    read: Vec<usize>,
}

impl Table {
    fn new(form: Form, (x, out): (&Map, &Map), parts: &[Part]) -> Self {
        let mut table = Self { few: Vec::new(), read: Vec::new() };
        let mut places = vec![0; x.h * x.w];
        for (rows, columns) in parts {
            // Pixels of a parity take the same taps; in the forms that do not double, all do.
            for parity in 0..4 {
                let of =
                    |range: &Range<usize>, odd: usize| range.clone().filter(move |v| v % 2 == odd);
                let group: Vec<_> = of(rows, parity / 2)
                    .flat_map(|y| of(columns, parity % 2).map(move |x| (y, x)))
                    .collect();
                table.add(form, (x, out.w), &group, &mut places);
            }
        }
        table
    }

    /// Adds pixels of one parity, cut into parts of about the same size.
    fn add(
        &mut self,
        form: Form,
        (x, width): (&Map, usize),
        group: &[(usize, usize)],
        places: &mut [usize],
    ) {
        let each = group.len().div_ceil(group.len().div_ceil(PANEL).max(1)).max(1);
        for pixels in group.chunks(each) {
            let mut taps = Vec::new();
            for tap in 0..9 {
                let mut from = [0; PANEL];
                for (from, (y, x_)) in from.iter_mut().zip(pixels) {
                    let (Some(y), Some(x_)) =
                        (source(form, *y, tap / 3), source(form, *x_, tap % 3))
                    else {
                        continue;
                    };
                    if (0..x.h as isize).contains(&y) && (0..x.w as isize).contains(&x_) {
                        let place = &mut places[y as usize * x.w + x_ as usize];
                        if *place == 0 {
                            self.read.push(y as usize * x.w + x_ as usize);
                            *place = self.read.len();
                        }
                        *from = *place;
                    }
                }
                if from.iter().any(|p| *p > 0) {
                    taps.push((tap, from));
                }
            }
            self.few
                .push(Few { pixels: pixels.iter().map(|(y, x)| y * width + x).collect(), taps });
        }
    }

    /// Elements of the gathered pixels of one block.
    fn plane(&self) -> usize {
        (self.read.len() + 1) * LANES
    }

    /// The pixels that are read, times the style: `[N, blocks, 1 + pixels, 16]`.
    fn gather(&self, conv: &Conv<'_>) -> Buffer {
        let (x, plane) = (conv.x, self.plane());
        let mut all = Buffer::new(x.n * x.blocks() * plane);
        for (block, to) in all.chunks_exact_mut(plane).enumerate() {
            let from = &x.data[block * x.plane()..];
            let style = conv.style.map_or(&[1.0; LANES][..], |s| &s[block * LANES..][..LANES]);
            to[..LANES].fill(0.0);
            for (to, pixel) in to[LANES..].chunks_exact_mut(LANES).zip(&self.read) {
                for ((to, v), s) in to.iter_mut().zip(&from[pixel * LANES..]).zip(style) {
                    *to = v * s;
                }
            }
        }
        all
    }
}

/// Computes `parts` of the output of a convolution. With sums wanted, those of these parts,
/// `[N, C]` in whole blocks.
///
/// The caller has checked the sizes; parts lie in the output.
pub(super) fn run(conv: &Conv<'_>, out: &mut Map, parts: &[Part]) -> Vec<f32> {
    let table = Table::new(conv.weights.form(), (conv.x, out), parts);
    let from = table.gather(conv);
    let (n, sizes) = (out.n, (out.blocks(), out.h, out.w));
    let each = sizes.0 * LANES;
    let mut sums = if conv.finish.sums() { Buffer::zeros(n * each) } else { Buffer::new(0) };
    let (to, totals) = (Shared::new(&mut out.data), Shared::new(&mut sums));
    jobs(sizes.0.div_ceil(2), 1, |pair| {
        let blocks = pair * 2..sizes.0.min(pair * 2 + 2);
        let job =
            Pair { conv, table: &table, from: &from, blocks, n, sizes, out: &to, sums: &totals };
        // SAFETY: every job writes its own blocks.
        unsafe { conv.isa.run(job) };
    });
    sums.chunks_exact(each.max(1)).flat_map(|sample| total(sample, each)).collect()
}

/// One or two blocks of outputs, of all samples.
struct Pair<'a> {
    conv: &'a Conv<'a>,
    table: &'a Table,
    from: &'a [f32],
    blocks: Range<usize>,
    n: usize,
    /// Blocks, height and width of the output.
    sizes: (usize, usize, usize),
    out: &'a Shared<'a>,
    sums: &'a Shared<'a>,
}

/// Elements of the outputs of one [`Few`].
const ROWS: usize = PANEL * 2 * LANES;

impl Work for Pair<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { conv, table, from, .. } = self;
        let (blocks, plane) = (conv.x.blocks(), table.plane());
        let mut c = Buffer::zeros(self.n * table.few.len() * ROWS);
        let (w, run) = conv.weights.block(self.blocks.start);
        for block in 0..blocks {
            for sample in 0..self.n {
                let from = &from[(sample * blocks + block) * plane..][..plane];
                for (i, few) in table.few.iter().enumerate() {
                    let c = c[(sample * table.few.len() + i) * ROWS..][..ROWS].as_mut_ptr();
                    let mut first = 0;
                    while first < self.blocks.len() {
                        let m = L::TILE.0.min(self.blocks.len() - first);
                        // SAFETY: the weights of the blocks, and places in the gathered pixels,
                        // which Table made.
                        unsafe {
                            let w = w.as_ptr().add(first * run + block * 9 * LANES * LANES);
                            let (from, c) = (from.as_ptr(), c.add(first * LANES));
                            let pixels = few.pixels.len();
                            if m == 2 {
                                gathered::<L, 2>(&few.taps, (w, run), from, c, pixels);
                            } else {
                                gathered::<L, 1>(&few.taps, (w, run), from, c, pixels);
                            }
                        }
                        first += m;
                    }
                }
            }
        }
        for sample in 0..self.n {
            for (i, block) in self.blocks.clone().enumerate() {
                // SAFETY: the job's own block.
                unsafe {
                    self.finish::<L>(
                        &c[sample * table.few.len() * ROWS + i * LANES..],
                        (sample, block),
                    )
                };
            }
        }
    }
}

impl Pair<'_> {
    /// Writes one block of one sample from the products `c`.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(&self, c: &[f32], (sample, block): (usize, usize)) {
        let (blocks, h, w) = self.sizes;
        let at = sample * blocks + block;
        let start = at * h * w * LANES;
        // SAFETY: the sizes were checked, and the pixels lie in the map.
        unsafe {
            let pen = self.conv.finish.pen::<L>(blocks, (sample, block), start);
            let (to, mut sum) = (self.out.at(start), L::splat(0.0));
            for (i, few) in self.table.few.iter().enumerate() {
                for (t, pixel) in few.pixels.iter().enumerate() {
                    let v = L::load(c[i * ROWS + t * 2 * LANES..][..LANES].as_ptr());
                    sum = pen.put(v, *pixel, to, sum);
                }
            }
            if self.conv.finish.sums() {
                sum.store(self.sums.at(at * LANES));
            }
        }
    }
}
