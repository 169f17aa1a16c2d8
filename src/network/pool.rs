//! Max pooling with gradients.

use crate::error::Result;
use candle_core::Tensor;

/// The largest of every window of `size × size`, two pixels apart; size 1, which takes every second
/// pixel, 2 or 3. With `beyond`, a last window may reach over the edge, as in PyTorch's
/// `ceil_mode`.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, h, w]`, with gradients; with `beyond` no value may be below 0.
///
/// # Errors
/// When no window fits.
pub fn max_pool(x: &Tensor, size: usize, beyond: bool) -> Result<Tensor> {
    along(&along(x, 3, size, beyond)?, 2, size, beyond)
}

/// The same along one axis, 2 or 3.
fn along(x: &Tensor, axis: usize, size: usize, beyond: bool) -> Result<Tensor> {
    let side = x.dim(axis)?;
    let whole = side.saturating_sub(size) / 2 + usize::from(side >= size);
    let more = beyond && whole > 0 && 2 * (whole - 1) + size < side && 2 * whole < side;
    let count = whole + usize::from(more);
    let needed = 2 * count.saturating_sub(1) + size;
    // Nothing is below 0, so zeros beyond the edge never win alone.
    let x = if needed > side { x.pad_with_zeros(axis, 0, needed - side)? } else { x.clone() };
    let mut largest: Option<Tensor> = None;
    for shift in 0..size {
        let one = every_second(&x, axis, (shift, count))?;
        largest = Some(match largest {
            Some(l) => l.maximum(&one)?,
            None => one,
        });
    }
    largest.ok_or_else(|| crate::error::Error::runtime("a pooling needs a window"))
}

/// `count` values from `from` on, every second one.
fn every_second(x: &Tensor, axis: usize, (from, count): (usize, usize)) -> Result<Tensor> {
    let last = x.narrow(axis, from + 2 * count - 2, 1);
    if count == 1 {
        return Ok(last?);
    }
    let pairs = x.narrow(axis, from, 2 * count - 2)?.contiguous()?;
    let mut shape = x.dims().to_vec();
    shape[axis] = count - 1;
    shape.insert(axis + 1, 2);
    let first = pairs.reshape(shape)?.narrow(axis + 1, 0, 1)?.squeeze(axis + 1)?;
    Ok(Tensor::cat(&[&first, &last?], axis)?)
}
