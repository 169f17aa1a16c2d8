//! The fully connected layer: a matrix product.
//!
//! Rows of the result are made in groups of a fixed height, a short last group filled up with zeros: how a product rounds
//! depends on its height, and a sample's numbers must not depend on how many others stand in the batch.
#![allow(unsafe_code)]

use super::conv::tracked;
#[cfg(feature = "cuda")]
use super::cuda;
use super::raw::{Into, Mat, Shared, blocks, f32s, gemm, scratch};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Columns of one block of the output.
const BLOCK: usize = 128;

/// Rows of one group where a sample is a row.
const GROUP: usize = 4;

/// `a · b`, either transposed first.
#[derive(Clone, Copy)]
struct Product {
    ta: bool,
    tb: bool,
    /// Rows that are multiplied together; `None` for all, where a sum over the samples is made.
    group: Option<usize>,
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
        let group = self.group.unwrap_or(m).max(1);
        // Products are small or wide here: cut along the columns, and into the groups of rows.
        let across = n.div_ceil(BLOCK);
        blocks(across * m.div_ceil(group), m * n * k / 16, |i| {
            let (n0, m0) = (i % across * BLOCK, i / across * group);
            let (width, height) = (BLOCK.min(n - n0), group.min(m - m0));
            let (a, b) = (Mat { data: &a.data[m0 * a.rows..], ..a }, Mat { data: &b.data[n0 * b.cols..], ..b });
            if height == group {
                let into = Into { out: &shared, at: m0 * n + n0, stride: n, add: false };
                // SAFETY: every block owns its rows and columns.
                unsafe { gemm(into, [group, width, k], a, b) };
                return;
            }
            // SAFETY: as above.
            let rows = (0..height).map(|r| unsafe { shared.slice((m0 + r) * n + n0, width) });
            filled_up([height, group], [width, k], a, b, rows);
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
            false => product(g, b, Self { ta: false, tb: !self.tb, ..*self }),
            true => product(b, g, Self { ta: self.tb, tb: true, group: None }),
        })?;
        let db = tracked(b, || match self.tb {
            false => product(a, g, Self { ta: !self.ta, tb: false, group: None }),
            true => product(g, a, Self { ta: true, tb: self.ta, group: None }),
        })?;
        Ok((da, db))
    }
}

/// The first `height` rows of `a`, filled up with zeros to `group` rows, times `b`, into `rows`.
fn filled_up<'a>(
    [height, group]: [usize; 2],
    [width, k]: [usize; 2],
    a: Mat<'_>,
    b: Mat<'_>,
    rows: impl Iterator<Item = &'a mut [f32]>,
) {
    scratch(group * (k + width), |room| {
        let (full, out) = room.split_at_mut(group * k);
        for (r, row) in full.chunks_exact_mut(k.max(1)).enumerate() {
            for (c, v) in row.iter_mut().enumerate() {
                *v = if r < height { a.data[r * a.rows + c * a.cols] } else { 0.0 };
            }
        }
        let into = Into { out: &Shared::new(out), at: 0, stride: width, add: false };
        // SAFETY: the scratch is this thread's own.
        unsafe { gemm(into, [group, width, k], Mat::new(full, k), b) };
        rows.zip(out.chunks_exact(width)).for_each(|(to, from)| to.copy_from_slice(from));
    });
}

fn product(a: &Tensor, b: &Tensor, how: Product) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, how)
}

/// A fully connected layer without bias: `x · wᵀ`, where each row is the same bits in any batch.
///
/// # Shapes
/// x `[N, I]`, w `[O, I]` → `[N, O]`.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    linear_by(x, w, GROUP)
}

/// As [`linear`], for samples of `rows` rows each.
///
/// # Shapes
/// x `[N·rows, I]`, w `[O, I]` → `[N·rows, O]`.
pub fn linear_by(x: &Tensor, w: &Tensor, rows: usize) -> Result<Tensor> {
    product(x, w, Product { ta: false, tb: true, group: Some(rows) })
}
