//! Two filters with something between them, a few rows at a time: what lies between is never
//! stored.
//!
//! A row is kept in phases, pixel `P·k + p` at place k of phase p. In phases every filter, whether
//! it inserts zeros or leaves pixels out, is a sum of shifted and scaled rows: sixteen numbers at a
//! time, for any factors. A filter's rows are kept in a ring of as many as it reads. A request for
//! a row of the result computes the rows below it, and these the rows below them.

use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::Activation;
use crate::fir::{Axis, Fir, gcd};
use crate::raw::{planes, scratch};
use std::ops::Range;

/// A number of the source, by its offset from the start of the sum, and its factor.
#[derive(Clone, Copy)]
struct Term {
    at: usize,
    by: f32,
}

/// A filter, ready to run on rows in phases.
struct Stage {
    y: Axis,
    /// Rows of the source.
    rows: usize,
    /// The taps along the column in the order in which they meet the rows; `None` when the filter
    /// is not a product.
    column: Option<Vec<f32>>,
    /// The terms of every phase of the result: for the row of a product, else for every row of the
    /// filter.
    terms: Vec<Vec<Vec<Term>>>,
    /// Column of the source's row at its first place.
    origin: isize,
    source: Phases,
    result: Phases,
    /// Rows in the ring.
    slots: usize,
}

/// Storage of a row in phases.
#[derive(Clone, Copy)]
struct Phases {
    count: usize,
    /// Places of one phase, in whole vectors.
    len: usize,
    /// Elements of a row, with what vectors read beyond the last place.
    size: usize,
}

impl Phases {
    /// Storage for `places` places, readable `beyond` further.
    fn new(count: usize, places: usize, beyond: usize) -> Self {
        let len = places.next_multiple_of(LANES);
        Self { count, len, size: (count * len + beyond).next_multiple_of(LANES) }
    }

    /// The pixels of a row, side by side.
    fn pixels(self, row: &[f32], to: &mut [f32]) {
        if self.count == 1 {
            return to.copy_from_slice(&row[..to.len()]);
        }
        for (p, row) in row.chunks_exact(self.len).take(self.count).enumerate() {
            to.iter_mut().skip(p).step_by(self.count).zip(row).for_each(|(to, v)| *to = *v);
        }
    }
}

impl Stage {
    /// A resampling of planes with `rows` rows, whose result is kept in `count` phases that begin
    /// `shift` pixels before its first one, `places` in each, with room to read `beyond` these.
    fn new(fir: &Fir, rows: usize, shift: isize, [count, places, beyond]: [usize; 3]) -> Self {
        let Fir { filter, x, y, gain } = fir;
        let (height, width) = filter.size();
        let turned = filter.flipped();
        let matrix = turned.matrix();
        let (column, lines): (Option<Vec<f32>>, Vec<&[f32]>) = match turned.separable() {
            Some((column, row)) => (Some(column.iter().map(|v| v * gain).collect()), vec![row]),
            None => (None, matrix.chunks_exact(width).collect()),
        };
        let gain = if column.is_some() { 1.0 } else { *gain };
        let (up, down, before) = (x.up as isize, x.down as isize, x.before + shift);
        let origin = (-before).div_euclid(up);
        let sources = count * x.down / x.up;
        // Place and tap of every phase: the pixel of the source that the tap meets there, counted
        // from the first.
        let meets = |phase: usize| {
            (0..width).filter_map(move |t| {
                let at = phase as isize * down + t as isize - before;
                (at.rem_euclid(up) == 0).then(|| ((at.div_euclid(up) - origin) as usize, t))
            })
        };
        let reach = (0..count).flat_map(meets).map(|(at, _)| at / sources).max().unwrap_or(0);
        let source = Phases::new(sources, places + reach, reach);
        let place = |at: usize| at % sources * source.len + at / sources;
        let phase = |line: &[f32], p| {
            meets(p).map(|(at, t)| Term { at: place(at), by: line[t] * gain }).collect::<Vec<_>>()
        };
        let terms = lines.iter().map(|line| (0..count).map(|p| phase(line, p)).collect()).collect();
        let result = Phases::new(count, places, beyond);
        Self { y: *y, rows, column, terms, origin, source, result, slots: height.div_ceil(y.up) }
    }

    /// The farthest place that a place of the result reads.
    fn reach(&self) -> usize {
        let places = self.terms.iter().flatten().flatten().map(|t| t.at % self.source.len);
        places.max().unwrap_or(0)
    }

    /// Elements of a row in the ring.
    fn slot(&self) -> usize {
        if self.column.is_some() { self.result.size } else { self.source.size }
    }

