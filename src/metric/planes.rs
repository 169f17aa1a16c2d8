//! Pictures as planes of doubles in [0, 1], some rows at a time.

use crate::control::check;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// Values of a band of rows: the amount that a metric holds in double precision at a time.
const BAND: usize = 1 << 18;

/// A batch of pictures: value `v` of the generator's range is read as `(v + 1) / 2`. In double
/// precision a large picture takes gigabytes, so rows are read when they are needed.
pub(super) struct Planes {
    /// Pictures.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    pictures: Tensor,
}

impl Planes {
    /// Converts `[N, C, H, W]` in [-1, 1].
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
        Ok(Self { n, c, h, w, pictures: pictures.detach() })
    }

    /// Rows of a band.
    pub fn band(&self) -> usize {
        (BAND / self.w).clamp(1, self.h)
    }

    /// `n` rows from `y` on of channel `k` of picture `i`, row-major.
    ///
    /// # Errors
    /// `Interrupted` when the work of this thread is asked to stop.
    pub fn rows(&self, i: usize, k: usize, y: usize, n: usize) -> Result<Vec<f64>> {
        check()?;
        let rows = self.pictures.narrow(0, i, 1)?.narrow(1, k, 1)?.narrow(2, y, n)?;
        let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?;
        Ok(rows.to_vec1::<f64>()?.into_iter().map(|v| (v + 1.0) / 2.0).collect())
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
