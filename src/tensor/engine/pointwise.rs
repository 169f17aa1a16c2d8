//! Operations by pixel: toRGB, the gradient through an activation, and demodulation.

use super::buffer::{Buffer, Map};
use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, jobs};

/// Pixels of one job.
const PIXELS: usize = 128;
/// Channels of a picture at most.
pub(super) const COLOURS: usize = 4;

/// A 1×1 convolution to the few channels of a picture, weights scaled by the style of the sample.
pub(super) struct ToRgb<'a> {
    pub(super) isa: Isa,
    pub(super) x: &'a Map,
    /// `[N, K, C]` in whole blocks.
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) clamp: f32,
}

impl ToRgb<'_> {
    /// The picture `[N, K, H, W]`.
    pub(super) fn run(&self) -> Vec<f32> {
        let (colours, area, lanes) =
            (self.bias.len(), self.x.h * self.x.w, self.x.blocks() * LANES);
        assert!(
            colours <= COLOURS && self.weight.len() == self.x.n * colours * lanes,
            "weights of toRGB"
        );
        let mut out = vec![0f32; self.x.n * colours * area];
        let (shared, chunks) = (Shared::new(&mut out), area.div_ceil(PIXELS));
        jobs(self.x.n * chunks, 4, |job| {
            let work = RgbPixels {
                op: self,
                sample: job / chunks,
                first: job % chunks * PIXELS,
                out: &shared,
            };
            // SAFETY: every job writes its own pixels.
            unsafe { self.isa.run(work) };
        });
        out
    }
}

struct RgbPixels<'a> {
    op: &'a ToRgb<'a>,
    sample: usize,
    first: usize,
    out: &'a Shared<'a>,
}

impl Work for RgbPixels<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { op, sample, first, out } = self;
        let (x, colours, blocks, area) = (op.x, op.bias.len(), op.x.blocks(), op.x.h * op.x.w);
        let pixels = PIXELS.min(area - first);
        // SAFETY: the sizes of weights and map were checked; the pixels are the job's own.
        unsafe {
            let mut sums = [[L::splat(0.0); COLOURS]; PIXELS];
            for block in 0..blocks {
                let weight = op.weight.as_ptr().add((sample * colours * blocks + block) * LANES);
                let mut w = [L::splat(0.0); COLOURS];
                for (k, w) in w.iter_mut().take(colours).enumerate() {
                    *w = L::load(weight.add(k * blocks * LANES));
                }
                let from =
                    x.data.as_ptr().add((sample * blocks + block) * x.plane() + first * LANES);
                for (p, sums) in sums.iter_mut().take(pixels).enumerate() {
                    let v = L::load(from.add(p * LANES));
                    for k in 0..COLOURS {
                        sums[k] = v.mul_add(w[k], sums[k]);
                    }
                }
            }
            for (k, bias) in op.bias.iter().enumerate() {
                let out = out.slice((sample * colours + k) * area + first, pixels);
                for (o, sums) in out.iter_mut().zip(&sums) {
                    let v = sums[k].sum() + bias;
                    // Written so that a NaN stays one.
                    *o = if v > op.clamp {
                        op.clamp
                    } else if v < -op.clamp {
                        -op.clamp
                    } else {
                        v
                    };
                }
            }
        }
    }
}

/// The gradient through an activated layer, to what its convolution gave.
pub(super) struct ActBackward<'a> {
    pub(super) isa: Isa,
    /// Output of the layer.
    pub(super) y: &'a Map,
    /// Factors of the convolution `[N, C]` in whole blocks; `None` means 1.
    pub(super) scale: Option<&'a [f32]>,
    /// `[C]` in whole blocks.
    pub(super) bias: &'a [f32],
    /// A map `[H, W]` for each sample, with its stride in elements.
    pub(super) noise: Option<(&'a [f32], usize)>,
    /// Slope below zero (above 0 where the sums are wanted), gain, clamp.
    pub(super) act: [f32; 3],
    /// Gradient through a toRGB that reads y: the gradient of its picture `[N, K, H, W]` and its
    /// weights `[N, K, C]`.
    pub(super) rgb: Option<(&'a [f32], &'a [f32])>,
    /// Whether the sums are wanted.
    pub(super) sums: bool,
    /// Whether the gradient of the noise is one of them.
    pub(super) noise_sums: bool,
}

