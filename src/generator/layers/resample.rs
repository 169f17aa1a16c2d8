//! Doubling and blurring with borders that continue the picture.

use crate::error::Result;
use crate::tensor::{Filter, Resample, fir};
use candle_core::Tensor;

/// The pixels beyond the border.
#[derive(Clone, Copy)]
enum Border {
    /// The border's own pixel.
    Edge,
    /// The pixel before it: the picture mirrored at its border pixel.
    Mirror,
}

/// One pixel more on each side, `[N, C, H, W]` → `[N, C, H + 2, W + 2]`.
fn padded(x: &Tensor, border: Border) -> Result<Tensor> {
    let mut x = x.clone();
    for dim in [2, 3] {
        let size = x.dim(dim)?;
        let inner = match border {
            Border::Edge => 0,
            Border::Mirror => 1.min(size - 1),
        };
        let before = x.narrow(dim, inner, 1)?;
        let after = x.narrow(dim, size - 1 - inner, 1)?;
        x = Tensor::cat(&[&before, &x, &after], dim)?;
    }
    Ok(x)
}

/// Doubles a map by bilinear interpolation between the centres of its pixels (PyTorch's, without
/// aligned corners): new pixels weigh their two neighbours 3 to 1.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, 2H, 2W]`.
///
/// # Errors
/// When a tensor operation fails.
pub(in crate::generator) fn bilinear2(x: &Tensor) -> Result<Tensor> {
    // The doubled border is cut off again: two pixels on each side.
    let how = Resample { up: 2, down: 1, before: 0, after: -1, gain: 4.0 };
    Ok(fir(&padded(x, Border::Edge)?, &Filter::new(&[1.0, 3.0, 3.0, 1.0])?, how)?)
}

/// Weighs every pixel and its neighbours 1 : 2 : 1 along both axes, mirrored at the border
/// (Kornia's default).
///
/// # Shapes
/// `[N, C, H, W]` → as x.
///
/// # Errors
/// When a tensor operation fails.
pub(in crate::generator) fn blur(x: &Tensor) -> Result<Tensor> {
    let how = Resample { up: 1, down: 1, before: 0, after: 0, gain: 1.0 };
    Ok(fir(&padded(x, Border::Mirror)?, &Filter::new(&[1.0, 2.0, 1.0])?, how)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn row(x: &Tensor) -> Vec<f32> {
        x.flatten_all().and_then(|x| x.to_vec1()).expect("numbers")
    }

    #[test]
    fn borders_by_hand() {
        let x = Tensor::new(&[[[[0f32, 4.0, 8.0]]]], &Device::Cpu).expect("x");
        let doubled = row(&bilinear2(&x).expect("doubled"));
        let line = [0.0, 1.0, 3.0, 5.0, 7.0, 8.0];
        assert_eq!(doubled, [line, line].concat());
        // (4 + 0 + 4) / 4, (0 + 8 + 8) / 4, (4 + 16 + 4) / 4.
        assert_eq!(row(&blur(&x).expect("blurred")), [2.0, 4.0, 6.0]);
    }
}
