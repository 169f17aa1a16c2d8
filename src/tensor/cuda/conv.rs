//! Convolution, its transpose and its weight gradient.
//!
//! With cuDNN, each is one of its three calls. candle's own way through them would be longer: it
//! has cuDNN's forward call alone, picks an algorithm and clears a workspace at every call, and
//! does the transpose with a plain kernel. Writing the transpose as a convolution with flipped
//! weights, and that of stride 2 as four of them or over inserted zeros, is what cuDNN's backward
//! call does inside, without the copies. Without cuDNN, inputs are unfolded into columns and
//! multiplied by cuBLAS, as on the CPU.

#[cfg(feature = "cudnn")]
use super::cudnn as way;
#[cfg(not(feature = "cudnn"))]
use super::unfold as way;
use super::{In, done, numbers};
use crate::conv::Sizes;
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::CudaStorage;
use candle_core::{Result, Shape};

/// x `[n, i, h, w]`, w `[o, i, k, k]` → `[n, o, oh, ow]`.
pub(crate) fn forward(z: &Sizes, x: In<'_>, w: In<'_>) -> Result<(CudaStorage, Shape)> {
    let (op, device) = ("conv2d", x.0.device());
    typed!(op, x.0, T => {
        let out = way::forward::<T>(device, z, &numbers(op, x)?, &numbers(op, w)?)?;
        done(out, device, (z.n, z.o, z.oh, z.ow))
    })
}

/// g `[n, o, oh, ow]`, w `[o, i, k, k]` → `[n, i, h, w]`.
pub(crate) fn transpose(z: &Sizes, g: In<'_>, w: In<'_>) -> Result<(CudaStorage, Shape)> {
    let (op, device) = ("conv_transpose2d", g.0.device());
    typed!(op, g.0, T => {
        let out = way::transpose::<T>(device, z, &numbers(op, g)?, &numbers(op, w)?)?;
        done(out, device, (z.n, z.i, z.h, z.w))
    })
}

/// x `[n, i, h, w]`, g `[n, o, oh, ow]` → `[o, i, k, k]`: of weights in single precision alone.
pub(crate) fn weight(z: &Sizes, x: In<'_>, g: In<'_>) -> Result<(CudaStorage, Shape)> {
    let (op, device) = ("conv2d_weight", x.0.device());
    let out = way::weight::<f32>(device, z, &numbers(op, x)?, &numbers(op, g)?)?;
    done(out, device, (z.o, z.i, z.k, z.k))
}
