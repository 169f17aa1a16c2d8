//! Zero-insert upsampling, FIR filtering and decimation of images (upfirdn), with its gradient.
//!
//! For one axis, with filter taps f of length T in convolution order and x upsampled to xu
//! (xu\[i·up\] = x\[i\], else 0): `y[o] = Σ_t f[T − 1 − t] · xu[o·down + t − before]`. Its
//! transpose, which is its gradient, has the same form.

use super::conv::tracked;
#[cfg(feature = "cuda")]
use super::cuda;
use super::raw::{planes, scratch, singles, stored};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use std::sync::Arc;

/// A two-dimensional filter, held as a sum of column × row products: one when it is separable.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    terms: Arc<[(Vec<f32>, Vec<f32>)]>,
    height: usize,
    width: usize,
}

impl Filter {
    /// The outer product of `taps` with itself, normalised to sum 1, as StyleGAN2 makes
    /// `[1, 3, 3, 1]`.
    ///
    /// Errors when there are no taps or their sum is zero or not finite.
    pub fn new(taps: &[f64]) -> Result<Self> {
        let sum: f64 = taps.iter().sum();
        if !sum.is_normal() {
            bail!("a resampling filter needs taps with a sum other than zero, got {taps:?}");
        }
        let taps: Vec<f32> = taps.iter().map(|t| (t / sum) as f32).collect();
        Ok(Self { height: taps.len(), width: taps.len(), terms: [(taps.clone(), taps)].into() })
    }

    /// A given matrix `[height, width]` of taps, row-major, not normalised.
    ///
    /// Errors when the sizes do not fit or are zero, and when a tap is not finite.
    pub fn from_matrix(height: usize, width: usize, taps: &[f32]) -> Result<Self> {
        if taps.is_empty() || height.checked_mul(width) != Some(taps.len()) {
            bail!("a filter of {height}x{width} needs as many taps, got {}", taps.len());
        }
        if !taps.iter().all(|t| t.is_finite()) {
            bail!("a filter of {height}x{width} has a tap that is not finite");
        }
        let terms = match rank_one(width, taps) {
            Some(term) => vec![term],
            None => (0..height)
                .map(|r| {
                    let mut column = vec![0.0; height];
                    column[r] = 1.0;
                    (column, taps[r * width..][..width].to_vec())
                })
                .collect(),
        };
        Ok(Self { terms: terms.into(), height, width })
    }

    /// The outer product of `taps` with itself, not normalised, as StyleGAN3 stores
    /// its filters.
    ///
    /// Errors when there are no taps or one is not finite.
    pub fn from_taps(taps: &[f32]) -> Result<Self> {
        if taps.is_empty() || !taps.iter().all(|t| t.is_finite()) {
            bail!("a filter needs taps that are finite numbers, got {taps:?}");
        }
        Ok(Self {
            height: taps.len(),
            width: taps.len(),
            terms: [(taps.to_vec(), taps.to_vec())].into(),
        })
    }

    /// Height and width in taps.
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Column and row whose product it is, when it is one.
    pub(super) fn separable(&self) -> Option<&(Vec<f32>, Vec<f32>)> {
        match &*self.terms {
            [term] => Some(term),
            _ => None,
        }
    }

    /// Its taps, row-major.
    pub fn matrix(&self) -> Vec<f32> {
        let mut taps = vec![0.0; self.height * self.width];
        for (column, row) in self.terms.iter() {
            for (line, c) in taps.chunks_exact_mut(self.width).zip(column) {
                line.iter_mut().zip(row).for_each(|(t, r)| *t += c * r);
            }
        }
        taps
    }

    /// Turned by 180 degrees.
    pub(super) fn flipped(&self) -> Self {
        let turn = |v: &[f32]| v.iter().rev().copied().collect::<Vec<_>>();
        Self { terms: self.terms.iter().map(|(c, r)| (turn(c), turn(r))).collect(), ..*self }
    }
}

