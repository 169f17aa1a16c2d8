//! Pictures as planes of doubles in [0, 1].

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// A batch of pictures on the CPU: value `v` of the generator's range stands as `(v + 1) / 2`.
pub(super) struct Planes {
    /// Pictures.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    data: Vec<f64>,
}

impl Planes {
    /// From `[N, C, H, W]` in [-1, 1].
    pub fn new(pictures: &Tensor) -> Result<Self> {
        let (n, c, h, w) = pictures.dims4().map_err(|_| {
            Error::runtime(format!(
                "a metric needs pictures [N, C, H, W], not {:?}",
                pictures.dims()
            ))
            .hint("compare images, not codes")
        })?;
        if n * c * h * w == 0 {
            return Err(Error::runtime(format!("cannot measure an empty picture {n}×{c}×{h}×{w}")));
        }
        let flat =
            pictures.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?;
        let data = flat.to_vec1::<f64>()?.into_iter().map(|v| (v + 1.0) / 2.0).collect();
        Ok(Self { n, c, h, w, data })
    }

    /// All values of picture `i`.
    pub fn picture(&self, i: usize) -> &[f64] {
        let len = self.c * self.h * self.w;
        &self.data[i * len..(i + 1) * len]
    }

    /// Channel `k` of picture `i`, row-major.
    pub fn plane(&self, i: usize, k: usize) -> &[f64] {
        let len = self.h * self.w;
        &self.picture(i)[k * len..(k + 1) * len]
    }
}

/// Both batches, once it is sure that they fit each other.
pub(super) fn pair(a: &Tensor, b: &Tensor) -> Result<(Planes, Planes)> {
    if a.dims() != b.dims() {
        return Err(Error::runtime(format!(
            "cannot compare pictures of {:?} and {:?}",
            a.dims(),
            b.dims()
        ))
        .hint("resize one of them to the other's size first"));
    }
    Ok((Planes::new(a)?, Planes::new(b)?))
}
