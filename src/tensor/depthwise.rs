//! A 3×3 convolution of every channel by itself.
#![allow(unsafe_code)]

use super::conv::tracked;
use super::engine::{Isa, depthwise_rows};
use super::raw::{f32s, planes, sum};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Taps of a kernel.
pub(super) const TAPS: usize = 9;

/// N, C, H and W, when there are 9 taps for each channel.
fn sizes(l1: &Layout, l2: &Layout) -> Result<[usize; 4]> {
    let (n, c, h, w) = l1.shape().dims4()?;
    if l2.dims() != [c, 1, 3, 3] {
        bail!("depthwise: weights {:?} do not fit {:?}", l2.shape(), l1.shape());
    }
    Ok([n, c, h, w])
}

/// The taps of a channel, turned round for the gradient.
pub(super) fn taps_of(weight: &[f32], channel: usize, back: bool) -> [f32; TAPS] {
    let taps = &weight[channel * TAPS..][..TAPS];
    std::array::from_fn(|t| taps[if back { TAPS - 1 - t } else { t }])
}

/// The convolution, or its transpose.
struct Depthwise {
    back: bool,
}

impl CustomOp2 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [_, channels, h, w] = sizes(l1, l2)?;
        let (x, weight) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let (isa, mut out) = (Isa::current(), vec![0f32; x.len()]);
        planes(&mut out, h * w, |i, dst| {
            let taps = taps_of(weight, i % channels, self.back);
            depthwise_rows(isa, &x[i * h * w..][..h * w], (h, w), 0..h, &taps, dst);
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let dx = tracked(x, || g.apply_op2(w, Self { back: !self.back }))?;
        let dw = tracked(w, || match self.back {
            false => x.apply_op2(&g, Taps),
            true => g.apply_op2(x, Taps),
        })?;
        Ok((dx, dw))
    }
}

/// The gradient of the weights: x and g `[N, C, H, W]` → `[C, 1, 3, 3]`.
struct Taps;

impl CustomOp2 for Taps {
    fn name(&self) -> &'static str {
        "depthwise_weight"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = l1.shape().dims4()?;
        if l1.shape() != l2.shape() {
            bail!("depthwise_weight: {:?} does not fit {:?}", l2.shape(), l1.shape());
        }
        let (x, g) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let mut out = vec![0f64; c * TAPS];
        for (at, total) in out.iter_mut().enumerate() {
            let (channel, (ky, kx)) = (at / TAPS, (at % TAPS / 3, at % 3));
            // Columns of g whose neighbour lies in the plane.
            let (first, last) = (usize::from(kx == 0), w - usize::from(kx == 2 && w > 0));
            for sample in 0..n {
                let plane = (sample * c + channel) * h * w;
                for row in 0..h {
                    let Some(from) = (row + ky).checked_sub(1).filter(|y| *y < h) else { continue };
                    let g = &g[plane + row * w..][first..last.max(first)];
                    let x = &x[plane + from * w + first + kx - 1..];
                    *total += sum(g.len(), |i| g[i] * x[i]);
                }
            }
        }
        let out = out.into_iter().map(|v| v as f32).collect();
        Ok((CpuStorage::F32(out), (c, 1, 3, 3).into()))
    }
}

/// A 3×3 convolution of every channel by itself, zero padded to the same size.
///
/// # Shapes
/// x `[N, C, H, W]`, w `[C, 1, 3, 3]` → as x.
///
/// # Errors
/// When the weights do not fit.
pub fn depthwise(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op2(&w.contiguous()?, Depthwise { back: false });
    }
    shifted(x, w)
}

/// The same on other devices: nine shifted copies.
fn shifted(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let (_, c, height, width) = x.dims4()?;
    if w.dims() != [c, 1, 3, 3] {
        bail!("depthwise: weights {:?} do not fit {:?}", w.shape(), x.shape());
    }
    let padded = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
    let mut sum: Option<Tensor> = None;
    for tap in 0..TAPS {
        let moved = padded.narrow(2, tap / 3, height)?.narrow(3, tap % 3, width)?;
        let weight = w.narrow(2, tap / 3, 1)?.narrow(3, tap % 3, 1)?.reshape((1, c, 1, 1))?;
        let part = moved.broadcast_mul(&weight)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    sum.map_or_else(|| x.zeros_like(), Ok)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::reference::{D, check, close, each4, flat};
    use super::*;

    pub(crate) fn naive(x: &D, w: &D) -> D {
        let mut y = D::zeros(&x.shape);
        each4(&x.shape, |[n, c, r, q]| {
            let mut sum = 0.0;
            for t in 0..TAPS {
                let (iy, ix) = ((r + t / 3).wrapping_sub(1), (q + t % 3).wrapping_sub(1));
                if iy < x.shape[2] && ix < x.shape[3] {
                    sum += x.v[x.at([n, c, iy, ix])] * w.v[c * TAPS + t];
                }
            }
            let at = y.at([n, c, r, q]);
            y.v[at] = sum;
        });
        y
    }

    #[test]
    fn every_channel_by_itself() {
        for (i, &(n, c, h, w)) in
            [(1, 1, 1, 1), (2, 3, 5, 4), (1, 2, 2, 19), (1, 1, 3, 35), (1, 2, 1, 18)]
                .iter()
                .enumerate()
        {
            let arguments = [D::random("x", &[n, c, h, w]), D::random("w", &[c, 1, 3, 3])];
            let name = format!("depthwise {i}");
            check(&name, &arguments, &|a| depthwise(&a[0], &a[1]), &|a| naive(&a[0], &a[1]));
            let other = shifted(&arguments[0].tensor(), &arguments[1].tensor()).expect("shifted");
            close(&flat(&other), &naive(&arguments[0], &arguments[1]).v, 3e-6, &name);
        }
        for isa in Isa::EXACT.into_iter().filter(|isa| isa.available()) {
            let (x, w) = (D::random("x", &[1, 1, 37, 70]), D::random("w", &[1, 1, 3, 3]));
            let numbers = |d: &D| d.v.iter().map(|v| *v as f32).collect::<Vec<_>>();
            let mut out = vec![f32::NAN; 20 * 70];
            let taps = taps_of(&numbers(&w), 0, false);
            depthwise_rows(isa, &numbers(&x), (37, 70), 17..37, &taps, &mut out);
            let found: Vec<f64> = out.into_iter().map(f64::from).collect();
            close(&found, &naive(&x, &w).v[17 * 70..], 3e-6, isa.name());
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        for w in [&[2, 1, 3, 3][..], &[3, 1, 1, 1], &[3, 3, 3, 3]] {
            assert!(depthwise(&t(&[1, 3, 4, 4]), &t(w)).is_err(), "{w:?}");
            assert!(shifted(&t(&[1, 3, 4, 4]), &t(w)).is_err(), "{w:?}");
        }
    }
}
