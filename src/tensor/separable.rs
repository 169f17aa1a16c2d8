//! A separable convolution: 3×3 of every channel by itself, then 1×1 over the channels, with a
//! style before and noise, bias and activation behind it.
//!
//! Maps are read and written once: a band of rows is convolved into a buffer that stays in the
//! cache, multiplied by the weights of the 1×1, and finished there.
#![allow(unsafe_code)]

use super::act::{Activation, bias_act, noise_bias_act, scale};
use super::conv::conv2d;
use super::depthwise::{TAPS, depthwise, taps_of};
use super::engine::{Band, FinishRows, Isa, PlaneBack, Through, taps_back};
use super::raw::{Into, Mat, Shared, gemm, jobs, scratch, sum};
use candle_core::{DType, Result, Tensor, bail};
use std::ops::Range;
use std::sync::Arc;

/// Elements of the buffers of one band.
const BUFFERED: usize = 1 << 16;
/// Pixels of a band at least and at most.
const PIXELS: (usize, usize) = (256, 2048);
/// Bands from which on they are shared out alone; fewer are cut by output channels as well.
const BANDS: usize = 8;
/// Output channels of such a part.
const ROWS: usize = 128;
/// Parts of the pixels whose sums for the gradient of the 1×1 are kept apart until the end.
const GROUPS: usize = 16;

/// A separable convolution with its weights.
#[derive(Clone, Debug)]
pub struct Separable {
    depthwise: Option<Tensor>,
    pointwise: Tensor,
    bias: Tensor,
    activation: Activation,
    fused: Option<Arc<Numbers>>,
}

/// The numbers of weights on the CPU.
#[derive(Debug)]
pub(super) struct Numbers {
    isa: Isa,
    /// `[I, 9]`.
    taps: Option<Vec<f32>>,
    /// `[O, I]`.
    mix: Vec<f32>,
    bias: Vec<f32>,
    act: [f32; 2],
}

impl Separable {
    /// A convolution with weights `[I, 1, 3, 3]` (none: 1×1 alone) and `[O, I, 1, 1]` and a bias
    /// `[O]`. Frozen weights are read once, so a change of them is not seen; trained ones are read at
    /// every use.
    ///
    /// # Errors
    /// When they do not fit, and for an activation that its fields forbid.
    pub fn new(
        depthwise: Option<&Tensor>,
        pointwise: &Tensor,
        bias: &Tensor,
        activation: Activation,
    ) -> Result<Self> {
        activation.check("separable")?;
        let (o, i, kh, kw) = pointwise.dims4()?;
        let fits = depthwise.is_none_or(|d| d.dims() == [i, 1, 3, 3]);
        if !fits || (kh, kw) != (1, 1) || bias.dims() != [o] {
            bail!(
                "separable: weights {:?} and {:?} and bias {:?} do not fit",
                depthwise.map(Tensor::dims),
                pointwise.dims(),
                bias.dims()
            );
        }
        let mut layer = Self {
            depthwise: depthwise.cloned(),
            pointwise: pointwise.clone(),
            bias: bias.clone(),
            activation,
            fused: None,
        };
        if !layer.trained() {
            layer.fused = layer.read()?;
        }
        Ok(layer)
    }

    /// The weights, in the order of their gradients.
    fn weights(&self) -> impl Iterator<Item = &Tensor> {
        self.depthwise.iter().chain([&self.pointwise, &self.bias])
    }

    /// Whether gradients of the weights may be asked for.
    pub(super) fn trained(&self) -> bool {
        self.weights().any(Tensor::track_op)
    }

    /// All weights as one tensor, in the order of their gradients.
    pub(super) fn flat(&self) -> Result<Tensor> {
        Tensor::cat(&self.weights().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?, 0)
    }

    /// The numbers of the weights; `None` where single operators run.
    pub(super) fn numbers(&self) -> Result<Option<Arc<Numbers>>> {
        if self.trained() { self.read() } else { Ok(self.fused.clone()) }
    }

    /// Reads the numbers of weights on the CPU.
    fn read(&self) -> Result<Option<Arc<Numbers>>> {
        let plain = |t: &Tensor| t.device().is_cpu() && t.dtype() == DType::F32;
        let a = self.activation;
        if a.clamp.is_some() || !self.weights().all(plain) {
            return Ok(None);
        }
        let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        Ok(Some(Arc::new(Numbers {
            isa: Isa::current(),
            taps: self.depthwise.as_ref().map(numbers).transpose()?,
            mix: numbers(&self.pointwise)?,
            bias: numbers(&self.bias)?,
            act: [a.slope as f32, a.gain as f32],
        })))
    }