    /// The rows of the source that row `o` of the result reads.
    fn wants(&self, o: usize) -> Range<usize> {
        let (up, taps) =
            (self.y.up as isize, self.column.as_ref().map_or(self.terms.len(), Vec::len) as isize);
        let first = o as isize * self.y.down as isize - self.y.before;
        let rows = self.rows as isize;
        let start = (first + up - 1).div_euclid(up).clamp(0, rows);
        let end = ((first + taps - 1).div_euclid(up) + 1).clamp(start, rows);
        start as usize..end as usize
    }

    /// The tap along the column that meets row `i` of the source in row `o` of the result.
    fn tap(&self, o: usize, i: usize) -> usize {
        ((i * self.y.up) as isize - (o * self.y.down) as isize + self.y.before) as usize
    }
}

/// A filter at work on one plane.
struct Feed<'a> {
    stage: &'a Stage,
    ring: &'a mut [f32],
    /// The first row of the source that was not taken yet.
    next: usize,
    /// A row of the source, and one of the result.
    window: &'a mut [f32],
    row: &'a mut [f32],
    terms: Vec<Term>,
}

impl<'a> Feed<'a> {
    fn new(stage: &'a Stage, room: &mut &'a mut [f32]) -> Self {
        let mut part = |n| {
            let (first, rest) = std::mem::take(room).split_at_mut(n);
            *room = rest;
            first
        };
        let ring = part(stage.slots * stage.slot());
        let (window, row) = (part(stage.source.size), part(stage.result.size));
        Self { stage, ring, next: 0, window, row, terms: Vec::with_capacity(stage.slots) }
    }

    /// The rows to take before row `o` of the result can be given; they count as taken.
    fn fresh(&mut self, o: usize) -> Range<usize> {
        let wanted = self.stage.wants(o);
        let fresh = wanted.start.max(self.next)..wanted.end;
        self.next = self.next.max(wanted.end);
        fresh
    }

    /// Takes row `i` of the source.
    ///
    /// # Safety
    /// The row has the size of the source's; the instruction set is there.
    #[inline(always)]
    unsafe fn take<L: Lanes>(&mut self, i: usize, row: &[f32]) {
        let (stage, size) = (self.stage, self.stage.slot());
        let slot = &mut self.ring[i % stage.slots * size..][..size];
        if stage.column.is_none() {
            return slot.copy_from_slice(row);
        }
        for (phase, terms) in slot.chunks_exact_mut(stage.result.len).zip(&stage.terms[0]) {
            // SAFETY: terms lie within the source's row, by its size.
            unsafe { combine::<L>(phase, row, terms, false) };
        }
    }

    /// Makes row `o` of the result from the rows taken.
    ///
    /// # Safety
    /// The instruction set is there.
    #[inline(always)]
    unsafe fn give<L: Lanes>(&mut self, o: usize) {
        let (stage, size) = (self.stage, self.stage.slot());
        let to = &mut self.row[..stage.result.count * stage.result.len];
        if let Some(column) = &stage.column {
            self.terms.clear();
            for i in stage.wants(o) {
                self.terms.push(Term { at: i % stage.slots * size, by: column[stage.tap(o, i)] });
            }
            // SAFETY: a slot holds all phases of the result.
            return unsafe { combine::<L>(to, self.ring, &self.terms, false) };
        }
        to.fill(0.0);
        for i in stage.wants(o) {
            let from = &self.ring[i % stage.slots * size..][..size];
            for (phase, terms) in
                to.chunks_exact_mut(stage.result.len).zip(&stage.terms[stage.tap(o, i)])
            {
                // SAFETY: terms lie within the source's row, by its size.
                unsafe { combine::<L>(phase, from, terms, true) };
            }
        }
    }

    /// Makes row `o` of the result from a plane.
    ///
    /// # Safety
    /// The instruction set is there.
    #[inline(always)]
    unsafe fn make<L: Lanes>(&mut self, plane: Plane<'_>, o: usize) {
        for i in self.fresh(o) {
            let window = std::mem::take(&mut self.window);
            plane.row(i, self.stage.origin, self.stage.source, window);
            // SAFETY: the window has the size of the source's rows.
            unsafe { self.take::<L>(i, window) };
            self.window = window;
        }
        // SAFETY: passed on.
        unsafe { self.give::<L>(o) };
    }
}

