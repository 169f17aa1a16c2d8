//! The matrix product and the fully connected layer.
#![allow(unsafe_code)]

use super::conv::tracked;
#[cfg(feature = "cuda")]
use super::cuda;
use super::raw::{Into, Mat, Shared, blocks, f32s, gemm};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Columns of one block of the output.
const BLOCK: usize = 128;

/// `a · b`, either transposed first.
struct Product {
    ta: bool,
    tb: bool,
}

impl Product {
    /// Rows and columns of the result and the length of the sums.
    fn sizes(&self, l1: &Layout, l2: &Layout) -> Result<[usize; 3]> {
        let (da, db) = (l1.shape().dims2()?, l2.shape().dims2()?);
        let (m, k) = if self.ta { (da.1, da.0) } else { da };
        let (kb, n) = if self.tb { (db.1, db.0) } else { db };
        if k != kb {
            bail!("matmul: {da:?} and {db:?} do not fit (transposed: {}, {})", self.ta, self.tb);
        }
        Ok([m, n, k])
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let [m, n, k] = self.sizes(l1, l2)?;
        let a = Mat::new(f32s(self.name(), s1, l1)?, if self.ta { m } else { k });
        let b = Mat::new(f32s(self.name(), s2, l2)?, if self.tb { k } else { n });
        let a = if self.ta { a.t() } else { a };
        let b = if self.tb { b.t() } else { b };
        let mut out = vec![0f32; m * n];
        let shared = Shared::new(&mut out);
        // Products are small or wide here: cut along the columns.
        blocks(n.div_ceil(BLOCK), m * n * k / 16, |i| {
            let n0 = i * BLOCK;
            let b = Mat { data: &b.data[n0 * b.cols..], ..b };
            let into = Into { out: &shared, at: n0, stride: n, add: false };
            // SAFETY: every block owns its columns.
            unsafe { gemm(into, [m, BLOCK.min(n - n0), k], a, b) };
        });
        Ok((CpuStorage::F32(out), (m, n).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::matmul::product(self.sizes(l1, l2)?, ((s1, l1), self.ta), ((s2, l2), self.tb))
    }

    fn bwd(&self, a: &Tensor, b: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // With A' = a or aᵀ and B' likewise: dA' = g B'ᵀ and dB' = A'ᵀ g.
        let da = tracked(a, || match self.ta {
            false => product(g, b, false, !self.tb),
            true => product(b, g, self.tb, true),
        })?;
        let db = tracked(b, || match self.tb {
            false => product(a, g, !self.ta, false),
            true => product(g, a, true, self.ta),
        })?;
        Ok((da, db))
    }
}

fn product(a: &Tensor, b: &Tensor, ta: bool, tb: bool) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Product { ta, tb })
}

/// The matrix product, with results that do not depend on the number of threads.
///
/// # Shapes
/// a `[M, K]`, b `[K, N]` → `[M, N]`.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    product(a, b, false, false)
}

/// A fully connected layer without bias: `x · wᵀ`.
///
/// # Shapes
/// x `[N, I]`, w `[O, I]` → `[N, O]`.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    product(x, w, false, true)
}
