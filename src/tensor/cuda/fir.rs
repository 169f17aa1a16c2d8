//! Resampling (fir.cu): any factors and taps, in one pass while the filter is small and in two when
//! it is a product.

use super::{In, Number, done, empty, grid, numbers};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr};
use candle_core::cuda_backend::{CudaDevice, CudaStorage};
use candle_core::{Result, Shape, bail};

const FIR: &str = include_str!(concat!(env!("OUT_DIR"), "/fir.ptx"));
/// Taps of one pass, as in fir.cu.
const MAX_TAPS: usize = 256;
/// Taps up to which one pass over a product is cheaper than two with a picture in between.
const ONE_PASS: usize = 36;
/// Outputs of a block of threads, as in fir.cu.
const TILE_W: usize = 32;
const TILE_H: usize = 8;
const ROWS: usize = 4;
/// A grid's depth; the kernel loops over more planes.
const MAX_DEPTH: usize = 65535;

/// One axis of a pass, as the kernel takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Pixels in and out.
    pub input: i32,
    pub output: i32,
    /// Taps of the filter.
    pub taps: i32,
    pub up: i32,
    pub down: i32,
    /// Zeros before the upsampled line; negative crops.
    pub before: i32,
}

impl Axis {
    /// An axis that a pass leaves alone.
    fn still(n: i32) -> Self {
        Self { input: n, output: n, taps: 1, up: 1, down: 1, before: 0 }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Pass {
    y: Axis,
    x: Axis,
    planes: i32,
    gain: f32,
    taps: [f32; MAX_TAPS],
}

// SAFETY: numbers alone, laid out as `Fir` in fir.cu.
unsafe impl DeviceRepr for Pass {}

impl Pass {
    /// The kernel that was compiled for these sizes, or the one for any.
    fn kernel(&self) -> &'static str {
        let is =
            |up, down| [self.y, self.x].iter().all(|a| (a.taps, a.up, a.down) == (4, up, down));
        match () {
            () if is(1, 1) => "fir_4",
            () if is(2, 1) => "fir_4_up2",
            () if is(1, 2) => "fir_4_down2",
            () => "fir",
        }
    }

    fn run<T: Number>(&self, device: &CudaDevice, src: &CudaView<'_, T>) -> Result<CudaSlice<T>> {
        let size = [self.planes, self.y.output, self.x.output].map(|n| n as usize);
        let mut out = empty("fir", device, size.iter().product())?;
        if out.len() >= size.iter().product() && size.iter().all(|&n| n > 0) {
            let tiles =
                [size[2].div_ceil(TILE_W), size[1].div_ceil(TILE_H * ROWS), size[0].min(MAX_DEPTH)];
            launch!(
                device,
                FIR,
                T::kernel(self.kernel()),
                grid(tiles, [TILE_W, TILE_H]),
                [self, src, &mut out]
            )?;
        }
        Ok(out)
    }
}

/// A filter to run: both axes, what it is scaled by, and its terms, each a column and a row whose
/// product it is, in the order in which they meet the input.
pub(crate) struct Job<'a> {
    pub y: Axis,
    pub x: Axis,
    pub gain: f32,
    pub terms: &'a [(Vec<f32>, Vec<f32>)],
}

impl Job<'_> {
    fn pass(&self, planes: usize, taps: &[f32]) -> Result<Pass> {
        let mut pass = Pass {
            y: self.y,
            x: self.x,
            planes: planes as i32,
            gain: self.gain,
            taps: [0.0; MAX_TAPS],
        };
        match pass.taps.get_mut(..taps.len()) {
            Some(to) => to.copy_from_slice(taps),
            None => bail!(
                "fir: a filter of {} taps in one pass is too large for CUDA: at most {MAX_TAPS}",
                taps.len()
            ),
        }
        Ok(pass)
    }

    /// All taps, row-major.
    fn matrix(&self) -> Vec<f32> {
        let (height, width) = (self.y.taps as usize, self.x.taps as usize);
        let sum = |i: usize| {
            self.terms.iter().map(|(column, row)| column[i / width] * row[i % width]).sum()
        };
        (0..height * width).map(sum).collect()
    }

    /// x `[n, c, h, w]` → `[n, c, oh, ow]`.
    pub(crate) fn run(&self, x: In<'_>) -> Result<(CudaStorage, Shape)> {
        typed!("fir", x.0, T => self.run_of::<T>(x))
    }

    fn run_of<T: Number>(&self, x: In<'_>) -> Result<(CudaStorage, Shape)> {
        let ((n, c, _, _), device) = (x.1.shape().dims4()?, x.0.device());
        let (src, planes) = (numbers::<T>("fir", x)?, n * c);
        let out = match self.terms {
            [(column, row)] if column.len() * row.len() > ONE_PASS => {
                let (y, x) = (Axis::still(self.y.input), Axis::still(self.x.output));
                let rows = Job { y, gain: 1.0, ..*self }.pass(planes, row)?.run(device, &src)?;
                Job { x, ..*self }.pass(planes, column)?.run(device, &rows.as_view())?
            }
            _ => self.pass(planes, &self.matrix())?.run(device, &src)?,
        };
        done(out, device, (n, c, self.y.output as usize, self.x.output as usize))
    }
}