/// `to (+)= Σ by · from[at..]`, `to` in whole vectors.
///
/// # Safety
/// `from` has as many elements as `to` at every term; the instruction set is there.
#[inline(always)]
unsafe fn combine<L: Lanes>(to: &mut [f32], from: &[f32], terms: &[Term], add: bool) {
    debug_assert!(
        to.len().is_multiple_of(LANES) && terms.iter().all(|t| t.at + to.len() <= from.len())
    );
    let (mut at, from) = (0, from.as_ptr());
    // SAFETY: the caller's promise, and `to` ends where the last vector does.
    unsafe {
        while at + 4 * LANES <= to.len() {
            vectors::<L, 4>(to.as_mut_ptr().add(at), from.add(at), terms, add);
            at += 4 * LANES;
        }
        if at + 2 * LANES <= to.len() {
            vectors::<L, 2>(to.as_mut_ptr().add(at), from.add(at), terms, add);
            at += 2 * LANES;
        }
        if at < to.len() {
            vectors::<L, 1>(to.as_mut_ptr().add(at), from.add(at), terms, add);
        }
    }
}

/// [`combine`] for `N` vectors, which stay in registers.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn vectors<L: Lanes, const N: usize>(
    to: *mut f32,
    from: *const f32,
    terms: &[Term],
    add: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [L::splat(0.0); N];
        if add {
            for n in 0..N {
                sums[n] = L::load(to.add(n * LANES));
            }
        }
        for term in terms {
            let (by, from) = (L::splat(term.by), from.add(term.at));
            for n in 0..N {
                sums[n] = L::load(from.add(n * LANES)).mul_add(by, sums[n]);
            }
        }
        for n in 0..N {
            sums[n].store(to.add(n * LANES));
        }
    }
}

/// A plane in its stored form: its width, numbers, and the value added to each.
#[derive(Clone, Copy)]
struct Plane<'a> {
    width: usize,
    data: &'a [f32],
    bias: f32,
}

impl Plane<'_> {
    /// Row `i` in phases from pixel `origin` on, zeros beyond its ends.
    fn row(&self, i: usize, origin: isize, phases: Phases, to: &mut [f32]) {
        let row = &self.data[i * self.width..][..self.width];
        to.fill(0.0);
        for (p, to) in to.chunks_exact_mut(phases.len).take(phases.count).enumerate() {
            let (step, first) = (phases.count as isize, origin + p as isize);
            let skip = if first < 0 { (-first + step - 1) / step } else { 0 };
            let from = row.get((first + skip * step) as usize..).unwrap_or(&[]);
            let to = to.get_mut(skip as usize..).unwrap_or(&mut []);
            if step == 1 {
                to.iter_mut().zip(from).for_each(|(to, v)| *to = v + self.bias);
            } else {
                to.iter_mut()
                    .zip(from.iter().step_by(phases.count))
                    .for_each(|(to, v)| *to = v + self.bias);
            }
        }
    }
}

/// Upsampling, an activation and downsampling as one, or the gradient of that.
pub(crate) struct Between {
    isa: Isa,
    up: Stage,
    /// Stage that upsamples the gradient, and the gradient's width, when a gradient is requested.
    back: Option<(Stage, usize)>,
    down: Stage,
    act: Activation,
    /// Places of the row between the filters that no pixel has.
    outside: Vec<usize>,
    /// Widths of the planes that are read and of the result, and the height of that.
    sizes: [usize; 3],
}

impl Between {
    /// Computes `down(act(up(x + bias)))` of planes of `h × w`.
    pub(crate) fn forward(
        isa: Isa,
        [up, down]: [&Fir; 2],
        size: (usize, usize),
        act: Activation,
    ) -> Self {
        Self::new(isa, [up, down], None, size, act)
    }

    /// The gradient of such planes from the gradient of the result.
    pub(crate) fn backward(
        isa: Isa,
        [up, down]: [&Fir; 2],
        size: (usize, usize),
        act: Activation,
    ) -> Self {
        Self::new(isa, [up, &up.transposed(size.0, size.1)], Some(down), size, act)
    }

    /// If `back` is given, the gradient passes the activation between the filters.
    fn new(
        isa: Isa,
        [up, down]: [&Fir; 2],
        back: Option<&Fir>,
        (h, w): (usize, usize),
        act: Activation,
    ) -> Self {
        let (height, width) = (up.y.out, up.x.out);
        // Every factor divides the number of phases.
        let factor = back.map_or(down.x.down, |back| back.x.down);
        let phases = up.x.up / gcd(up.x.up, factor) * factor;
        let (shift, count) = (down.x.before, phases / down.x.down);
        let last = Stage::new(down, height, 0, [count, down.x.out.div_ceil(count), 0]);
        let between = [phases, down.x.out.div_ceil(count) + last.reach(), last.reach()];
        let read = (down.x.out - 1) * down.x.down + down.filter.size().1;
        let pixel = |at: &usize| (0..width as isize).contains(&(*at as isize - shift));
        let place = |at: usize| at % phases * last.source.len + at / phases;
        let turned =
            |f: &Fir| (Stage::new(&f.transposed(height, width), f.y.out, shift, between), f.x.out);
        Self {
            isa,
            up: Stage::new(up, h, shift, between),
            back: back.map(turned),
            outside: (0..read).filter(|at| !pixel(at)).map(place).collect(),
            down: last,
            act,
            sizes: [w, down.x.out, down.y.out],
        }
    }

