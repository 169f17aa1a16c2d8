//! Gaussian prior on codes in PN.

use super::{Forward, Setup, Term, TermKind, codes_of, weight};
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, spaces};
use crate::invert::job::Job;
use crate::space::Space;
use candle_core::Tensor;

/// Mean of v² over the numbers of the code in PN or PN+: the P-norm regularisation of Zhu et al.
/// 2020, which weigh it 0.001. A typical sample has 1.
pub(super) const TERM: TermKind = TermKind {
    name: "prior_pn",
    param: weight(
        "prior_pn",
        "weight that keeps codes near the prior: the mean of v² in PN or PN+ (Zhu et al. 2020, \
         who use 0.001); in F of its codes",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

/// The space of the codes that are searched, and PN or PN+, where their v is.
pub(super) fn ends(job: &Job<'_>, searched: Space) -> Result<(Space, Space)> {
    let from = codes_of(job, searched);
    let to = match from.base() {
        Space::W => Space::PN,
        Space::WPlus => Space::PNPlus,
        _ => {
            let message = format!("a search in {searched} has no w, so no prior in PN");
            return Err(Error::runtime(message).hint("use prior_pn: 0, or space: W, W+, PN or PN+"));
        }
    };
    Ok((from, to))
}

fn check(job: &Job<'_>, searched: Space) -> Result<()> {
    ends(job, searched).map(drop)
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let ends = ends(setup.job, setup.space)?;
    Ok(Some(Box::new(Prior { generator: setup.job.generator, ends })))
}

struct Prior<'a> {
    generator: &'a dyn Generator,
    ends: (Space, Space),
}

impl Term for Prior<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let v = spaces::rise(self.generator, at.code, self.ends, &Input::default())?;
        Ok(v.flatten_from(1)?.sqr()?.mean(1)?)
    }
}