/// The column and row whose product the matrix is, when there are such.
fn rank_one(width: usize, taps: &[f32]) -> Option<(Vec<f32>, Vec<f32>)> {
    let (at, &peak) = taps.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    if !peak.is_normal() {
        return None;
    }
    let row = taps[at / width * width..][..width].to_vec();
    let column: Vec<f32> = taps.chunks_exact(width).map(|r| r[at % width] / peak).collect();
    let close = taps
        .iter()
        .enumerate()
        .all(|(i, t)| (t - column[i / width] * row[i % width]).abs() <= 1e-6 * peak.abs());
    close.then_some((column, row))
}

/// Resampling of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) up: usize,
    pub(super) down: usize,
    /// Zeros before the upsampled signal; negative crops.
    pub(super) before: isize,
    pub(super) out: usize,
}

impl Axis {
    fn new(n: usize, taps: usize, up: usize, down: usize, pad: (isize, isize)) -> Result<Self> {
        let full = || {
            let pixels = isize::try_from(n.checked_mul(up)?).ok()?;
            pixels.checked_add(pad.0)?.checked_add(pad.1)?.checked_sub_unsigned(taps)
        };
        match full() {
            Some(full) if full >= 0 && n > 0 && up > 0 && down > 0 => {
                Ok(Self { up, down, before: pad.0, out: full as usize / down + 1 })
            }
            _ => bail!(
                "fir: {taps} taps do not fit {n} pixels (up {up}, down {down}, padding {pad:?})"
            ),
        }
    }

    fn transposed(self, n: usize, taps: usize) -> Self {
        Self { up: self.down, down: self.up, before: taps as isize - 1 - self.before, out: n }
    }

    /// Arguments of the GPU's kernels, for an input of `n` pixels.
    #[cfg(feature = "cuda")]
    fn pass(self, n: usize, taps: usize) -> Result<cuda::fir::Axis> {
        let int = |v: isize| {
            i32::try_from(v)
                .map_err(|_| candle_core::Error::msg("fir: a picture too large for CUDA"))
        };
        let [input, output, taps, up, down] =
            [n, self.out, taps, self.up, self.down].map(|v| int(v as isize));
        let before = int(self.before)?;
        Ok(cuda::fir::Axis {
            input: input?,
            output: output?,
            taps: taps?,
            up: up?,
            down: down?,
            before,
        })
    }

    /// Outputs and inputs between two that one tap connects.
    fn steps(self) -> (usize, usize) {
        let g = gcd(self.up, self.down);
        (self.up / g, self.down / g)
    }

    /// Scratch space of [`line`] besides an input of `n`.
    fn spare(self, n: usize) -> usize {
        let (o_step, i_step) = self.steps();
        self.out.next_multiple_of(o_step) + n.next_multiple_of(i_step)
    }

    /// For tap `t` over an input of `n`: the first output, its input, the steps of both, and their
    /// number.
    fn hits(self, t: usize, n: usize) -> Option<Hits> {
        let (up, down) = (self.up as isize, self.down as isize);
        let shift = t as isize - self.before;
        // o·down + shift = i·up; solutions repeat every up/gcd outputs.
        let steps = self.steps();
        let (o_step, i_step) = (steps.0 as isize, steps.1 as isize);
        let first = (0..o_step).find(|o| (o * down + shift).rem_euclid(up) == 0)?;
        let start = (first * down + shift).div_euclid(up);
        let skip = if start < 0 { (-start + i_step - 1) / i_step } else { 0 };
        let (o, i) = (first + skip * o_step, start + skip * i_step);
        let by_out = (self.out as isize - o + o_step - 1).div_euclid(o_step);
        let by_in = (n as isize - i + i_step - 1).div_euclid(i_step);
        let count = by_out.min(by_in);
        (count > 0).then_some(Hits {
            o: o as usize,
            o_step: o_step as usize,
            i: i as usize,
            i_step: i_step as usize,
            count: count as usize,
        })
    }
}

