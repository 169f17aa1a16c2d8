//! The parts of a face: where skin, hair, eyes and the rest are.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::Features;
use crate::space::Space;
use candle_core::Tensor;

/// How far picture and target differ in what their pixels show: the squared difference of the
/// parts' probabilities, summed over parts and averaged over pixels. E2Style (Wei et al. 2021)
/// compares faces by a network that parses them, too.
pub(super) const TERM: TermKind = TermKind {
    name: "parts",
    param: weight(
        "parts",
        "weight of the difference in where skin, hair, eyes and other parts of the face are, as \
         the attribute network tells them apart",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

fn check(job: &Job<'_>, _: Space) -> Result<()> {
    network(job).map(drop)
}

/// The attribute network, if it tells parts.
fn network<'a>(job: &Job<'a>) -> Result<&'a Features> {
    let features = job.perceptual.map(|p| p.features());
    features.filter(|f| f.config().parts.is_some()).ok_or_else(missing)
}

fn missing() -> Error {
    Error::runtime("`parts` needs a network that tells the parts of a face, and there is none")
        .hint("parts: 0, or a generator whose attributes.safetensors has parts")
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let network = network(setup.job)?;
    let target = network.parts(setup.targets)?.ok_or_else(missing)?.detach();
    Ok(Some(Box::new(Faces { network, target })))
}

struct Faces<'a> {
    network: &'a Features,
    /// What the targets' pixels show, `[N, parts, S, S]`.
    target: Tensor,
}

impl Term for Faces<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let own = self.network.parts(at.pictures)?.ok_or_else(missing)?;
        Ok((own - &self.target)?.sqr()?.sum(1)?.flatten_from(1)?.mean(1)?)
    }
}
