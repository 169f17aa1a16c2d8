//! What is minimised, term by term.

use super::regulariser;
use super::together::stacked;
use crate::error::{Error, Result};
use crate::metric::{Perceptual, resize_to};
use candle_core::Tensor;

/// The largest side at which the projector compares pictures.
const PROJECTOR_SIDE: usize = 256;

/// One weighted term of a loss: its name, and a number an image, `[N]`.
pub type Term = (&'static str, Tensor);

/// A loss of pictures and the codes that made them.
pub trait Objective {
    /// The weighted terms, each `[N]` with gradients; the loss is their sum. Terms of weight 0 are
    /// left out.
    ///
    /// # Shapes
    /// pictures `[N, C, H, W]`, ws `[N, num_ws, w_dim]` (where a style code is searched, that: it
    /// has no offsets), noise maps `[N, 1, H, W]`
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn loss(&self, pictures: &Tensor, ws: &Tensor, noise: &[Tensor]) -> Result<Vec<Term>>;
}

/// The loss of all methods: squared and absolute error, perceptual distance, offsets from W, and
/// the noise regulariser.
pub struct PictureLoss<'a> {
    /// The pictures to reach, `[N, C, H, W]`.
    pub target: Tensor,
    /// Weight of the mean squared error on [-1, 1].
    pub l2: f64,
    /// Weight of the mean absolute error on [-1, 1].
    pub l1: f64,
    /// The perceptual distance, the target's taps, and the weight.
    pub perceptual: Option<(&'a Perceptual, Vec<Tensor>, f64)>,
    /// Weight of the offsets from W, divided by σ_w².
    pub offset: f64,
    /// Weight of the noise regulariser.
    pub noise: f64,
    /// Compare at no more than 256 pixels a side, as the projector does.
    pub limited: bool,
}

impl<'a> PictureLoss<'a> {
    /// A squared error alone; set the other fields as needed.
    ///
    /// # Errors
    /// When the target cannot be resized.
    pub fn new(target: &Tensor, limited: bool) -> Result<Self> {
        let target = if limited { limit(target)? } else { target.clone() };
        Ok(Self { target, l2: 1.0, l1: 0.0, perceptual: None, offset: 0.0, noise: 0.0, limited })
    }

    /// Adds the perceptual term.
    ///
    /// # Errors
    /// When the network does not read such pictures.
    pub fn with_perceptual(mut self, perceptual: &'a Perceptual, weight: f64) -> Result<Self> {
        self.perceptual = Some((perceptual, perceptual.taps(&self.target)?, weight));
        Ok(self)
    }

    /// The loss of several targets in one batch, in their order; what else there is, is that of the
    /// first.
    ///
    /// # Errors
    /// When there is none, or their targets differ in size.
    pub(super) fn join(parts: &[&Self]) -> Result<Self> {
        let first = parts.first().ok_or_else(|| Error::runtime("no targets to compare with"))?;
        let taps = |i: usize| stacked(parts.iter().filter_map(|p| p.perceptual.as_ref()?.1.get(i)));
        let perceptual = match &first.perceptual {
            Some((network, own, weight)) => {
                Some((*network, (0..own.len()).map(taps).collect::<Result<_>>()?, *weight))
            }
            None => None,
        };
        Ok(Self { target: stacked(parts.iter().map(|p| &p.target))?, perceptual, ..**first })
    }

    fn pixel_terms(&self, pictures: &Tensor) -> Result<Vec<Term>> {
        let mut terms = Vec::new();
        if self.l2 > 0.0 || self.l1 > 0.0 {
            let error = (pictures - &self.target)?.flatten_from(1)?;
            if self.l2 > 0.0 {
                terms.push(("l2", (error.sqr()?.mean(1)? * self.l2)?));
            }
            if self.l1 > 0.0 {
                terms.push(("l1", (error.abs()?.mean(1)? * self.l1)?));
            }
        }
        Ok(terms)
    }
}

impl Objective for PictureLoss<'_> {
    fn loss(&self, pictures: &Tensor, ws: &Tensor, noise: &[Tensor]) -> Result<Vec<Term>> {
        let pictures = if self.limited { limit(pictures)? } else { pictures.clone() };
        let mut terms = self.pixel_terms(&pictures)?;
        if let Some((network, target, weight)) = &self.perceptual {
            terms.push(("perceptual", (network.to(&pictures, target)? * *weight)?));
        }
        if self.offset > 0.0 {
            let rows = ws.broadcast_sub(&ws.mean_keepdim(1)?)?; // [NLD]
            terms.push(("offset", (rows.sqr()?.sum(2)?.mean(1)? * self.offset)?));
        }
        if let (true, Some((first, rest))) = (self.noise > 0.0, noise.split_first()) {
            let mut sum = regulariser(first)?;
            for map in rest {
                sum = (sum + regulariser(map)?)?;
            }
            terms.push(("noise", (sum * self.noise)?));
        }
        Ok(terms)
    }
}

fn limit(pictures: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = pictures.dims4()?;
    resize_to(pictures, h.min(PROJECTOR_SIDE), w.min(PROJECTOR_SIDE))
}