    /// The convolution from single operators, with gradients to everything: x `[N, I, H, W]`, style
    /// `[N, I]`, noise `[N or 1, 1, H, W]` → `[N, O, H, W]`.
    pub(super) fn one_by_one(
        &self,
        x: &Tensor,
        style: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        let x = scale(x, style)?;
        let x = self.depthwise.as_ref().map_or(Ok(x.clone()), |d| depthwise(&x, d))?;
        let y = conv2d(&x, &self.pointwise, 1, 0)?;
        match noise {
            Some(noise) => noise_bias_act(&y, noise, &self.bias, self.activation),
            None => bias_act(&y, &self.bias, self.activation),
        }
    }
}

/// All sizes of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) n: usize,
    pub(super) i: usize,
    pub(super) o: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    /// Noise maps: none, one for all samples, or one a sample.
    pub(super) maps: usize,
}

impl Sizes {
    fn plane(self) -> usize {
        self.h * self.w
    }

    /// Rows of a band.
    fn rows(self) -> usize {
        let pixels = (BUFFERED / (self.i + self.o).max(1)).clamp(PIXELS.0, PIXELS.1);
        (pixels / self.w.max(1)).clamp(1, self.h.max(1))
    }

    /// Bands of a sample.
    fn bands(self) -> usize {
        self.h.div_ceil(self.rows())
    }

    /// The sample and the rows of a band, counted through all samples.
    fn band(self, at: usize) -> (usize, Range<usize>) {
        let (bands, rows) = (self.bands(), self.rows());
        let first = at % bands * rows;
        (at / bands, first..self.h.min(first + rows))
    }

    /// The noise map of a sample.
    fn map(self, sample: usize) -> Option<usize> {
        (self.maps > 0).then_some(if self.maps == 1 { 0 } else { sample })
    }

    /// Parts of `channels` results that a band is cut into.
    fn parts(self, channels: usize) -> usize {
        if self.n * self.bands() < BANDS { channels.div_ceil(ROWS).max(1) } else { 1 }
    }
}

/// The gradients of an operator of a chain.
#[derive(Default)]
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) style: Vec<f32>,
    pub(super) noise: Vec<f32>,
    /// Those of the weights, one after the other; empty where they are frozen.
    pub(super) weights: Vec<f32>,
}

impl Numbers {
    /// Channels in front of the convolution and behind it.
    pub(super) fn channels(&self) -> (usize, usize) {
        let o = self.bias.len();
        (self.mix.len() / o.max(1), o)
    }

    /// The taps of every channel of every sample, with its style; or the styles.
    fn factors(&self, style: &[f32]) -> Vec<f32> {
        let Some(taps) = &self.taps else { return style.to_vec() };
        let channels = taps.len() / TAPS;
        let scaled = |(at, s): (usize, &f32)| taps_of(taps, at % channels, false).map(|t| t * s);
        style.iter().enumerate().flat_map(scaled).collect()
    }

