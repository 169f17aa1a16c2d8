//! Pointwise operators and the sums that are their gradients (act.cu).

use super::{In, Number, THREADS, done, each, empty, f32s, grid, numbers};
use crate::act::Activation;
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDevice, CudaStorage};
use candle_core::{Result, Shape};

const ACT: &str = include_str!(concat!(env!("OUT_DIR"), "/act.ptx"));
/// Elements of a plane that one block adds.
const PART: usize = 1 << 14;
/// Parts of a plane at most.
const PARTS: usize = 64;
/// Pixels and channel lanes of a block of `map_sum`, as in act.cu.
const PIXELS: usize = 32;
const LANES: usize = 16;

type Out = Result<(CudaStorage, Shape)>;

/// The activation as the kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Act {
    slope: f32,
    gain: f32,
    clamp: f32,
}

// SAFETY: three floats, as in act.cu.
unsafe impl DeviceRepr for Act {}

impl Act {
    fn new(a: Activation) -> Self {
        Self {
            slope: a.slope as f32,
            gain: a.gain as f32,
            clamp: a.clamp.map_or(f32::INFINITY, |c| c as f32),
        }
    }
}

/// x `[n, c, plane]`, bias `[c]`.
pub(crate) fn bias_act(a: Activation, sizes: [usize; 3], x: In<'_>, bias: In<'_>) -> Out {
    typed!("bias_act", x.0, T => bias_act_of::<T>(a, sizes, x, bias))
}

fn bias_act_of<T: Number>(
    a: Activation,
    [_, c, plane]: [usize; 3],
    x: In<'_>,
    bias: In<'_>,
) -> Out {
    let (op, device) = ("bias_act", x.0.device());
    let (src, bias) = (numbers::<T>(op, x)?, f32s(op, bias)?);
    let n = src.len();
    let mut out = empty::<T>(op, device, n)?;
    let sizes = (n as u32, plane as u32, c as u32);
    launch!(
        device,
        ACT,
        T::kernel(op),
        each(n),
        [&sizes.0, &sizes.1, &sizes.2, &Act::new(a), &src, &bias, &mut out]
    )?;
    done(out, device, x.1.shape())
}

/// y and g of one shape and type.
pub(crate) fn bias_act_grad(a: Activation, y: In<'_>, g: In<'_>) -> Out {
    typed!("bias_act_grad", y.0, T => bias_act_grad_of::<T>(a, y, g))
}

fn bias_act_grad_of<T: Number>(a: Activation, y: In<'_>, g: In<'_>) -> Out {
    let (op, device) = ("bias_act_grad", y.0.device());
    let (src, grad) = (numbers::<T>(op, y)?, numbers::<T>(op, g)?);
    let n = src.len();
    let mut out = empty::<T>(op, device, n)?;
    // The slope below zero, all in all.
    let act = Act { slope: (a.gain * a.slope) as f32, ..Act::new(a) };
    launch!(device, ACT, T::kernel(op), each(n), [&(n as u32), &act, &src, &grad, &mut out])?;
    done(out, device, y.1.shape())
}

