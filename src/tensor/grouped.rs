//! Convolution in groups of channels: every group of outputs reads its own group of inputs.
//!
//! A group of one sample is a contiguous part of the map, so groups are convolved in place, without
//! copies of the input or of the weights.

#[cfg(feature = "cuda")]
use super::conv::conv2d;
use super::conv::{ConvParams, Sizes, tracked};
use super::raw::{f32s, planes};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Number of groups, and stride and padding of the kernel.
#[derive(Clone, Copy)]
struct Groups {
    count: usize,
    slide: ConvParams,
}

impl Groups {
    /// Samples, and the sizes of the convolution of one group of one sample, for x `[N, I, H, W]`
    /// and w `[O, I/groups, k, k]`.
    fn sizes(
        self,
        op: &str,
        (n, i, h, width): (usize, usize, usize, usize),
        w: (usize, usize, usize, usize),
    ) -> Result<(usize, Sizes)> {
        let (count, (o, own, k, across)) = (self.count, w);
        if count == 0 || i != own * count || o % count != 0 {
            bail!("{op}: weights {w:?} do not fit {i} channels in {count} groups");
        }
        let z = Sizes::new(op, (1, own, h, width), (o / count, own, k, across), self.slide)?;
        Ok((n, z))
    }
}

/// Elements of a group's input, weights and output.
fn parts(z: &Sizes) -> [usize; 3] {
    [z.i * z.h * z.w, z.o * z.i * z.k * z.k, z.o * z.oh * z.ow]
}

/// Part `i` of `len` elements.
fn part(all: &[f32], i: usize, len: usize) -> &[f32] {
    &all[i * len..][..len]
}

/// x `[n, i, h, w]`, w `[o, i/groups, k, k]` → `[n, o, oh, ow]`.
struct Conv(Groups);
/// g `[n, o, oh, ow]`, w `[o, i/groups, k, k]` → `[n, i, h, w]`; holds (h, w).
struct ConvT(Groups, (usize, usize));
/// x `[n, i, h, w]`, g `[n, o, oh, ow]` → `[o, i/groups, k, k]`; holds k.
struct ConvW(Groups, usize);

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "grouped_conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let count = self.0.count;
        let (n, z) = self.0.sizes(self.name(), l1.shape().dims4()?, l2.shape().dims4()?)?;
        let (x, w) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let [px, pw, py] = parts(&z);
        let mut out = vec![0f32; n * count * py];
        planes(&mut out, py, |b, dst| {
            dst.copy_from_slice(&z.forward(part(x, b, px), part(w, b % count, pw)));
        });
        Ok((CpuStorage::F32(out), (n, z.o * count, z.oh, z.ow).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((_, _, h, width), g) = (x.dims4()?, g.contiguous()?);
        let dx = tracked(x, || g.apply_op2_no_bwd(w, &ConvT(self.0, (h, width))))?;
        let dw = tracked(w, || x.apply_op2_no_bwd(&g, &ConvW(self.0, w.dim(2)?)))?;
        Ok((dx, dw))
    }
}

impl CustomOp2 for ConvT {
    fn name(&self) -> &'static str {
        "grouped_conv2d_input"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, w) = (self.0.count, l2.shape().dims4()?);
        let x = (l1.shape().dims4()?.0, w.1 * count, self.1.0, self.1.1);
        let (n, z) = self.0.sizes(self.name(), x, w)?;
        let (g, w) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let [px, pw, py] = parts(&z);
        let mut out = vec![0f32; n * count * px];
        planes(&mut out, px, |b, dst| {
            dst.copy_from_slice(&z.transpose(part(g, b, py), part(w, b % count, pw)));
        });
        Ok((CpuStorage::F32(out), x.into()))
    }
}

impl CustomOp2 for ConvW {
    fn name(&self) -> &'static str {
        "grouped_conv2d_weight"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, x, g) = (self.0.count, l1.shape().dims4()?, l2.shape().dims4()?);
        let w = (g.1, x.1 / count.max(1), self.1, self.1);
        let (n, z) = self.0.sizes(self.name(), x, w)?;
        let (x, g) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let [px, pw, py] = parts(&z);
        let mut out = vec![0f32; count * pw];
        planes(&mut out, pw, |group, dst| {
            for b in (0..n).map(|sample| sample * count + group) {
                let sum = z.weight(part(x, b, px), part(g, b, py));
                dst.iter_mut().zip(sum).for_each(|(d, s)| *d += s);
            }
        });
        Ok((CpuStorage::F32(out), w.into()))
    }
}