    /// x, styles and noise maps → the result.
    pub(super) fn forward(&self, z: Sizes, [x, style, noise]: [&[f32]; 3]) -> Vec<f32> {
        let (factors, parts) = (self.factors(style), z.parts(z.o));
        let each = factors.len() / z.n.max(1);
        let job = |shared: &Shared<'_>, job: usize| {
            let (sample, rows) = z.band(job / parts);
            let first = job % parts * ROWS;
            let outputs = if parts == 1 { 0..z.o } else { first..z.o.min(first + ROWS) };
            let (start, len) = (rows.start * z.w, rows.len() * z.w);
            let at = (sample * z.o + outputs.start) * z.plane() + start;
            scratch(z.i * len, |mid| {
                let band = Band {
                    x: &x[sample * z.i * z.plane()..][..z.i * z.plane()],
                    size: (z.h, z.w),
                    rows: rows.clone(),
                    factors: &factors[sample * each..][..each],
                    taps: self.taps.is_some(),
                    out: &mut *mid,
                };
                band.run(self.isa);
                let into = Into { out: shared, at, stride: z.plane(), add: false };
                let mix = Mat::new(&self.mix[outputs.start * z.i..], z.i);
                // SAFETY: every job owns its rows of its outputs.
                unsafe { gemm(into, [outputs.len(), len, z.i], mix, Mat::new(mid, len)) };
            });
            let finish = FinishRows {
                out: shared,
                at: (at, z.plane()),
                len,
                bias: &self.bias[outputs],
                noise: z.map(sample).map(|map| &noise[map * z.plane() + start..][..len]),
                act: self.act,
            };
            // SAFETY: as above.
            unsafe { finish.run(self.isa) };
        };
        let write = |out: &Shared<'_>| jobs(z.n * z.bands() * parts, 1, |k| job(out, k));
        // SAFETY: the products of all jobs cover the output; the rest follows them.
        unsafe { Shared::written(z.n * z.o * z.plane(), write) }
    }

    /// The gradient in front of the 1×1, `mixᵀ · (g through the activation)`, `[N, I, H, W]`; and
    /// with noise that of the sums before the activation, over the channels, `[N, H, W]`.
    fn mixed_back(&self, z: Sizes, [y, g]: [&[f32]; 2], noise: bool) -> [Vec<f32>; 2] {
        let noise = noise && z.maps > 0;
        let mut summed = vec![0f32; if noise { z.n * z.plane() } else { 0 }];
        let (sums, parts) = (Shared::new(&mut summed), z.parts(z.i));
        let job = |shared: &Shared<'_>, job: usize| {
            let (sample, rows) = z.band(job / parts);
            let first = job % parts * ROWS;
            let inputs = if parts == 1 { 0..z.i } else { first..z.i.min(first + ROWS) };
            let (start, len) = (rows.start * z.w, rows.len() * z.w);
            scratch(z.o * len, |through| {
                for (o, out) in through.chunks_exact_mut(len.max(1)).enumerate() {
                    let from = (sample * z.o + o) * z.plane() + start;
                    let (y, g) = (&y[from..][..len], &g[from..][..len]);
                    // SAFETY: the first part of a band owns the band's sums.
                    let sum = (noise && first == 0)
                        .then(|| unsafe { sums.slice(sample * z.plane() + start, len) });
                    Through { y, g, act: self.act, out, sum }.run(self.isa);
                }
                let at = (sample * z.i + inputs.start) * z.plane() + start;
                let into = Into { out: shared, at, stride: z.plane(), add: false };
                let mix = Mat::new(&self.mix[inputs.start..], z.i).t();
                // SAFETY: every job owns its rows of its channels.
                unsafe { gemm(into, [inputs.len(), len, z.o], mix, Mat::new(through, len)) };
            });
        };
        let write = |out: &Shared<'_>| jobs(z.n * z.bands() * parts, 1, |k| job(out, k));
        // SAFETY: the products of all jobs cover the output.
        let out = unsafe { Shared::written(z.n * z.i * z.plane(), write) };
        [out, summed]
    }

    /// The gradients of the 1×1 and of the bias, `[O, I]` and `[O]`, one after the other. The maps
    /// behind the 3×3 are computed again, a band at a time.
    fn mixing_back(&self, z: Sizes, factors: &[f32], [x, y, g]: [&[f32]; 3]) -> Vec<f32> {
        let (all, size) = (z.n * z.bands(), z.o * z.i + z.o);
        let groups = GROUPS.min(all).max(1);
        let mut sums = vec![0f32; groups * size];
        let (shared, each) = (Shared::new(&mut sums), factors.len() / z.n.max(1));
        jobs(groups, 1, |group| {
            for band in group * all / groups..(group + 1) * all / groups {
                let (sample, rows) = z.band(band);
                let (start, len) = (rows.start * z.w, rows.len() * z.w);
                scratch((z.i + z.o) * len, |buffer| {
                    let (mid, through) = buffer.split_at_mut(z.i * len);
                    // SAFETY: every job owns the sums of its group.
                    let bias = unsafe { shared.slice(group * size + z.o * z.i, z.o) };
                    for (o, out) in through.chunks_exact_mut(len.max(1)).enumerate() {
                        let from = (sample * z.o + o) * z.plane() + start;
                        let (y, g) = (&y[from..][..len], &g[from..][..len]);
                        Through { y, g, act: self.act, out, sum: None }.run(self.isa);
                        bias[o] += sum(len, |k| out[k]) as f32;
                    }
                    let band = Band {
                        x: &x[sample * z.i * z.plane()..][..z.i * z.plane()],
                        size: (z.h, z.w),
                        rows: rows.clone(),
                        factors: &factors[sample * each..][..each],
                        taps: self.taps.is_some(),
                        out: &mut *mid,
                    };
                    band.run(self.isa);
                    let into = Into { out: &shared, at: group * size, stride: z.i, add: true };
                    let (through, mid) = (Mat::new(through, len), Mat::new(mid, len).t());
                    // SAFETY: as above; the sums of the bias are behind those of the 1×1.
                    unsafe { gemm(into, [z.o, z.i, len], through, mid) };
                });
            }
        });
        let (total, others) = sums.split_at_mut(size);
        for other in others.chunks_exact(size) {
            total.iter_mut().zip(other).for_each(|(t, o)| *t += o);
        }
        sums.truncate(size);
        sums
    }

    /// From x, the styles, the result and its gradient; with those of the noise and of the weights
    /// where they are wanted.
    pub(super) fn backward(
        &self,
        z: Sizes,
        [x, style, y, g]: [&[f32]; 4],
        [noisy, trained]: [bool; 2],
    ) -> Gradients {
        let [mut gradient, mut noise] = self.mixed_back(z, [y, g], noisy);
        if noisy && z.maps == 1 && z.n > 1 {
            let (total, others) = noise.split_at_mut(z.plane());
            for other in others.chunks_exact(z.plane().max(1)) {
                total.iter_mut().zip(other).for_each(|(t, o)| *t += o);
            }
            noise.truncate(z.plane());
        }
        let mixing =
            if trained { self.mixing_back(z, &self.factors(style), [x, y, g]) } else { Vec::new() };
        let own = if trained && self.taps.is_some() { TAPS } else { 0 };
        let mut taps_found = vec![0f32; z.n * z.i * own];
        let mut styles = vec![0f32; z.n * z.i];
        let (planes, sums) = (Shared::new(&mut gradient), Shared::new(&mut styles));
        let found = Shared::new(&mut taps_found);
        jobs(z.n * z.i, 1, |at| {
            let taps = self.taps.as_ref().map(|t| taps_of(t, at % z.i, true));
            let mut sum = 0.0;
            let x = &x[at * z.plane()..][..z.plane()];
            // SAFETY: every job owns its plane, its taps and its sum.
            let (g, found, total) = unsafe {
                (
                    planes.slice(at * z.plane(), z.plane()),
                    found.slice(at * own, own),
                    sums.slice(at, 1),
                )
            };
            if own > 0 {
                let slopes = taps_back(self.isa, x, g, (z.h, z.w));
                found.iter_mut().zip(slopes).for_each(|(f, s)| *f = s as f32 * style[at]);
            }
            scratch(z.plane(), |spare| {
                let size = (z.h, z.w);
                let sum = &mut sum;
                PlaneBack { x, size, taps: taps.as_ref(), style: style[at], g, spare, sum }
                    .run(self.isa);
            });
            total[0] = sum as f32;
        });
        let (total, others) = taps_found.split_at_mut((z.i * own).min(z.n * z.i * own));
        for other in others.chunks_exact((z.i * own).max(1)) {
            total.iter_mut().zip(other).for_each(|(t, o)| *t += o);
        }
        taps_found.truncate(z.i * own);
        taps_found.extend(mixing);
        Gradients { x: gradient, style: styles, noise, weights: taps_found }
    }
}

