//! The picture is small.

use super::{Degradation, Size, Stage};
use crate::error::{Error, Result};
use crate::lang::types::{Kind, Param};
use crate::metric::resize_to;
use candle_core::{Device, Tensor};

/// The mean over squares of `k × k` pixels.
pub(super) const DEGRADATION: Degradation = Degradation {
    name: "down",
    param: Param::optional(
        "down",
        &[Kind::Number],
        "-",
        "the picture is so many times smaller on each side (means over squares): the result has \
         full size",
    )
    .whole(1, 1024)
    .named(),
    none: 1.0,
    targets: true,
    check,
    make,
};

fn check(factor: f64, [_, height, width]: Size) -> Result<()> {
    let factor = factor as usize;
    if factor > 0 && height.is_multiple_of(factor) && width.is_multiple_of(factor) {
        return Ok(());
    }
    let fits = |k: &usize| height.is_multiple_of(*k) && width.is_multiple_of(*k);
    let near = (2..=height.min(width)).filter(fits).min_by_key(|k| k.abs_diff(factor));
    Err(Error::runtime(format!("pictures of {width}×{height} are not divided by `down: {factor}`"))
        .hint(format!("down: {}", near.unwrap_or(1))))
}

fn make(factor: f64, [_, height, width]: Size, _: &Device) -> Result<Box<dyn Stage>> {
    let factor = factor as usize;
    Ok(Box::new(Means { to: (height / factor, width / factor) }))
}

struct Means {
    to: (usize, usize),
}

impl Stage for Means {
    fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        resize_to(pictures, self.to.0, self.to.1)
    }
}

/// Pictures with every pixel as a square of `factor × factor`: their means are the pictures again.
///
/// # Shapes
/// `[N, C, h, w]` → `[N, C, h · factor, w · factor]`
///
/// # Errors
/// When a tensor operation fails.
pub fn enlarge(pictures: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, c, h, w) = pictures.dims4()?;
    let spread = pictures.reshape((n * c, h, 1, w, 1))?;
    let spread = spread.broadcast_as((n * c, h, factor, w, factor))?.contiguous()?;
    Ok(spread.reshape((n, c, h * factor, w * factor))?)
}