pub(super) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Hits {
    o: usize,
    o_step: usize,
    i: usize,
    i_step: usize,
    count: usize,
}

/// Filters one line; `dst` is zero before. `spare` has [`Axis::spare`] elements: where a tap reads
/// or writes every second pixel, for example, these are first made contiguous so that the compiler
/// vectorises the loop.
fn line(dst: &mut [f32], src: &[f32], taps: &[f32], axis: Axis, spare: &mut [f32]) {
    let (o_step, i_step) = axis.steps();
    if (o_step, i_step) == (1, 1) {
        return weigh(dst, src, taps, axis, (dst.len(), src.len()), src.len());
    }
    let (outs, ins) = (dst.len().div_ceil(o_step), src.len().div_ceil(i_step));
    let (from, to) = spare.split_at_mut(ins * i_step);
    let to = &mut to[..outs * o_step];
    for (phase, from) in from.chunks_exact_mut(ins).enumerate() {
        from.iter_mut().zip(src.iter().skip(phase).step_by(i_step)).for_each(|(f, s)| *f = *s);
    }
    to.fill(0.0);
    weigh(to, from, taps, axis, (outs, ins), src.len());
    for (phase, to) in to.chunks_exact(outs).enumerate() {
        dst.iter_mut().skip(phase).step_by(o_step).zip(to).for_each(|(d, t)| *d = *t);
    }
}

/// `dst += f · src` for every tap of a line of `n` pixels whose phases lie one after the other,
/// `each` pixels long.
fn weigh(dst: &mut [f32], src: &[f32], taps: &[f32], axis: Axis, each: (usize, usize), n: usize) {
    for (t, f) in taps.iter().rev().enumerate() {
        let Some(h) = axis.hits(t, n) else { continue };
        let to = &mut dst[h.o % h.o_step * each.0 + h.o / h.o_step..][..h.count];
        let from = &src[h.i % h.i_step * each.1 + h.i / h.i_step..][..h.count];
        to.iter_mut().zip(from).for_each(|(d, s)| *d += f * s);
    }
}

/// Filters the rows of a plane against each other: `dst[oh, w] += f * src[h, w]`.
fn column(dst: &mut [f32], src: &[f32], width: usize, taps: &[f32], axis: Axis) {
    for (t, f) in taps.iter().rev().enumerate() {
        let Some(h) = axis.hits(t, src.len() / width) else { continue };
        for k in 0..h.count {
            let d = &mut dst[(h.o + k * h.o_step) * width..][..width];
            let s = &src[(h.i + k * h.i_step) * width..][..width];
            for (d, s) in d.iter_mut().zip(s) {
                *d += f * s;
            }
        }
    }
}

/// One resampling of planes of one size.
#[derive(Clone)]
pub(super) struct Fir {
    pub(super) filter: Filter,
    pub(super) y: Axis,
    pub(super) x: Axis,
    pub(super) gain: f32,
}

impl Fir {
    fn new(filter: &Filter, h: usize, w: usize, how: Resample) -> Result<Self> {
        let pad = (how.before, how.after);
        Self::padded(filter, (h, w), (how.up, how.down), [pad, pad], how.gain)
    }

    /// As [`fir`] of planes of `size`, with separate paddings for height and width.
    pub(super) fn padded(
        filter: &Filter,
        (h, w): (usize, usize),
        (up, down): (usize, usize),
        [pad_y, pad_x]: [(isize, isize); 2],
        gain: f64,
    ) -> Result<Self> {
        let (th, tw) = filter.size();
        let (y, x) = (Axis::new(h, th, up, down, pad_y)?, Axis::new(w, tw, up, down, pad_x)?);
        Ok(Self { filter: filter.clone(), y, x, gain: gain as f32 })
    }

    /// Doubles planes of `h × w`; see [`up2`].
    pub(super) fn up2(filter: &Filter, h: usize, w: usize) -> Result<Self> {
        Self::new(filter, h, w, doubling(filter))
    }