#[cfg(test)]
mod tests {
    use super::super::depthwise::tests::naive as naive_depthwise;
    use super::super::reference::{D, check, close, compare, flat, naive_act, naive_conv};
    use super::*;

    const ACT: Activation = Activation { slope: 0.2, gain: 1.5, clamp: None };

    /// As defined; the arguments are x, style, 3×3, 1×1, bias and noise.
    fn naive(a: &[D], taps: bool, noise: bool) -> D {
        let (mut x, plane) = (a[0].clone(), a[0].shape[2] * a[0].shape[3]);
        x.v.iter_mut().enumerate().for_each(|(at, v)| *v *= a[1].v[at / plane]);
        let x = if taps { naive_depthwise(&x, &a[2]) } else { x };
        let mut y = naive_conv(&x, &a[3], 1, 0);
        let (o, each) = (y.shape[1], y.shape[1] * plane);
        for (at, v) in y.v.iter_mut().enumerate() {
            let map = if a[5].shape[0] == 1 { 0 } else { at / each * plane };
            let noise = if noise { a[5].v[map + at % plane] } else { 0.0 };
            *v = naive_act(*v + a[4].v[at / plane % o] + noise, ACT);
        }
        y
    }

    fn arguments(&[n, i, o, h, w, maps]: &[usize; 6]) -> Vec<D> {
        [
            ("x", vec![n, i, h, w]),
            ("s", vec![n, i]),
            ("d", vec![i, 1, 3, 3]),
            ("p", vec![o, i, 1, 1]),
            ("b", vec![o]),
            ("e", vec![maps, 1, h, w]),
        ]
        .map(|(name, shape)| D::random(name, &shape))
        .to_vec()
    }

