//! The matrix product, by cuBLAS; sums in single precision.

use super::{In, Number, done, empty, f32s};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cublas::{
    CudaBlas, Gemm, GemmConfig, sys::cublasOperation_t,
};
use candle_core::cuda_backend::cudarc::driver::{CudaView, CudaViewMut};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::{Result, Shape, bail};
use half::f16;

/// A row-major matrix: its numbers, how far its rows are apart, and whether it is used transposed.
pub(super) struct Mat<'a, T = f32> {
    pub data: CudaView<'a, T>,
    pub stride: usize,
    pub transposed: bool,
}

impl<T: Number> Mat<'_, T> {
    fn operation(&self) -> cublasOperation_t {
        if self.transposed {
            cublasOperation_t::CUBLAS_OP_T
        } else {
            cublasOperation_t::CUBLAS_OP_N
        }
    }

    /// Refuses what does not hold a matrix of `rows` × `columns` (as used).
    fn check(&self, rows: usize, columns: usize) -> Result<()> {
        let (lines, width) = if self.transposed { (columns, rows) } else { (rows, columns) };
        if self.stride < width || (lines - 1) * self.stride + width > self.data.len() {
            bail!("matmul: a matrix of {lines}x{width} outside its {} numbers", self.data.len());
        }
        Ok(())
    }
}

/// Destination of a product: rows `stride` apart; `add` accumulates.
pub(super) struct Into<'a, T = f32> {
    pub data: CudaViewMut<'a, T>,
    pub stride: usize,
    pub add: bool,
}

/// A type that cuBLAS multiplies.
pub(super) trait Multiplied: Number {
    const ONE: Self;
    const ZERO: Self;
}

impl Multiplied for f32 {
    const ONE: Self = 1.0;
    const ZERO: Self = 0.0;
}

impl Multiplied for f16 {
    const ONE: Self = f16::ONE;
    const ZERO: Self = f16::ZERO;
}

/// `into (+)= a · b` with a `[m, k]` and b `[k, n]`, none of them empty.
pub(super) fn gemm<T: Multiplied>(
    device: &CudaDevice,
    [m, n, k]: [usize; 3],
    a: &Mat<'_, T>,
    b: &Mat<'_, T>,
    mut into: Into<'_, T>,
) -> Result<()>
where
    CudaBlas: Gemm<T>,
{
    a.check(m, k)?;
    b.check(k, n)?;
    if into.stride < n || (m - 1) * into.stride + n > into.data.len() {
        bail!("matmul: a product of {m}x{n} outside its {} numbers", into.data.len());
    }
    // cuBLAS counts columns first: it computes the transposed product of the transposed matrices.
    let config = GemmConfig {
        transa: b.operation(),
        transb: a.operation(),
        m: n as i32,
        n: m as i32,
        k: k as i32,
        alpha: T::ONE,
        lda: b.stride as i32,
        ldb: a.stride as i32,
        beta: if into.add { T::ONE } else { T::ZERO },
        ldc: into.stride as i32,
    };
    // SAFETY: the three matrices were checked to lie in their numbers.
    unsafe { device.cublas_handle().gemm(config, &b.data, &a.data, &mut into.data) }.w()
}

/// `a · b` of `[m, k]` and `[k, n]`, each stored transposed if flagged.
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    a: (In<'_>, bool),
    b: (In<'_>, bool),
) -> Result<(CudaStorage, Shape)> {
    let device = a.0.0.device();
    let mut out = empty("matmul", device, m * n)?;
    if m * n * k == 0 {
        device.cuda_stream().memset_zeros(&mut out).w()?;
    } else {
        let into = Into { data: out.as_view_mut(), stride: n, add: false };
        gemm(device, [m, n, k], &mat(a)?, &mat(b)?, into)?;
    }
    done(out, device, (m, n))
}

fn mat<'a>((x, transposed): (In<'a>, bool)) -> Result<Mat<'a>> {
    Ok(Mat { data: f32s("matmul", x)?, stride: x.1.shape().dims2()?.1, transposed })
}
