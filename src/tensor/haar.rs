//! The inverse Haar wavelet: four bands of a picture → the picture, twice as large.
//!
//! Bands are ordered as MobileStyleGAN has them (Belousov 2021, section 3.1): the means of all
//! channels first, then for every channel the differences of rows, of columns, and of both.
#![allow(unsafe_code)]

use super::act::scale;
use super::conv::tracked;
use super::raw::{Shared, f32s, inside, jobs, planes, with_numbers};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Bands of a channel.
pub(super) const BANDS: usize = 4;

/// Channel of a band of picture channel `c`, of `channels`.
fn band(c: usize, channels: usize, which: usize) -> usize {
    if which == 0 { c } else { channels + (BANDS - 1) * c + which - 1 }
}

/// The sizes of the bands, `[N, 4C, H, W]` with factors `[N, 4C]`: N, C, H, W.
fn sizes(x: &Shape, factors: &Shape) -> Result<[usize; 4]> {
    let (n, all, h, w) = x.dims4()?;
    if all % BANDS != 0 || factors.dims() != [n, all] {
        bail!(
            "haar_up2: bands {x:?} with factors {factors:?}: [N, 4C, H, W] and [N, 4C] are needed"
        );
    }
    Ok([n, all / BANDS, h, w])
}

struct HaarUp;

impl CustomOp2 for HaarUp {
    fn name(&self) -> &'static str {
        "haar_up2"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, c, h, w] = sizes(l1.shape(), l2.shape())?;
        let (x, factors) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let out = forward([c, h, w], [x, factors]);
        Ok((CpuStorage::F32(out), (n, c, 2 * h, 2 * w).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        factors: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (sizes, g) = (sizes(x.shape(), factors.shape())?, g.contiguous()?);
        let both = |t: &[&[f32]]| inside(|| backward(sizes, [t[0], t[1], t[2]]));
        let (dx, ds) = with_numbers(self.name(), &[x, factors, &g], both)?;
        let tensor = |v: Vec<f32>, like: &Tensor| Tensor::from_vec(v, like.shape(), like.device());
        Ok((tracked(x, || tensor(dx, x))?, tracked(factors, || tensor(ds, factors))?))
    }
}

/// The pictures of bands `[N, 4C, h, w]` with factors `[N, 4C]`.
pub(super) fn forward([c, h, w]: [usize; 3], [x, factors]: [&[f32]; 2]) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    planes(&mut out, BANDS * h * w, |i, dst| {
        let (sample, channel) = (i / c, i % c);
        let at = |which| sample * BANDS * c + band(channel, c, which);
        let [s, rows, columns, both] = std::array::from_fn(|b| 0.5 * factors[at(b)]);
        let planes: [&[f32]; BANDS] = std::array::from_fn(|b| &x[at(b) * h * w..][..h * w]);
        for (y, two) in dst.chunks_exact_mut(4 * w).enumerate() {
            let (above, below) = two.split_at_mut(2 * w);
            let line = planes.map(|p| &p[y * w..][..w]);
            for ((k, up), down) in
                above.chunks_exact_mut(2).enumerate().zip(below.chunks_exact_mut(2))
            {
                let (a, b) = (s * line[0][k], rows * line[1][k]);
                let (c, d) = (columns * line[2][k], both * line[3][k]);
                (up[0], up[1]) = ((a + b) + (c + d), (a + b) - (c + d));
                (down[0], down[1]) = ((a - b) + (c - d), (a - b) - (c - d));
            }
        }
    });
    out
}

/// Pixels that are worked on together.
const TOGETHER: usize = 16;

