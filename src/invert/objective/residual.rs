//! Size of a residual of a feature map.

use super::{Forward, Setup, Term, TermKind, always, weight};
use crate::error::Result;
use candle_core::{DType, Tensor};

/// Mean square of the residual that is searched, 0 where none is: how far the map is from what the
/// codes give (the regulariser of BDInvert, Kang et al. 2021, who weigh it 10).
pub(super) const TERM: TermKind = TermKind {
    name: "residual",
    param: weight(
        "residual",
        "weight that keeps a feature map near what the codes give: the mean square of its residual",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check: always,
    make,
};

fn make<'a>(_: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Residual)))
}

struct Residual;

impl Term for Residual {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        match at.residual {
            Some(map) => Ok(map.flatten_from(1)?.sqr()?.mean(1)?),
            None => Ok(Tensor::zeros(at.pictures.dim(0)?, DType::F32, at.pictures.device())?),
        }
    }
}
