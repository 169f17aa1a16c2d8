//! Convolutions by cuDNN: descriptors and algorithms are made once for every size and kept. Sums
//! are in single precision for every number format.

use super::{Number, empty, tf32};
use crate::conv::Sizes;
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgo, cudnnConvolutionBwdFilterAlgo_t as FilterAlgo,
    cudnnConvolutionFwdAlgo_t as Algo, cudnnConvolutionMode_t as Mode, cudnnMathType_t as Math,
    cudnnTensorFormat_t as Format,
};
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType,
    CudnnError, FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, DeviceId, WrapErr};
use candle_core::{Error, Result, bail};
use half::f16;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// Maximum bytes of an algorithm's workspace; above it, the plain algorithm is used.
const WORKSPACE: usize = 1 << 30;

/// An algorithm and the bytes of its workspace.
type Choice<A> = (A, usize);

/// One convolution as cuDNN describes it, with the algorithms once they are chosen.
pub(super) struct Plan<T: CudnnDataType> {
    /// Descriptor in the type of the sums.
    conv: ConvDescriptor<f32>,
    /// `[n, i, h, w]`.
    x: TensorDescriptor<T>,
    w: FilterDescriptor<T>,
    /// `[n, o, oh, ow]`.
    y: TensorDescriptor<T>,
    forward: Option<Choice<Algo>>,
    data: Option<Choice<DataAlgo>>,
    filter: Option<Choice<FilterAlgo>>,
}

/// Device, sizes, and whether TF32 is allowed.
pub(super) type Key = (DeviceId, Sizes, bool);

#[derive(Default)]
pub(super) struct Plans {
    handles: HashMap<DeviceId, Arc<Cudnn>>,
    singles: HashMap<Key, Plan<f32>>,
    halves: HashMap<Key, Plan<f16>>,
}

/// A type that cuDNN convolves.
pub(super) trait Convolved: Number + CudnnDataType {
    /// Scale factors that overwrite the destination with the result.
    const WRITE: (Self, Self);
    /// The plans of this type.
    fn plans(all: &mut Plans) -> &mut HashMap<Key, Plan<Self>>;
    /// Math mode of products.
    fn math(tf32: bool) -> Math;
}

impl Convolved for f32 {
    const WRITE: (Self, Self) = (1.0, 0.0);

    fn plans(all: &mut Plans) -> &mut HashMap<Key, Plan<Self>> {
        &mut all.singles
    }

    /// cuDNN's default permits TF32 for single precision.
    fn math(tf32: bool) -> Math {
        if tf32 { Math::CUDNN_DEFAULT_MATH } else { Math::CUDNN_FMA_MATH }
    }
}

impl Convolved for f16 {
    const WRITE: (Self, Self) = (f16::ONE, f16::ZERO);

    fn plans(all: &mut Plans) -> &mut HashMap<Key, Plan<Self>> {
        &mut all.halves
    }

    fn math(_: bool) -> Math {
        Math::CUDNN_TENSOR_OP_MATH
    }
}

// SAFETY: a handle and its descriptors may be used from any thread, one at a time; they are reached
// under the lock alone.
unsafe impl Send for Plans {}

static PLANS: LazyLock<Mutex<Plans>> = LazyLock::new(Mutex::default);

fn failed(e: CudnnError) -> Error {
    Error::msg(format!("cuDNN: {e}"))
}

impl<T: Convolved> Plan<T> {
    fn new(handle: &Arc<Cudnn>, z: &Sizes, tf32: bool) -> std::result::Result<Self, CudnnError> {
        let (s, p) = (z.slide.stride as i32, z.slide.padding as i32);
        let size = |a: [usize; 4]| a.map(|n| n as i32);
        let mut conv =
            handle.create_conv2d([p, p], [s, s], [1, 1], Mode::CUDNN_CROSS_CORRELATION)?;
        conv.set_math_type(T::math(tf32))?;
        let format = Format::CUDNN_TENSOR_NCHW;
        Ok(Self {
            conv,
            x: handle.create_4d_tensor(format, size([z.n, z.i, z.h, z.w]))?,
            w: handle.create_4d_filter(format, size([z.o, z.i, z.k, z.k]))?,
            y: handle.create_4d_tensor(format, size([z.n, z.o, z.oh, z.ow]))?,
            forward: None,
            data: None,
            filter: None,
        })
    }
}