    /// Planes `[N, C, h, w]`, a bias for each channel and perhaps the gradients of their results →
    /// planes of the result.
    pub(crate) fn run(&self, x: &[f32], bias: &[f32], g: &[f32]) -> Vec<f32> {
        let [w, ow, oh] = self.sizes;
        let read = self.up.rows * w;
        let (count, channels) = (x.len() / read, bias.len().max(1));
        let gradient = self.back.as_ref().map_or(0, |(back, width)| back.rows * width);
        assert!(count % channels == 0 && g.len() == count * gradient, "planes and their gradients");
        let mut out = vec![0f32; count * oh * ow];
        planes(&mut out, oh * ow, |i, out| {
            let x = Plane { width: w, data: &x[i * read..][..read], bias: bias[i % channels] };
            let g = Plane {
                width: self.back.as_ref().map_or(0, |b| b.1),
                data: &g[i * gradient..][..gradient],
                bias: 0.0,
            };
            scratch(self.room(), |room| {
                room.fill(0.0);
                // SAFETY: every stage has room for what it reads, by its sizes.
                unsafe { self.isa.run(Pass { between: self, x, g, room, out }) };
            });
        });
        out
    }

    /// Elements that a pass needs: for every filter its ring, a row of its source and one of its
    /// result.
    fn room(&self) -> usize {
        let each = |s: &Stage| s.slots * s.slot() + s.source.size + s.result.size;
        each(&self.up) + each(&self.down) + self.back.as_ref().map_or(0, |(back, _)| each(back))
    }
}

/// One plane.
struct Pass<'a> {
    between: &'a Between,
    x: Plane<'a>,
    g: Plane<'a>,
    room: &'a mut [f32],
    out: &'a mut [f32],
}

impl Work for Pass<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { between, x, g, mut room, out } = self;
        let [mut up, mut down] =
            [&between.up, &between.down].map(|stage| Feed::new(stage, &mut room));
        let mut back = between.back.as_ref().map(|(stage, _)| Feed::new(stage, &mut room));
        for (o, out) in out.chunks_exact_mut(between.sizes[1]).enumerate() {
            // SAFETY: the caller's promise; a row between the filters has the size of what the
            // second reads.
            unsafe {
                for m in down.fresh(o) {
                    up.make::<L>(x, m);
                    match &mut back {
                        None => activate::<L>(up.row, between.act),
                        Some(back) => {
                            back.make::<L>(g, m);
                            differentiate::<L>(up.row, back.row, between.act);
                        }
                    }
                    for at in &between.outside {
                        up.row[*at] = 0.0;
                    }
                    down.take::<L>(m, up.row);
                }
                down.give::<L>(o);
            }
            down.stage.result.pixels(down.row, out);
        }
    }
}

/// Factors above and below zero, and the clamp.
#[inline(always)]
unsafe fn ready<L: Lanes>(act: Activation) -> [L; 3] {
    let clamp = act.clamp.map_or(f32::INFINITY, |c| c as f32);
    // SAFETY: the caller's promise.
    unsafe { [L::splat(act.gain as f32), L::splat((act.gain * act.slope) as f32), L::splat(clamp)] }
}

/// The activation of a row in whole vectors.
///
/// # Safety
/// The instruction set is there.
#[inline(always)]
unsafe fn activate<L: Lanes>(row: &mut [f32], act: Activation) {
    // SAFETY: every vector is a chunk.
    unsafe {
        let [above, below, clamp] = ready::<L>(act);
        let under = L::splat(0.0).sub(clamp);
        for row in row.chunks_exact_mut(LANES) {
            let v = L::load(row.as_ptr());
            // A NaN stays one.
            under.max(clamp.min(v.mul(v.positive(above, below)))).store(row.as_mut_ptr());
        }
    }
}

/// Replaces what the activation reads by the gradient of that, from the gradient `g` of its result.
///
/// # Safety
/// The instruction set is there.
#[inline(always)]
unsafe fn differentiate<L: Lanes>(row: &mut [f32], g: &[f32], act: Activation) {
    // SAFETY: every vector is a chunk.
    unsafe {
        let [above, below, clamp] = ready::<L>(act);
        for (row, g) in row.chunks_exact_mut(LANES).zip(g.chunks_exact(LANES)) {
            let v = L::load(row.as_ptr());
            let slope = v.positive(above, below);
            v.mul(slope).inside(clamp, slope).mul(L::load(g.as_ptr())).store(row.as_mut_ptr());
        }
    }
}
