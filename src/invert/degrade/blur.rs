//! The picture is out of focus.

use super::{Degradation, Size, Stage};
use crate::error::Result;
use crate::lang::types::{Kind, Param};
use crate::network::along;
use candle_core::{Device, Tensor};

/// Deviations at which the Gaussian is cut off, as scipy does.
const CUT: f64 = 4.0;

/// A Gaussian blur with the picture mirrored at its borders: scipy's `gaussian_filter`.
pub(super) const DEGRADATION: Degradation = Degradation {
    name: "blur",
    param: Param::optional(
        "blur",
        &[Kind::Number],
        "-",
        "the picture is blurred by a Gaussian of this deviation, in pixels of the generator: the \
         result is sharp",
    )
    .within(0.0, 1000.0)
    .named(),
    none: 0.0,
    targets: false,
    check: |_, _| Ok(()),
    make,
};

fn make(sigma: f64, [_, height, width]: Size, device: &Device) -> Result<Box<dyn Stage>> {
    let matrix = |side: usize| -> Result<Tensor> {
        let values = mirrored(side, sigma).into_iter().map(|v| v as f32).collect();
        Ok(Tensor::from_vec::<_, f32>(values, (side, side), &Device::Cpu)?.to_device(device)?)
    };
    Ok(Box::new(Gaussian { rows: matrix(height)?, columns: matrix(width)? }))
}

/// The blur of a line of `side` pixels as a matrix `[side, side]`, row-major. A line continues as
/// `… b a | a b … z | z y …`.
fn mirrored(side: usize, sigma: f64) -> Vec<f64> {
    let radius = (CUT * sigma + 0.5) as isize;
    let taps: Vec<f64> =
        (-radius..=radius).map(|t| libm::exp(-0.5 * (t as f64 / sigma).powi(2))).collect();
    let sum: f64 = taps.iter().sum();
    let mut matrix = vec![0.0; side * side];
    for (i, row) in matrix.chunks_exact_mut(side.max(1)).enumerate() {
        for (tap, t) in taps.iter().zip(-radius..) {
            let at = (i as isize + t).rem_euclid(2 * side as isize) as usize;
            row[at.min(2 * side - 1 - at)] += tap / sum;
        }
    }
    matrix
}

struct Gaussian {
    rows: Tensor,
    columns: Tensor,
}

impl Stage for Gaussian {
    fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        along(pictures, &self.rows, &self.columns)
    }
}
