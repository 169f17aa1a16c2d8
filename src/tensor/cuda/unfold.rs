//! Convolutions without cuDNN: inputs unfolded into columns (im2col, unfold.cu) and multiplied by
//! cuBLAS, one sample and a group of rows at a time.

use super::matmul::{Into, Mat, Multiplied, gemm};
use super::{Number, each, empty};
use crate::conv::Sizes;
use candle_core::cuda_backend::cudarc::cublas::{CudaBlas, Gemm};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{Result, bail};

const UNFOLD: &str = include_str!(concat!(env!("OUT_DIR"), "/unfold.ptx"));
/// Elements of the columns that are alive at a time: 256 MiB.
const COLUMNS: usize = 1 << 26;

/// Output rows `r0..r1`, as the kernels take them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Window {
    h: i32,
    w: i32,
    k: i32,
    stride: i32,
    padding: i32,
    ow: i32,
    r0: i32,
    r1: i32,
}

// SAFETY: eight integers, as in unfold.cu.
unsafe impl DeviceRepr for Window {}

/// A group of output rows inside one sample.
struct Group {
    sample: usize,
    window: Window,
    /// Offset of its columns in an output plane, and their number.
    at: usize,
    width: usize,
}

/// The groups of rows of every sample, with room for the columns of the largest.
fn groups<T: Number>(device: &CudaDevice, z: &Sizes) -> Result<(Vec<Group>, CudaSlice<T>)> {
    if [z.n, z.i, z.h, z.w, z.o, z.k].contains(&0) {
        bail!("conv2d: an empty convolution {z:?}");
    }
    let inner = z.i * z.k * z.k;
    let rows = (COLUMNS / (inner * z.ow)).clamp(1, z.oh);
    let window = |r0: usize| Window {
        h: z.h as i32,
        w: z.w as i32,
        k: z.k as i32,
        stride: z.slide.stride as i32,
        padding: z.slide.padding as i32,
        ow: z.ow as i32,
        r0: r0 as i32,
        r1: z.oh.min(r0 + rows) as i32,
    };
    let group = |sample, r0: usize| Group {
        sample,
        window: window(r0),
        at: r0 * z.ow,
        width: (z.oh.min(r0 + rows) - r0) * z.ow,
    };
    let all = (0..z.n)
        .flat_map(|s| (0..z.oh).step_by(rows).map(move |r| (s, r)))
        .map(|(s, r)| group(s, r))
        .collect();
    Ok((all, empty("conv2d", device, inner * rows * z.ow)?))
}

fn unfold<T: Number>(
    device: &CudaDevice,
    z: &Sizes,
    g: &Group,
    x: &CudaView<'_, T>,
    cols: &mut CudaSlice<T>,
) -> Result<()> {
    let (n, plane) = (z.i * z.k * z.k * g.width, z.i * z.h * z.w);
    let x = x.slice(g.sample * plane..(g.sample + 1) * plane);
    launch!(device, UNFOLD, T::kernel("unfold"), each(n), [&(n as u32), &g.window, &x, cols])
}

pub(super) fn forward<T: Multiplied + ValidAsZeroBits>(
    device: &CudaDevice,
    z: &Sizes,
    x: &CudaView<'_, T>,
    w: &CudaView<'_, T>,
) -> Result<CudaSlice<T>>
where
    CudaBlas: Gemm<T>,
{
    let (grid, inner) = (z.oh * z.ow, z.i * z.k * z.k);
    let mut out = empty("conv2d", device, z.n * z.o * grid)?;
    let (groups, mut cols) = groups(device, z)?;
    for g in &groups {
        unfold(device, z, g, x, &mut cols)?;
        let to = g.sample * z.o * grid;
        let into =
            Into { data: out.slice_mut(to + g.at..to + z.o * grid), stride: grid, add: false };
        let w = Mat { data: w.slice(..), stride: inner, transposed: false };
        let columns = Mat { data: cols.as_view(), stride: g.width, transposed: false };
        gemm(device, [z.o, g.width, inner], &w, &columns, into)?;
    }
    Ok(out)
}

pub(super) fn transpose<T: Multiplied + ValidAsZeroBits>(
    device: &CudaDevice,
    z: &Sizes,
    g: &CudaView<'_, T>,
    w: &CudaView<'_, T>,
) -> Result<CudaSlice<T>>
where
    CudaBlas: Gemm<T>,
{
    let (grid, inner, plane) = (z.oh * z.ow, z.i * z.k * z.k, z.i * z.h * z.w);
    let mut out = empty("conv_transpose2d", device, z.n * plane)?;
    device.cuda_stream().memset_zeros(&mut out).w()?;
    let (groups, mut cols) = groups(device, z)?;
    for group in &groups {
        let from = group.sample * z.o * grid;
        let w = Mat { data: w.slice(..), stride: inner, transposed: true };
        let g = Mat {
            data: g.slice(from + group.at..from + z.o * grid),
            stride: grid,
            transposed: false,
        };
        let into = Into { data: cols.as_view_mut(), stride: group.width, add: false };
        gemm(device, [inner, group.width, z.o], &w, &g, into)?;
        let mut to = out.slice_mut(group.sample * plane..(group.sample + 1) * plane);
        launch!(
            device,
            UNFOLD,
            T::kernel("fold"),
            each(plane),
            [&(plane as u32), &group.window, &cols, &mut to]
        )?;
    }
    Ok(out)
}

pub(super) fn weight<T: Multiplied + ValidAsZeroBits>(
    device: &CudaDevice,
    z: &Sizes,
    x: &CudaView<'_, T>,
    g: &CudaView<'_, T>,
) -> Result<CudaSlice<T>>
where
    CudaBlas: Gemm<T>,
{
    let (grid, inner) = (z.oh * z.ow, z.i * z.k * z.k);
    let mut out = empty("conv2d_weight", device, z.o * inner)?;
    let (groups, mut cols) = groups(device, z)?;
    for (i, group) in groups.iter().enumerate() {
        unfold(device, z, group, x, &mut cols)?;
        let from = group.sample * z.o * grid;
        let g = Mat {
            data: g.slice(from + group.at..from + z.o * grid),
            stride: grid,
            transposed: false,
        };
        let columns = Mat { data: cols.as_view(), stride: group.width, transposed: true };
        let into = Into { data: out.as_view_mut(), stride: inner, add: i > 0 };
        gemm(device, [z.o, inner, group.width], &g, &columns, into)?;
    }
    Ok(out)
}
