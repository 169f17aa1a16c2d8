//! Latent codes.

use super::ModelId;
use super::parts::{Part, Parts};
use crate::error::{Error, Result};
use crate::space::Space;
use candle_core::Tensor;

/// N latent codes in one space of one generator.
///
/// # Shapes
/// The point: Z `[N, z_dim]`, W `[N, w_dim]`, W+ `[N, num_ws, w_dim]`, S `[N, s_dim]`, all f32. The
/// other parts: see [`Part`].
#[derive(Clone, Debug)]
pub struct Code {
    /// The space.
    pub space: Space,
    /// The numbers, and what was found or drawn with them.
    pub parts: Parts,
    /// The generator; `None` for a code read from a file that does not say.
    pub model: Option<ModelId>,
    /// Provenance: the expression, file or method.
    pub origin: String,
}

impl Code {
    /// The numbers of the space itself.
    pub fn point(&self) -> &Tensor {
        self.parts.point()
    }

    /// Noise maps found together with the code, in the generator's order, each `[N, 1, H, W]`;
    /// empty without any.
    pub fn noise(&self) -> Vec<&Tensor> {
        self.parts.noise()
    }

    /// Labels of a conditional generator, `[N, c_dim]`.
    pub fn labels(&self) -> Option<&Tensor> {
        self.parts.labels()
    }

    /// Number of codes.
    pub fn count(&self) -> usize {
        self.parts.count()
    }

    /// Rows of a layered code; 1 otherwise.
    pub fn layers(&self) -> usize {
        if self.point().rank() == 3 { self.point().dims()[1] } else { 1 }
    }

    /// Dimensions of one row.
    pub fn dim(&self) -> usize {
        self.point().dims().last().copied().unwrap_or(0)
    }

    /// The same codes with one part added or replaced.
    pub fn with(&self, part: Part, tensor: Tensor) -> Self {
        let mut code = self.clone();
        code.parts.insert(part, tensor);
        code
    }

    /// Other codes of the same space and generator, without what was found for the old ones: noise
    /// maps, a residual, weights.
    pub fn derived(&self, point: Tensor, origin: String) -> Self {
        let parts = self.parts.clone().without_found().with(Part::Point, point);
        Self { parts, origin, ..self.clone() }
    }

    /// The same codes at another point, with all that was found for them: an edit.
    pub fn moved(&self, point: Tensor, origin: String) -> Self {
        Self { origin, ..self.with(Part::Point, point) }
    }

    /// Codes between this one and another, at a point between theirs; see [`Parts::between`].
    ///
    /// # Errors
    /// When what was found for both does not fit together.
    pub fn between(&self, other: &Self, t: f64, point: Tensor, origin: String) -> Result<Self> {
        let parts = self.parts.between(&other.parts, t)?.with(Part::Point, point);
        Ok(Self { parts, origin, ..self.clone() })
    }

    /// The `len` codes from `from` on. A part that all codes share stays.
    ///
    /// # Errors
    /// When there are fewer codes.
    pub fn slice(&self, from: usize, len: usize) -> Result<Self> {
        let parts = self.parts.slice(from, len)?.without_nothing()?;
        Ok(Self { parts, ..self.clone() })
    }

    /// Whether codes fit into one batch: one space of one generator, and [`Parts::fit_beside`].
    pub fn fits_beside(&self, other: &Self) -> bool {
        self.space == other.space
            && self.model == other.model
            && self.parts.fit_beside(&other.parts)
    }

    /// Codes that [`Code::fits_beside`] each other as one batch, with the origin of the first.
    ///
    /// # Errors
    /// When there is no code, or the codes do not fit.
    pub fn join(codes: &[Self]) -> Result<Self> {
        let [first, rest @ ..] = codes else {
            return Err(Error::runtime("no codes to put into one batch"));
        };
        if !rest.iter().all(|code| first.fits_beside(code)) {
            return Err(Error::runtime("these codes do not fit into one batch"));
        }
        let parts = first.parts.map(|part, _| {
            let all: Vec<&Tensor> = codes.iter().filter_map(|c| c.parts.get(part)).collect();
            Ok(Tensor::cat(&all, 0)?)
        })?;
        Ok(Self { parts, ..first.clone() })
    }
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
