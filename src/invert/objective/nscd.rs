//! Alignment of the styles with those of samples.

use super::{Forward, Setup, Term, TermKind, codes_of, weight};
use crate::error::{Error, Result};
use crate::generator::alignment::StyleDirections;
use crate::generator::{Generator, Input, spaces};
use crate::invert::job::Job;
use crate::space::Space;
use candle_core::Tensor;

/// NSCD: 1 − cosine of the styles to their usual direction, averaged over the layers (LSAP, Cao et
/// al. 2022).
pub(super) const TERM: TermKind = TermKind {
    name: "nscd",
    param: weight(
        "nscd",
        "weight that aligns the styles with those of samples: 1 − cosine to their usual direction, \
         averaged over the layers (LSAP, Cao et al. 2022)",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

/// The space of the codes that are searched.
fn from(job: &Job<'_>, searched: Space) -> Result<Space> {
    let from = codes_of(job, searched);
    let styled = job.generator.spec().spaces.contains(&Space::S);
    if styled && matches!(from.base(), Space::W | Space::WPlus | Space::S) {
        return Ok(from);
    }
    let message = format!("a search in {searched} has no styles of a row of w");
    Err(Error::runtime(message)
        .hint("use nscd: 0, or space: W, W+ or S of a generator with styles"))
}

fn check(job: &Job<'_>, searched: Space) -> Result<()> {
    from(job, searched).map(drop)
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let from = from(setup.job, setup.space)?;
    let generator = setup.job.generator;
    let directions = generator.style_directions()?.ok_or_else(|| {
        Error::runtime("the generator does not keep the directions of its styles")
            .hint("use nscd: 0")
    })?;
    Ok(Some(Box::new(Alignment { generator, from, directions })))
}

struct Alignment<'a> {
    generator: &'a dyn Generator,
    from: Space,
    directions: &'a StyleDirections,
}

impl Term for Alignment<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let styles =
            spaces::rise(self.generator, at.code, (self.from, Space::S), &Input::default())?;
        self.directions.distance(&styles)
    }
}
