//! Colours are lost.

use super::{Degradation, Size, Stage};
use crate::error::{Error, Result};
use crate::lang::types::{Kind, Param};
use candle_core::{Device, Tensor};

/// Weights of red, green and blue in the luma of ITU-R BT.601, as Pillow's `convert("L")` has them.
pub(super) const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// Every channel becomes the luma: what reads three channels still does.
pub(super) const DEGRADATION: Degradation = Degradation {
    name: "grey",
    param: Param::optional(
        "grey",
        &[Kind::Bool],
        "-",
        "the picture is grey (luma of BT.601): the result has colours",
    )
    .named(),
    none: 0.0,
    targets: true,
    check,
    make,
};

fn check(_: f64, [channels, ..]: Size) -> Result<()> {
    if channels == 3 {
        return Ok(());
    }
    Err(Error::runtime(format!("`grey` needs a generator of 3 channels, this one has {channels}"))
        .hint("leave `grey` out"))
}

fn make(_: f64, _: Size, _: &Device) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Luma))
}

struct Luma;

impl Stage for Luma {
    fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        Ok(luma(pictures)?.broadcast_as(pictures.shape())?.contiguous()?)
    }
}

/// The luma, `[N, 3, H, W]` → `[N, 1, H, W]`.
pub(super) fn luma(pictures: &Tensor) -> Result<Tensor> {
    mixed(pictures, LUMA)
}

/// Three channels weighed and added up, `[N, 3, H, W]` → `[N, 1, H, W]`.
pub(super) fn mixed(pictures: &Tensor, weights: [f64; 3]) -> Result<Tensor> {
    let part = |k: usize| pictures.narrow(1, k, 1)? * weights[k];
    Ok(((part(0)? + part(1)?)? + part(2)?)?)
}