/// x `[n, c, plane]`, noise `[n or 1, plane]`, bias `[c]`.
pub(crate) fn noise_bias_act(
    a: Activation,
    sizes: [usize; 3],
    [x, noise, bias]: [In<'_>; 3],
) -> Out {
    typed!("noise_bias_act", x.0, T => noise_bias_act_of::<T>(a, sizes, [x, noise, bias]))
}

fn noise_bias_act_of<T: Number>(
    a: Activation,
    sizes: [usize; 3],
    [x, noise, bias]: [In<'_>; 3],
) -> Out {
    let (device, [_, c, plane]) = (x.0.device(), sizes);
    let op = "noise_bias_act";
    let (src, map, bias) = (numbers::<T>(op, x)?, f32s(op, noise)?, f32s(op, bias)?);
    let n = src.len();
    let mut out = empty::<T>(op, device, n)?;
    let (act, shared) = (Act::new(a), u32::from(noise.1.dims()[0] == 1));
    let (name, sizes) = (T::kernel(op), (n as u32, plane as u32, c as u32));
    launch!(
        device,
        ACT,
        name,
        each(n),
        [&sizes.0, &sizes.1, &sizes.2, &shared, &act, &src, &map, &bias, &mut out]
    )?;
    done(out, device, x.1.shape())
}

/// x `[planes, plane]`, s `[planes]`.
pub(crate) fn scale(plane: usize, x: In<'_>, s: In<'_>) -> Out {
    typed!("scale", x.0, T => scale_of::<T>(plane, x, s))
}

fn scale_of<T: Number>(plane: usize, x: In<'_>, s: In<'_>) -> Out {
    let (op, device) = ("scale", x.0.device());
    let (src, s) = (numbers::<T>(op, x)?, f32s(op, s)?);
    let n = src.len();
    let mut out = empty::<T>(op, device, n)?;
    launch!(
        device,
        ACT,
        T::kernel(op),
        each(n),
        [&(n as u32), &(plane as u32), &src, &s, &mut out]
    )?;
    done(out, device, x.1.shape())
}

/// x `[n, c, plane]`, noise `[n or 1, plane]`.
pub(crate) fn add_noise([_, c, plane]: [usize; 3], x: In<'_>, noise: In<'_>) -> Out {
    let device = x.0.device();
    let (src, map) = (f32s("add_noise", x)?, f32s("add_noise", noise)?);
    let n = src.len();
    let mut out = empty::<f32>("add_noise", device, n)?;
    let (sizes, shared) = ((n as u32, plane as u32, c as u32), u32::from(noise.1.dims()[0] == 1));
    launch!(
        device,
        ACT,
        "add_noise",
        each(n),
        [&sizes.0, &sizes.1, &sizes.2, &shared, &src, &map, &mut out]
    )?;
    done(out, device, x.1.shape())
}

/// Two `[n, c, plane]` of one type to `[n, c]`.
pub(crate) fn plane_dot(sizes: [usize; 3], a: In<'_>, b: In<'_>) -> Out {
    typed!("plane_dot", a.0, T => plane_dot_of::<T>(sizes, a, b))
}

fn plane_dot_of<T: Number>([n, c, plane]: [usize; 3], a: In<'_>, b: In<'_>) -> Out {
    let (op, device, splits) = ("plane_dot", a.0.device(), splits(plane));
    let (x, y) = (numbers::<T>(op, a)?, numbers::<T>(op, b)?);
    let mut parts = empty(op, device, n * c * splits)?;
    if n * c > 0 {
        let blocks = grid([n * c, splits, 1], [THREADS, 1]);
        launch!(device, ACT, T::kernel(op), blocks, [&(plane as u32), &x, &y, &mut parts])?;
    }
    if splits == 1 {
        return done(parts, device, (n, c));
    }
    parts_sum(device, [n * c, 1, splits], &parts.as_view(), (n, c).into())
}

/// `[n, c, plane]` to `[c]`.
pub(crate) fn channel_sum(sizes: [usize; 3], x: In<'_>) -> Out {
    typed!("channel_sum", x.0, T => channel_sum_of::<T>(sizes, x))
}

fn channel_sum_of<T: Number>([n, c, plane]: [usize; 3], x: In<'_>) -> Out {
    let (device, splits) = (x.0.device(), splits(plane));
    let src = numbers::<T>("channel_sum", x)?;
    let mut parts = empty("channel_sum", device, n * c * splits)?;
    if n * c > 0 {
        let blocks = grid([n * c, splits, 1], [THREADS, 1]);
        launch!(device, ACT, T::kernel("plane_sum"), blocks, [&(plane as u32), &src, &mut parts])?;
    }
    parts_sum(device, [c, n, splits], &parts.as_view(), c.into())
}

/// Into how many parts a plane is cut, so that a few large planes occupy the whole GPU too.
fn splits(plane: usize) -> usize {
    plane.div_ceil(PART).clamp(1, PARTS)
}

fn parts_sum(
    device: &CudaDevice,
    [outs, n, splits]: [usize; 3],
    parts: &CudaView<'_, f32>,
    shape: Shape,
) -> Out {
    let mut out = empty::<f32>("parts_sum", device, outs)?;
    let sizes = (outs as u32, n as u32, splits as u32);
    launch!(device, ACT, "parts_sum", each(outs), [&sizes.0, &sizes.1, &sizes.2, parts, &mut out])?;
    done(out, device, shape)
}

/// `[maps * each, plane]` to `[maps, plane]`, of the shape `[maps, 1, h, w]`.
pub(crate) fn map_sum(sizes: [usize; 4], x: In<'_>) -> Out {
    typed!("map_sum", x.0, T => map_sum_of::<T>(sizes, x))
}

fn map_sum_of<T: Number>([maps, each, h, w]: [usize; 4], x: In<'_>) -> Out {
    let (op, device, plane) = ("map_sum", x.0.device(), h * w);
    let src = numbers::<T>(op, x)?;
    let mut out = empty::<f32>(op, device, maps * plane)?;
    if maps * plane > 0 {
        // A grid is at most 65535 high: no batch comes near.
        let blocks = grid([plane.div_ceil(PIXELS), maps, 1], [PIXELS, LANES]);
        launch!(
            device,
            ACT,
            T::kernel(op),
            blocks,
            [&(plane as u32), &(each as u32), &src, &mut out]
        )?;
    }
    done(out, device, (maps, 1, h, w))
}