/// Sums of a gradient over pixels or channels.
#[derive(Default)]
pub(super) struct Sums {
    /// The gradient of the noise, `[N, H, W]`; empty unless it is wanted.
    pub(super) noise: Vec<f32>,
    /// The gradient of the scale times the scale, `[N, C]` in whole blocks.
    pub(super) scale: Vec<f32>,
    /// The gradient of the weights of toRGB, `[N, K, C]` in whole blocks.
    pub(super) rgb: Vec<f32>,
}

impl ActBackward<'_> {
    fn colours(&self) -> usize {
        let per_colour = self.y.n * self.y.blocks() * LANES;
        self.rgb.map_or(0, |(_, w)| w.len() / per_colour.max(1))
    }

    /// Turns the gradient of y in `g` into that of the convolution's result; `fresh` when there is
    /// none yet but toRGB's.
    pub(super) fn run(&self, g: &mut Map, fresh: bool) -> Sums {
        let (n, area, lanes, colours) =
            (self.y.n, self.y.h * self.y.w, self.y.blocks() * LANES, self.colours());
        self.check(g);
        let (chunks, each) = (area.div_ceil(PIXELS), (1 + colours) * lanes);
        let mut noise = vec![0f32; if self.sums && self.noise_sums { n * area } else { 0 }];
        let mut parts = Buffer::new(if self.sums { n * chunks * each } else { 0 });
        let (to, maps, sums) =
            (Shared::new(&mut g.data), Shared::new(&mut noise), Shared::new(&mut parts));
        jobs(n * chunks, 2, |job| {
            let (sample, first) = (job / chunks, job % chunks * PIXELS);
            let work = ActPixels {
                op: self,
                at: (sample, first),
                fresh,
                g: &to,
                noise: &maps,
                sums: (&sums, job * each),
            };
            // SAFETY: every job writes its own pixels and its own part of the sums.
            unsafe { self.isa.run(work) };
        });
        if !self.sums {
            return Sums::default();
        }
        let mut found = Sums { noise, ..Sums::default() };
        for parts in parts.chunks_exact(chunks * each) {
            let all = super::finish::total(parts, each);
            found.scale.extend_from_slice(&all[..lanes]);
            found.rgb.extend_from_slice(&all[lanes..]);
        }
        found
    }

    fn check(&self, g: &Map) {
        let (y, area, lanes) = (self.y, self.y.h * self.y.w, self.y.blocks() * LANES);
        assert_eq!((y.n, y.channels, y.h, y.w), (g.n, g.channels, g.h, g.w), "gradient and result");
        assert!(
            self.scale.is_none_or(|s| s.len() == y.n * lanes) && self.bias.len() == lanes,
            "scale and bias"
        );
        assert!(
            self.noise.is_none_or(|(map, apart)| map.len() >= (y.n - 1) * apart + area),
            "noise"
        );
        let colours = self.colours();
        assert!(
            colours <= COLOURS && self.rgb.is_none_or(|(g, _)| g.len() == y.n * colours * area),
            "toRGB"
        );
    }
}

struct ActPixels<'a> {
    op: &'a ActBackward<'a>,
    /// Sample and first pixel.
    at: (usize, usize),
    fresh: bool,
    g: &'a Shared<'a>,
    noise: &'a Shared<'a>,
    sums: (&'a Shared<'a>, usize),
}

impl Work for ActPixels<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: passed on. The colours are known to the compiler, so that they stay in registers.
        unsafe {
            match self.op.colours() {
                0 => self.pixels::<L, 0>(),
                1 => self.pixels::<L, 1>(),
                3 => self.pixels::<L, 3>(),
                _ => self.pixels::<L, COLOURS>(),
            }
        }
    }
}