/// [`super::conv2d`] in groups of channels: group k of the outputs reads group k of the inputs
/// alone.
///
/// # Shapes
/// x `[N, I, H, W]`, w `[O, I/groups, k, k]` → `[N, O, (H + 2·padding − k)/stride + 1, …]`.
///
/// # Errors
/// When channels and groups do not fit.
pub fn grouped_conv2d(
    x: &Tensor,
    w: &Tensor,
    groups: usize,
    (stride, padding): (usize, usize),
) -> Result<Tensor> {
    let how = Groups { count: groups, slide: ConvParams { stride, padding } };
    // Checked here for every device.
    how.sizes("grouped_conv2d", x.dims4()?, w.dims4()?)?;
    #[cfg(feature = "cuda")]
    if !x.device().is_cpu() {
        let (own, outputs) = (w.dim(1)?, w.dim(0)? / groups);
        let group = |k: usize| {
            conv2d(
                &x.narrow(1, k * own, own)?,
                &w.narrow(0, k * outputs, outputs)?,
                stride,
                padding,
            )
        };
        return Tensor::cat(&(0..groups).map(group).collect::<Result<Vec<_>>>()?, 1);
    }
    x.contiguous()?.apply_op2(&w.contiguous()?, Conv(how))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{D, check, naive_conv};

    /// The channels `from..from + len` of dimension 0 or 1.
    fn narrow(t: &D, dim: usize, from: usize, len: usize) -> D {
        let inner: usize = t.shape[dim + 1..].iter().product();
        let outer: usize = t.shape[..dim].iter().product();
        let mut shape = t.shape.clone();
        shape[dim] = len;
        let line = |o: usize| &t.v[(o * t.shape[dim] + from) * inner..][..len * inner];
        D { shape, v: (0..outer).flat_map(|o| line(o).to_vec()).collect() }
    }

    fn naive(x: &D, w: &D, groups: usize, (stride, padding): (usize, usize)) -> D {
        let (own, outputs) = (w.shape[1], w.shape[0] / groups);
        let group = |k: usize| {
            let (x, w) = (narrow(x, 1, k * own, own), narrow(w, 0, k * outputs, outputs));
            naive_conv(&x, &w, stride, padding)
        };
        let each: Vec<D> = (0..groups).map(group).collect();
        let mut shape = each[0].shape.clone();
        let (n, size) = (shape[0], shape[1..].iter().product::<usize>());
        shape[1] *= groups;
        let sample = |i: usize| each.iter().flat_map(move |y| y.v[i * size..][..size].to_vec());
        D { shape, v: (0..n).flat_map(sample).collect() }
    }

    #[test]
    fn groups_by_plain_loops() {
        for (i, &(n, own, h, w, outputs, k, groups, s, p)) in [
            (2, 3, 5, 4, 2, 3, 4, 1, 1),
            (1, 1, 6, 6, 1, 3, 5, 1, 1),
            (2, 2, 5, 7, 3, 3, 2, 2, 0),
            (3, 4, 3, 3, 4, 1, 3, 1, 0),
            (1, 3, 4, 4, 3, 3, 1, 1, 1),
            (1, 8, 6, 6, 8, 3, 2, 1, 1),
        ]
        .iter()
        .enumerate()
        {
            let x = D::random("x", &[n, own * groups, h, w]);
            let arguments = [x, D::random("w", &[outputs * groups, own, k, k])];
            check(
                &format!("groups {i}"),
                &arguments,
                &|a| grouped_conv2d(&a[0], &a[1], groups, (s, p)),
                &|a| naive(&a[0], &a[1], groups, (s, p)),
            );
        }
    }

    #[test]
    fn channels_that_do_not_fit_are_refused() {
        let x = D::random("x", &[1, 6, 4, 4]).tensor();
        for (shape, groups) in [([4, 3, 3, 3], 3), ([4, 2, 3, 3], 3), ([6, 6, 3, 3], 0)] {
            let w = D::random("w", &shape).tensor();
            assert!(grouped_conv2d(&x, &w, groups, (1, 1)).is_err(), "{shape:?} {groups}");
        }
    }
}