/// The gradients of the bands, which is the wavelet of g, and of the factors.
pub(super) fn backward(
    [n, c, h, w]: [usize; 4],
    [x, factors, g]: [&[f32]; 3],
) -> (Vec<f32>, Vec<f32>) {
    let (mut dx, mut ds) = (vec![0f32; x.len()], vec![0f32; factors.len()]);
    let (bands, sums, plane) = (Shared::new(&mut dx), Shared::new(&mut ds), h * w);
    jobs(n * c, 1, |i| {
        let (sample, channel) = (i / c, i % c);
        let at: [usize; BANDS] = std::array::from_fn(|b| sample * BANDS * c + band(channel, c, b));
        // SAFETY: every job owns the four bands of its channel.
        let to = at.map(|at| unsafe { bands.slice(at * plane, plane) });
        let (x, factors) = (at.map(|at| &x[at * plane..][..plane]), at.map(|at| factors[at]));
        let mut totals = [0f64; BANDS];
        for (y, two) in
            g[i * BANDS * plane..][..BANDS * plane].chunks_exact(4 * w.max(1)).enumerate()
        {
            let (above, below) = two.split_at(2 * w);
            let mut lanes = [[0f32; TOGETHER]; BANDS];
            for first in (0..w).step_by(TOGETHER) {
                let some = TOGETHER.min(w - first);
                let mut found = [[0f32; TOGETHER]; BANDS];
                for k in 0..some {
                    let [a, b] =
                        [above, below].map(|g| (g[2 * (first + k)], g[2 * (first + k) + 1]));
                    let (sums, differences) = ((a.0 + a.1, b.0 + b.1), (a.0 - a.1, b.0 - b.1));
                    found[0][k] = 0.5 * (sums.0 + sums.1);
                    found[1][k] = 0.5 * (sums.0 - sums.1);
                    found[2][k] = 0.5 * (differences.0 + differences.1);
                    found[3][k] = 0.5 * (differences.0 - differences.1);
                }
                for b in 0..BANDS {
                    let start = y * w + first;
                    let (to, x) = (&mut to[b][start..][..some], &x[b][start..][..some]);
                    for k in 0..some {
                        lanes[b][k] += x[k] * found[b][k];
                        to[k] = factors[b] * found[b][k];
                    }
                }
            }
            for (total, lanes) in totals.iter_mut().zip(&lanes) {
                *total += lanes.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
        }
        for (at, total) in at.into_iter().zip(totals) {
            // SAFETY: as above.
            let own = unsafe { sums.slice(at, 1) };
            own[0] = total as f32;
        }
    });
    (dx, ds)
}

/// Scales the bands of a Haar wavelet, then puts the picture together.
///
/// # Shapes
/// x `[N, 4C, H, W]`, factors `[N, 4C]` → `[N, C, 2H, 2W]`. Channel `c` of x holds the means of
/// picture channel `c`, channels `C + 3c` and the next two its differences of rows, of columns and
/// of both.
///
/// # Errors
/// When the channels are not four times a number, or the factors do not fit.
pub fn haar_up2(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op2(&factors.contiguous()?, HaarUp);
    }
    one_by_one(x, factors)
}

/// The same on other devices, from single operators.
fn one_by_one(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let [n, c, h, w] = sizes(x.shape(), factors.shape())?;
    let x = (scale(x, factors)? * 0.5)?;
    let means = x.narrow(1, 0, c)?;
    let rest = x.narrow(1, c, 3 * c)?.reshape((n, c, 3, h, w))?;
    let [rows, columns, both] = [0, 1, 2].map(|b| rest.narrow(2, b, 1).and_then(|t| t.squeeze(2)));
    let (rows, columns, both) = (rows?, columns?, both?);
    let line = |sign: f64| -> Result<Tensor> {
        let (a, b) = ((&means + (&rows * sign)?)?, (&columns + (&both * sign)?)?);
        Tensor::stack(&[(&a + &b)?, (&a - &b)?], 4)?.reshape((n, c, h, 2 * w))
    };
    Tensor::stack(&[line(1.0)?, line(-1.0)?], 3)?.reshape((n, c, 2 * h, 2 * w))
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, check, close, each4, flat};
    use super::*;

    /// As defined: rows, then columns, each by the filters [1, 1]/√2 and [1, −1]/√2.
    fn naive(x: &D, factors: &D) -> D {
        let (n, c, h, w) = (x.shape[0], x.shape[1] / 4, x.shape[2], x.shape[3]);
        let mut y = D::zeros(&[n, c, 2 * h, 2 * w]);
        each4(&y.shape.clone(), |[n, k, r, q]| {
            let sign = |odd: usize, which: usize| if odd * which == 1 { -1.0 } else { 1.0 };
            let mut sum = 0.0;
            for which in 0..4 {
                let channel = if which == 0 { k } else { c + 3 * k + which - 1 };
                let signs = sign(r % 2, which % 2) * sign(q % 2, which / 2);
                let v = x.v[x.at([n, channel, r / 2, q / 2])] * factors.v[n * 4 * c + channel];
                sum += signs * v / 2.0;
            }
            let at = y.at([n, k, r, q]);
            y.v[at] = sum;
        });
        y
    }

    #[test]
    fn bands_become_a_picture() {
        for (i, &(n, c, h, w)) in [(1, 1, 1, 1), (2, 3, 2, 3), (1, 2, 5, 4)].iter().enumerate() {
            let arguments = [D::random("x", &[n, 4 * c, h, w]), D::random("s", &[n, 4 * c])];
            let name = format!("haar {i}");
            check(&name, &arguments, &|a| haar_up2(&a[0], &a[1]), &|a| naive(&a[0], &a[1]));
            let other = one_by_one(&arguments[0].tensor(), &arguments[1].tensor()).expect("haar");
            close(&flat(&other), &naive(&arguments[0], &arguments[1]).v, 3e-6, &name);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        for (x, s) in [(&[1, 6, 2, 2], &[1, 6]), (&[2, 8, 2, 2], &[1, 8]), (&[1, 8, 2, 2], &[1, 4])]
        {
            assert!(haar_up2(&t(x), &t(s)).is_err() && one_by_one(&t(x), &t(s)).is_err(), "{x:?}");
        }
    }
}