impl ActPixels<'_> {
    #[inline(always)]
    unsafe fn pixels<L: Lanes, const K: usize>(self) {
        let (op, (sample, first)) = (self.op, self.at);
        let (y, blocks, area) = (op.y, op.y.blocks(), op.y.h * op.y.w);
        let pixels = PIXELS.min(area - first);
        let colours = op.colours();
        // With fewer than K colours, the first is repeated, with weights of zero.
        let colour = |k: usize| if k < colours { k } else { 0 };
        // SAFETY: `check` has compared all sizes; pixels and sums are the job's own.
        unsafe {
            let zero = L::splat(0.0);
            let mut noise = [zero; PIXELS];
            let [slope, gain, clamp] = op.act;
            let (above, below, clamp) = (L::splat(gain), L::splat(gain * slope), L::splat(clamp));
            let (up, down) = (L::splat(1.0 / gain), L::splat(1.0 / (gain * slope)));
            let map = op.noise.map(|(map, apart)| map.as_ptr().add(sample * apart + first));
            let pictures: [*const f32; K] = std::array::from_fn(|k| {
                op.rgb.map_or(std::ptr::null(), |(g, _)| {
                    g.as_ptr().add((sample * colours + colour(k)) * area + first)
                })
            });
            for block in 0..blocks {
                let lane = (sample * blocks + block) * LANES;
                let scale = match op.scale {
                    Some(s) => L::load(s.as_ptr().add(lane)),
                    None => L::splat(1.0),
                };
                let bias = L::load(op.bias.as_ptr().add(block * LANES));
                let mut w = [zero; K];
                if let Some((_, weights)) = op.rgb {
                    for (k, w) in w.iter_mut().take(colours).enumerate() {
                        *w = L::load(
                            weights.as_ptr().add(((sample * colours + k) * blocks + block) * LANES),
                        );
                    }
                }
                let start = (sample * blocks + block) * y.plane() + first * LANES;
                let (from, to) = (y.data.as_ptr().add(start), self.g.at(start));
                let (mut scales, mut rgb) = (zero, [zero; K]);
                for p in 0..pixels {
                    let v = L::load(from.add(p * LANES));
                    let mut g = if self.fresh { zero } else { L::load(to.add(p * LANES)) };
                    for k in 0..K {
                        let picture = L::splat(*pictures[k].add(p));
                        g = w[k].mul_add(picture, g);
                        rgb[k] = v.mul_add(picture, rgb[k]);
                    }
                    let g = v.inside(clamp, g.mul(v.positive(above, below)));
                    if op.sums {
                        if op.noise_sums {
                            noise[p] = noise[p].add(g);
                        }
                        let shift = match map {
                            Some(map) => bias.add(L::splat(*map.add(p))),
                            None => bias,
                        };
                        scales = g.mul_add(v.mul(v.positive(up, down)).sub(shift), scales);
                    }
                    g.mul(scale).store(to.add(p * LANES));
                }
                if op.sums {
                    let sums =
                        self.sums.0.slice(self.sums.1, (1 + colours) * blocks * LANES).as_mut_ptr();
                    scales.store(sums.add(block * LANES));
                    for (k, v) in rgb.into_iter().take(colours).enumerate() {
                        v.store(sums.add(((1 + k) * blocks + block) * LANES));
                    }
                }
            }
            if op.sums && op.noise_sums {
                let out = self.noise.slice(sample * area + first, pixels);
                for (o, v) in out.iter_mut().zip(noise) {
                    *o = v.sum();
                }
            }
        }
    }
}

/// `Σ_k w²` of a convolution, for demodulation: `[blocks of outputs, inputs, 16]`, inputs in whole
/// blocks.
pub(super) struct Squares {
    data: Buffer,
    inputs: usize,
    outputs: usize,
}