    fn run(a: &[Tensor], taps: bool, noise: bool) -> Result<Tensor> {
        let layer = Separable::new(taps.then_some(&a[2]), &a[3], &a[4], ACT)?;
        layer.forward(&a[0], &a[1], noise.then_some(&a[5]))
    }

    #[test]
    fn fused_and_from_single_operators() {
        for (at, sizes) in
            [[1, 1, 1, 1, 1, 1], [2, 3, 4, 5, 4, 2], [1, 4, 2, 3, 19, 1]].iter().enumerate()
        {
            let all = arguments(sizes);
            for (taps, noise) in [(true, true), (true, false), (false, false), (false, true)] {
                let name = format!("separable {at} {taps} {noise}");
                let frozen: Vec<Tensor> = all[2..].iter().map(D::tensor).collect();
                // x, style and the noise in use have gradients; the weights are frozen.
                let free = if noise { &all[5..] } else { &[] };
                let arguments = [&all[..2], free].concat();
                let fast = |a: &[Tensor]| {
                    let maps = if noise { &a[2..] } else { &frozen[3..] };
                    run(&[&a[..2], &frozen[..3], maps].concat(), taps, noise)
                };
                let slow = |a: &[D]| {
                    let maps = if noise { &a[2..] } else { &all[5..] };
                    naive(&[&a[..2], &all[2..5], maps].concat(), taps, noise)
                };
                check(&name, &arguments, &fast, &slow);
            }
            compare(&format!("all of {at}"), &all, &|a| run(a, true, true), &|a| {
                naive(a, true, true)
            });
        }
    }

    /// Maps of many bands, and of few with many channels.
    #[test]
    fn bands_and_parts_meet() {
        for sizes in [[2, 20, 40, 70, 90, 2], [2, 20, 40, 70, 90, 1], [1, 300, 140, 6, 5, 1]] {
            let all = arguments(&sizes);
            let tensors: Vec<Tensor> = all.iter().map(D::tensor).collect();
            let found = run(&tensors, true, true).expect("separable");
            close(&flat(&found), &naive(&all, true, true).v, 3e-6, "large");
            // The gradients are those of the single operators, with frozen and with trained weights.
            for trained in [false, true] {
                let gradients = |fused: bool| -> Vec<Vec<f64>> {
                    let mut a = tensors.clone();
                    let searched = [0, 1, 5, 2, 3, 4];
                    let searched = if trained { &searched[..] } else { &searched[..3] };
                    let mut vars = Vec::new();
                    for k in searched {
                        let var = candle_core::Var::from_tensor(&a[*k]).expect("var");
                        a[*k] = var.as_tensor().clone();
                        vars.push(var);
                    }
                    let layer = Separable::new(Some(&a[2]), &a[3], &a[4], ACT).expect("layer");
                    let e = Some(&a[5]);
                    let y = match fused {
                        true => layer.forward(&a[0], &a[1], e),
                        false => layer.one_by_one(&a[0], &a[1], e),
                    };
                    let grads = y.and_then(|y| y.sqr()?.sum_all()?.backward()).expect("gradients");
                    vars.iter().map(|v| flat(grads.get(v).expect("gradient"))).collect()
                };
                for (a, b) in gradients(true).iter().zip(&gradients(false)) {
                    close(a, b, 1e-5, "gradient");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        let new =
            |d: &[usize], p: &[usize], b: &[usize]| Separable::new(Some(&t(d)), &t(p), &t(b), ACT);
        assert!(new(&[3, 1, 3, 3], &[2, 4, 1, 1], &[2]).is_err());
        assert!(new(&[4, 1, 3, 3], &[2, 4, 3, 3], &[2]).is_err());
        assert!(new(&[4, 1, 3, 3], &[2, 4, 1, 1], &[3]).is_err());
        let layer = new(&[4, 1, 3, 3], &[2, 4, 1, 1], &[2]).expect("layer");
        let run = |x: &[usize], s: &[usize], e: &[usize]| layer.forward(&t(x), &t(s), Some(&t(e)));
        assert!(run(&[1, 4, 5, 5], &[1, 4], &[1, 1, 5, 5]).is_ok());
        assert!(run(&[1, 3, 5, 5], &[1, 3], &[1, 1, 5, 5]).is_err());
        assert!(run(&[2, 4, 5, 5], &[1, 4], &[1, 1, 5, 5]).is_err());
        assert!(run(&[1, 4, 5, 5], &[1, 4], &[2, 1, 5, 5]).is_err());
    }
}