    /// The gradient of this resampling of planes of `h × w`.
    pub(super) fn transposed(&self, h: usize, w: usize) -> Self {
        let (th, tw) = self.filter.size();
        let (y, x) = (self.y.transposed(h, th), self.x.transposed(w, tw));
        Self { filter: self.filter.flipped(), y, x, gain: self.gain }
    }

    /// Resamples planes of `h × w`.
    pub(super) fn run(&self, src: &[f32], h: usize, w: usize) -> Vec<f32> {
        let count = src.len() / (h * w).max(1);
        let mut out = vec![0f32; count * self.y.out * self.x.out];
        planes(&mut out, self.y.out * self.x.out, |i, dst| {
            let src = &src[i * h * w..][..h * w];
            let each = h * self.x.out;
            scratch(each + self.x.spare(w), |buffer| {
                let (rows, spare) = buffer.split_at_mut(each);
                for (taps_y, taps_x) in self.filter.terms.iter() {
                    rows.fill(0.0);
                    for (dst, src) in rows.chunks_exact_mut(self.x.out).zip(src.chunks_exact(w)) {
                        line(dst, src, taps_x, self.x, spare);
                    }
                    column(dst, rows, self.x.out, taps_y, self.y);
                }
            });
            if self.gain != 1.0 {
                dst.iter_mut().for_each(|v| *v *= self.gain);
            }
        });
        out
    }
}

impl CustomOp1 for Fir {
    fn name(&self) -> &'static str {
        "fir"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let out = self.run(&singles(self.name(), storage, layout)?, h, w);
        Ok((stored(out, storage), (n, c, self.y.out, self.x.out).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (_, _, h, w) = layout.shape().dims4()?;
        // The kernels want the taps in the order in which they meet the input.
        let turned = self.filter.flipped();
        let (y, x) = (self.y.pass(h, turned.height)?, self.x.pass(w, turned.width)?);
        cuda::fir::Job { y, x, gain: self.gain, terms: &turned.terms }.run((storage, layout))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        tracked(x, || g.contiguous()?.apply_op1(self.transposed(h, w)))
    }
}

/// Parameters of [`fir`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resample {
    /// Upsampling factor.
    pub up: usize,
    /// Downsampling factor.
    pub down: usize,
    /// Zeros (negative: cropped pixels) above and left of the upsampled image.
    pub before: isize,
    /// The same below and right.
    pub after: isize,
    /// The result is scaled by this.
    pub gain: f64,
}

/// Inserts zeros, pads, convolves every channel with the filter, and decimates.
///
/// # Shapes
/// x `[N, C, H, W]` → `[N, C, (H·up + before + after − taps)/down + 1, …]`.
pub fn fir(x: &Tensor, filter: &Filter, how: Resample) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    x.contiguous()?.apply_op1(Fir::new(filter, h, w, how)?)
}

/// Doubles an image: zero insertion, filter, gain 4 (StyleGAN2's `upsample2d`).
///
/// # Shapes
/// x `[N, C, H, W]` → `[N, C, 2H, 2W]`.
pub fn up2(x: &Tensor, filter: &Filter) -> Result<Tensor> {
    fir(x, filter, doubling(filter))
}

/// Resampling that doubles an image with a filter.
fn doubling(filter: &Filter) -> Resample {
    let t = filter.size().0 as isize;
    Resample { up: 2, down: 1, before: (t + 1) / 2, after: (t - 2).div_euclid(2), gain: 4.0 }
}

/// Halves an image: filter, every second pixel (StyleGAN2's `downsample2d`).
///
/// # Shapes
/// x `[N, C, H, W]` → `[N, C, H/2, W/2]`.
pub fn down2(x: &Tensor, filter: &Filter) -> Result<Tensor> {
    let t = filter.size().0 as isize;
    fir(
        x,
        filter,
        Resample { up: 1, down: 2, before: (t - 1) / 2, after: (t - 2).div_euclid(2), gain: 1.0 },
    )
}