impl Squares {
    /// Computes the sums from weights `[O, I, taps]`.
    pub(super) fn new(w: &[f32], outputs: usize, inputs: usize) -> Self {
        let padded = inputs.next_multiple_of(LANES);
        let mut data = Buffer::zeros(outputs.next_multiple_of(LANES) * padded);
        let taps = (w.len() / (outputs * inputs).max(1)).max(1);
        for (at, k) in w.chunks_exact(taps).enumerate() {
            let (o, i) = (at / inputs, at % inputs);
            data[(o / LANES * padded + i) * LANES + o % LANES] = k.iter().map(|v| v * v).sum();
        }
        Self { data, inputs: padded, outputs }
    }

    /// The factors `1 / √(Σ (w·s)² + 1e-8)` for styles `[N, I]`: `[N, O]`, both in whole blocks.
    pub(super) fn factors(&self, isa: Isa, style: &[f32]) -> Vec<f32> {
        let lanes = self.outputs.next_multiple_of(LANES);
        let mut out = vec![0f32; style.len() / self.inputs.max(1) * lanes];
        let work = Norms { squares: self, style, out: &mut out };
        // SAFETY: the sizes match the squares.
        unsafe { isa.run(work) };
        for line in out.chunks_exact_mut(lanes) {
            let (used, rest) = line.split_at_mut(self.outputs);
            used.iter_mut().for_each(|v| *v = 1.0 / (*v + 1e-8).sqrt());
            rest.fill(0.0);
        }
        out
    }

    /// Contribution of the factors' gradient (given times the factors) to the styles' gradient:
    /// `−s_i Σ_o (g·d)_o d²_o Σ_k w²_oi`.
    pub(super) fn backward(
        &self,
        isa: Isa,
        style: &[f32],
        factors: &[f32],
        g: &[f32],
        to: &mut [f32],
    ) {
        let weighted: Vec<f32> = g.iter().zip(factors).map(|(g, d)| g * d * d).collect();
        let mut sums = vec![0f32; style.len()];
        // SAFETY: the sizes match the squares.
        unsafe { isa.run(NormsBack { squares: self, weighted: &weighted, out: &mut sums }) };
        for ((t, s), sum) in to.iter_mut().zip(style).zip(sums) {
            *t -= s * sum;
        }
    }
}

struct Norms<'a> {
    squares: &'a Squares,
    style: &'a [f32],
    out: &'a mut [f32],
}

impl Work for Norms<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let inputs = self.squares.inputs;
        let blocks = self.squares.data.chunks_exact(inputs * LANES);
        let lanes = self.squares.outputs.next_multiple_of(LANES);
        for (out, style) in self.out.chunks_exact_mut(lanes).zip(self.style.chunks_exact(inputs)) {
            for (out, squares) in out.chunks_exact_mut(LANES).zip(blocks.clone()) {
                // SAFETY: chunks of whole vectors.
                unsafe {
                    let mut sum = L::splat(0.0);
                    for (q, s) in squares.chunks_exact(LANES).zip(style) {
                        sum = L::load(q.as_ptr()).mul_add(L::splat(s * s), sum);
                    }
                    sum.store(out.as_mut_ptr());
                }
            }
        }
    }
}

struct NormsBack<'a> {
    squares: &'a Squares,
    weighted: &'a [f32],
    out: &'a mut [f32],
}

impl Work for NormsBack<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let inputs = self.squares.inputs;
        let lanes = self.squares.outputs.next_multiple_of(LANES);
        for (out, weighted) in
            self.out.chunks_exact_mut(inputs).zip(self.weighted.chunks_exact(lanes))
        {
            for (i, out) in out.iter_mut().enumerate() {
                // SAFETY: chunks of whole vectors.
                unsafe {
                    let mut sum = L::splat(0.0);
                    let blocks = self.squares.data.chunks_exact(inputs * LANES);
                    for (squares, w) in blocks.zip(weighted.chunks_exact(LANES)) {
                        sum = L::load(squares[i * LANES..].as_ptr())
                            .mul_add(L::load(w.as_ptr()), sum);
                    }
                    *out = sum.sum();
                }
            }
        }
    }
}
