//! The styles of the layers, from the codes that a synthesis reads.

use crate::error::{Error, Result};
use crate::generator::{self, Spec, StyleLayer};
use crate::space::Space;
use candle_core::Tensor;

/// The styles of every layer that reads any, one tensor `[N, size]` each, and N: computed by `of`
/// from the rows of W+, or taken apart from a code of S.
///
/// # Errors
/// For a code of another space or other sizes, and those of `of`.
pub(in crate::generator) fn styles_of(
    spec: &Spec,
    (space, data): (Space, &Tensor),
    of: &dyn Fn(&Tensor) -> Result<Vec<Tensor>>,
) -> Result<(Vec<Tensor>, usize)> {
    match space {
        Space::WPlus => {
            let n = generator::reads(data, &[spec.num_ws, spec.w_dim])?;
            Ok((of(data)?, n))
        }
        Space::S => {
            let n = generator::reads(data, &[spec.s_dim()])?;
            let mut at = 0;
            let part = |layer: &StyleLayer| {
                let style = data.narrow(1, at, layer.size)?.contiguous()?;
                at += layer.size;
                Ok(style)
            };
            Ok((spec.styles.iter().map(part).collect::<Result<_>>()?, n))
        }
        other => Err(Error::runtime(format!("the synthesis reads W+ or S, not {other}"))
            .hint("lift the code first: to(W+, code)")),
    }
}
