//! The fully connected layer: a matrix product.
//!
//! A row of the result that belongs to one sample is added up by itself, so that a sample's numbers
//! do not depend on how many others are in the batch; sums over the samples are ordinary matrix
//! products.
#![allow(unsafe_code)]

use super::conv::tracked;
#[cfg(feature = "cuda")]
use super::cuda;
use super::engine::{times, times_transposed};
use super::raw::{Into, Mat, Shared, blocks, f32s, gemm};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Columns of one block of the output.
const BLOCK: usize = 128;

/// `a · b`, either transposed first.
#[derive(Clone, Copy)]
struct Product {
    ta: bool,
    tb: bool,
    /// Whether every row of the result is a sample's.
    apart: bool,
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

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [m, n, k] = self.sizes(l1, l2)?;
        let (x, y) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        if self.apart && !self.ta {
            let product = if self.tb { times_transposed } else { times };
            return Ok((CpuStorage::F32(product(x, y, [m, n, k])), (m, n).into()));
        }
        let a = Mat::new(x, if self.ta { m } else { k });
        let b = Mat::new(y, if self.tb { k } else { n });
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
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::matmul::product(self.sizes(l1, l2)?, ((s1, l1), self.ta), ((s2, l2), self.tb))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // With A' = a or aᵀ and B' likewise: dA' = g B'ᵀ and dB' = A'ᵀ g.
        let da = tracked(a, || match self.ta {
            false => product(g, b, Self { ta: false, tb: !self.tb, ..*self }),
            true => product(b, g, Self { ta: self.tb, tb: true, apart: false }),
        })?;
        let db = tracked(b, || match self.tb {
            false => product(a, g, Self { ta: !self.ta, tb: false, apart: false }),
            true => product(g, a, Self { ta: true, tb: self.ta, apart: false }),
        })?;
        Ok((da, db))
    }
}

fn product(a: &Tensor, b: &Tensor, how: Product) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, how)
}

/// A fully connected layer without bias: `x · wᵀ`, where each row is the same bits in any batch.
///
/// # Shapes
/// x `[N, I]`, w `[O, I]` → `[N, O]`.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    product(x, w, Product { ta: false, tb: true, apart: true })
}
