//! The operators on NVIDIA GPUs: kernels of our own (`*.cu`, compiled to PTX by build.rs), cuBLAS
//! and cuDNN.
//!
//! Everything runs on one stream per device and stays there: no operator waits for the GPU or
//! copies to the host. Tensors have at most 2³¹ − 1 elements. Sums have a fixed order, and of
//! cuDNN's algorithms only those that give the same bits at every run are taken.
#![allow(unsafe_code)]

/// Loads kernel `$kernel` of the PTX `$module` and starts it with the arguments, which must be
/// those of the kernel.
macro_rules! launch {
    ($device:expr, $module:ident, $kernel:expr, $grid:expr, [$($argument:expr),* $(,)?]) => {{
        use candle_core::cuda_backend::{WrapErr, cudarc::driver::PushKernelArg};
        let kernel = $device.get_or_load_custom_func($kernel.as_ref(), concat!("gannet_", stringify!($module)), $module)?;
        // SAFETY: the arguments are the kernel's, in type and order; their sizes were checked by
        // the caller.
        unsafe { kernel.builder()$(.arg($argument))*.launch($grid) }.w().map(drop)
    }};
}

/// Evaluates `$body` with `$t` for the type in which `$storage` holds its numbers.
macro_rules! typed {
    ($op:expr, $storage:expr, $t:ident => $body:expr) => {
        match candle_core::backend::BackendStorage::dtype($storage) {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::F16 => {
                type $t = half::f16;
                $body
            }
            other => candle_core::bail!("{}: expected f32 or f16, found {other:?}", $op),
        }
    };
}

pub(super) mod act;
pub(super) mod conv;
#[cfg(feature = "cudnn")]
mod cudnn;
pub(super) mod fir;
pub(super) mod matmul;
#[cfg(not(feature = "cudnn"))]
mod unfold;

use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, CudaView, DeviceRepr, LaunchConfig, result, sys,
};
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage};
use candle_core::{Device, Layout, Result, Shape, bail};
use std::sync::atomic::{AtomicBool, Ordering};

/// An argument of an operator.
pub(super) type In<'a> = (&'a CudaStorage, &'a Layout);

/// Threads of a block that works on single elements.
const THREADS: usize = 256;
/// Blocks that fill any GPU of today; kernels loop when there are more elements.
const BLOCKS: usize = 1 << 13;

static TF32: AtomicBool = AtomicBool::new(true);

/// Allows or forbids TF32 in convolutions of f32: inputs rounded to 10 bits of mantissa, sums in
/// single precision. Allowed at first, as PyTorch does for convolutions; matrix products are always
/// in single precision, as there.
///
/// It has an effect with cuDNN alone: without it, convolutions are in single precision anyway.
pub fn allow_tf32(allowed: bool) {
    TF32.store(allowed, Ordering::Relaxed);
}

/// Whether convolutions of f32 use TF32.
pub(super) fn tf32() -> bool {
    cfg!(feature = "cudnn") && TF32.load(Ordering::Relaxed)
}

/// GPU `index`, set up for one process that uses it from any thread.
///
/// Errors with the driver's reason when the GPU does not exist.
pub(super) fn open(index: usize) -> std::result::Result<Device, String> {
    result::init().map_err(reason)?;
    // candle's plain device has a stream for each host thread, without an order between them: take
    // a single one.
    let device = Device::new_cuda_with_stream(index).map_err(|e| e.to_string())?;
    if let Device::Cuda(cuda) = &device {
        // SAFETY: every use of this device's memory is on its one stream, whose order is all that
        // is needed. Events would cost two allocations a tensor and several calls a kernel.
        unsafe { cuda.disable_event_tracking() };
        keep_freed_memory(cuda).map_err(reason)?;
    }
    Ok(device)
}

fn reason(e: result::DriverError) -> String {
    match e.error_string() {
        Ok(text) => format!("{} ({:?})", text.to_string_lossy(), e.0),
        Err(_) => format!("the CUDA driver answers {:?}", e.0),
    }
}

/// Freed memory stays with the process. By default the driver returns it at each synchronisation,
/// that is once a step, and maps it anew in the next.
fn keep_freed_memory(device: &CudaDevice) -> std::result::Result<(), result::DriverError> {
    let stream = device.cuda_stream();
    if !stream.context().has_async_alloc() {
        return Ok(());
    }
    let mut bytes = u64::MAX;
    // SAFETY: the device is open; the attribute is a 64-bit number.
    unsafe {
        let pool = result::device::get_default_mem_pool(stream.context().cu_device())?;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        result::mem_pool::set_attribute(pool, attribute, (&raw mut bytes).cast())
    }
}

/// A type that numbers are stored in; all are computed with in single precision.
trait Number: CudaDType + DeviceRepr {
    /// The name that a kernel has for this type.
    fn kernel(name: &str) -> String;
}

impl Number for f32 {
    fn kernel(name: &str) -> String {
        name.to_owned()
    }
}

impl Number for half::f16 {
    fn kernel(name: &str) -> String {
        format!("{name}_h")
    }
}

/// The numbers of a contiguous f32 tensor.
fn f32s<'a>(op: &str, input: In<'a>) -> Result<CudaView<'a, f32>> {
    numbers(op, input)
}

/// The numbers of a contiguous tensor of type `T`.
fn numbers<'a, T: Number>(op: &str, (storage, layout): In<'a>) -> Result<CudaView<'a, T>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: expected a contiguous tensor, found strides {:?}", layout.stride())
    };
    match storage.as_cuda_slice::<T>()?.try_slice(start..end) {
        Some(view) if i32::try_from(end - start).is_ok() => Ok(view),
        Some(_) => bail!(
            "{op}: {:?} is too large for one CUDA operator: use a smaller batch",
            layout.shape()
        ),
        None => bail!("{op}: a layout {:?} outside its data", layout.shape()),
    }
}

/// A result of `n` elements with any content.
fn empty<T: Number>(op: &str, device: &CudaDevice, n: usize) -> Result<CudaSlice<T>> {
    if i32::try_from(n).is_err() {
        bail!(
            "{op}: a result of {n} elements is too large for one CUDA operator: use a smaller batch"
        );
    }
    // SAFETY: every operator writes all of its result. The driver refuses sizes of zero.
    unsafe { device.alloc::<T>(n.max(1)) }
}

/// A result as candle holds it.
fn done<T: Number>(
    out: CudaSlice<T>,
    device: &CudaDevice,
    shape: impl Into<Shape>,
) -> Result<(CudaStorage, Shape)> {
    Ok((CudaStorage::wrap_cuda_slice(out, device.clone()), shape.into()))
}

/// The grid of a kernel that works on `n` single elements.
fn each(n: usize) -> LaunchConfig {
    grid([n.div_ceil(THREADS).clamp(1, BLOCKS), 1, 1], [THREADS, 1])
}

fn grid([x, y, z]: [usize; 3], [width, height]: [usize; 2]) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (x as u32, y as u32, z as u32),
        block_dim: (width as u32, height as u32, 1),
        shared_mem_bytes: 0,
    }
}
