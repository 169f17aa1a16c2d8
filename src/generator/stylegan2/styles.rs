//! The styles that the layers read.

use crate::error::{Error, Result};
use crate::generator::layers::Dense;
use candle_core::Tensor;

/// The styles of the layers, one after the other: computed from the rows of a layered code, or
/// given as a style code.
pub(in crate::generator) struct Styles<'a> {
    pub(super) codes: &'a Tensor,
    pub(super) given: bool,
    /// Rows from one convolution to the next.
    step: usize,
    /// The next row, or the next style.
    at: usize,
}

impl<'a> Styles<'a> {
    /// Styles computed from ws `[N, num_ws, w_dim]`.
    pub(in crate::generator) fn of_rows(ws: &'a Tensor) -> Self {
        Self { codes: ws, given: false, step: 1, at: 0 }
    }

    /// Styles of which all are computed from the last row of ws `[N, num_ws, w_dim]`.
    ///
    /// # Errors
    /// When there is no row.
    pub(in crate::generator) fn of_last_row(ws: &'a Tensor) -> Result<Self> {
        let at = ws.dim(1)?.checked_sub(1).ok_or_else(|| Error::runtime("a code without rows"))?;
        Ok(Self { codes: ws, given: false, step: 0, at })
    }

    /// Styles taken from a style code `[N, s_dim]`.
    pub(super) fn given(s: &'a Tensor) -> Self {
        Self { codes: s, given: true, step: 1, at: 0 }
    }

    /// The styles of a convolution, `[N, I]`; every convolution has a row of its own.
    pub(super) fn of_layer(&mut self, affine: &Dense) -> Result<Tensor> {
        let style = self.read(affine)?;
        self.pass_layer(affine);
        Ok(style)
    }

    /// The styles of a picture, `[N, I]`: it shares its row with the first layer of the next block.
    pub(super) fn of_picture(&mut self, affine: &Dense) -> Result<Tensor> {
        let style = self.read(affine)?;
        self.pass_picture(affine);
        Ok(style)
    }

    fn read(&self, affine: &Dense) -> Result<Tensor> {
        if self.given {
            return Ok(self.codes.narrow(1, self.at, affine.outputs())?.contiguous()?);
        }
        affine.forward(&self.codes.narrow(1, self.at, 1)?.squeeze(1)?.contiguous()?)
    }

    /// Passes over the styles of a convolution.
    pub(super) fn pass_layer(&mut self, affine: &Dense) {
        self.at += if self.given { affine.outputs() } else { self.step };
    }

    /// Passes over the styles of a picture.
    pub(super) fn pass_picture(&mut self, affine: &Dense) {
        self.at += if self.given { affine.outputs() } else { 0 };
    }
}
