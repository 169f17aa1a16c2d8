//! The distance in the feature maps of the discriminator, weighed by where it looks.

use super::discriminator::{Maps, check};
use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::Result;
use candle_core::Tensor;

/// As `discriminator`, every place weighed by the saliency of the target
/// ([`crate::network::discriminator::saliency`]), whose mean is 1 (Your Local GAN, Daras et al.
/// 2020). They take the Euclidean length of the weighed difference at the layer of the attention;
/// here it is the mean size at every layer, so with a uniform map the term is `discriminator`.
pub(super) const TERM: TermKind = TermKind {
    name: "saliency",
    param: weight(
        "saliency",
        "as `discriminator`, places weighed by where it looks in the target: its attention, or \
         without one the slope of its score (Your Local GAN)",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Maps::new(setup, true)?.map(|maps| Box::new(Weighed(maps)) as _))
}

struct Weighed<'a>(Maps<'a>);

impl Term for Weighed<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        self.0.distance(at.pictures)
    }
}