/// Runs `f` with the plan of these sizes.
fn with_plan<T: Convolved, R>(
    device: &CudaDevice,
    z: &Sizes,
    f: impl FnOnce(&mut Plan<T>) -> Result<R>,
) -> Result<R> {
    if [z.n, z.i, z.h, z.w, z.o, z.k].contains(&0) {
        bail!("conv2d: an empty convolution {z:?}");
    }
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().w()?;
    let mut plans =
        PLANS.lock().map_err(|_| Error::msg("a convolution failed in another thread"))?;
    let key = (device.id(), *z, tf32());
    if !T::plans(&mut plans).contains_key(&key) {
        let handle = match plans.handles.get(&key.0) {
            Some(handle) => handle.clone(),
            None => {
                let handle = Cudnn::new(stream).map_err(failed)?;
                plans.handles.insert(key.0, handle.clone());
                handle
            }
        };
        let plan = Plan::new(&handle, z, key.2).map_err(failed)?;
        T::plans(&mut plans).insert(key, plan);
    }
    match T::plans(&mut plans).get_mut(&key) {
        Some(plan) => f(plan),
        None => bail!("conv2d: a plan is gone"),
    }
}

/// The algorithm that cuDNN recommends, or `plain` when `fits` is false or its workspace is too
/// large.
fn choose<A: Copy>(
    kept: &mut Option<Choice<A>>,
    advised: A,
    plain: A,
    workspace: impl Fn(A) -> std::result::Result<usize, CudnnError>,
) -> Result<Choice<A>> {
    if let Some(choice) = *kept {
        return Ok(choice);
    }
    let choice = match workspace(advised) {
        Ok(bytes) if bytes <= WORKSPACE => (advised, bytes),
        _ => (plain, workspace(plain).map_err(failed)?),
    };
    *kept = Some(choice);
    Ok(choice)
}

fn workspace(device: &CudaDevice, bytes: usize) -> Result<CudaSlice<u8>> {
    // SAFETY: cuDNN reads only what it has written before.
    unsafe { device.alloc::<u8>(bytes.max(1)) }
}

pub(super) fn forward<T: Convolved>(
    device: &CudaDevice,
    z: &Sizes,
    x: &CudaView<'_, T>,
    w: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let mut out = empty("conv2d", device, z.n * z.o * z.oh * z.ow)?;
    with_plan(device, z, |plan: &mut Plan<T>| {
        let call = ConvForward { conv: &plan.conv, x: &plan.x, w: &plan.w, y: &plan.y };
        let advised = match plan.forward {
            Some((kept, _)) => kept,
            None => call.pick_algorithm().map_err(failed)?,
        };
        let plain = Algo::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
        let (algo, bytes) =
            choose(&mut plan.forward, advised, plain, |a| call.get_workspace_size(a))?;
        let mut space = workspace(device, bytes)?;
        // SAFETY: the numbers are those that the descriptors describe: sizes were checked against
        // the tensors.
        unsafe { call.launch(algo, Some(&mut space), T::WRITE, x, w, &mut out) }.map_err(failed)
    })?;
    Ok(out)
}

pub(super) fn transpose<T: Convolved>(
    device: &CudaDevice,
    z: &Sizes,
    g: &CudaView<'_, T>,
    w: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let mut out = empty("conv_transpose2d", device, z.n * z.i * z.h * z.w)?;
    with_plan(device, z, |plan: &mut Plan<T>| {
        let call = ConvBackwardData { conv: &plan.conv, dx: &plan.x, w: &plan.w, dy: &plan.y };
        let plain = DataAlgo::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
        let advised = match plan.data {
            Some((kept, _)) => kept,
            // ALGO_0 adds in any order: other bits at every run.
            None => match call.pick_algorithm().map_err(failed)? {
                DataAlgo::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => plain,
                other => other,
            },
        };
        let (algo, bytes) = choose(&mut plan.data, advised, plain, |a| call.get_workspace_size(a))?;
        let mut space = workspace(device, bytes)?;
        // SAFETY: as in `forward`.
        unsafe { call.launch(algo, Some(&mut space), T::WRITE, &mut out, w, g) }.map_err(failed)
    })?;
    Ok(out)
}

pub(super) fn weight<T: Convolved>(
    device: &CudaDevice,
    z: &Sizes,
    x: &CudaView<'_, T>,
    g: &CudaView<'_, T>,
) -> Result<CudaSlice<T>> {
    let mut out = empty("conv2d_weight", device, z.o * z.i * z.k * z.k)?;
    with_plan(device, z, |plan: &mut Plan<T>| {
        let call = ConvBackwardFilter { conv: &plan.conv, x: &plan.x, dw: &plan.w, dy: &plan.y };
        let plain = FilterAlgo::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
        let advised = match plan.filter {
            Some((kept, _)) => kept,
            // These two add in any order: other bits at every run.
            None => match call.pick_algorithm().map_err(failed)? {
                FilterAlgo::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
                | FilterAlgo::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3 => plain,
                other => other,
            },
        };
        let (algo, bytes) =
            choose(&mut plan.filter, advised, plain, |a| call.get_workspace_size(a))?;
        let mut space = workspace(device, bytes)?;
        // SAFETY: as in `forward`.
        unsafe { call.launch(algo, Some(&mut space), T::WRITE, x, &mut out, g) }.map_err(failed)
    })?;
    Ok(out)
}
