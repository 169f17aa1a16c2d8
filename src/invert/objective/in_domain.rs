//! Distance of a code from the one that the encoder finds in its picture.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::generator::{Input, spaces};
use crate::invert::job::Job;
use crate::network::{Encoder, Seen};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::Tensor;

/// Mean squared difference of the code and one pass of the encoder on its picture, which begins
/// where the encoder's passes begin, at a mean of w: IDInvert's regulariser (Zhu et al. 2020, who
/// weigh it 2).
pub(super) const TERM: TermKind = TermKind {
    name: "in_domain",
    param: weight(
        "in_domain",
        "weight that keeps a code of W or W+ where the encoder finds it again in its picture \
         (IDInvert, who use 2)",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

fn check(job: &Job<'_>, space: Space) -> Result<()> {
    if !matches!(space, Space::W | Space::WPlus) {
        let message = format!("an encoder gives codes of W and W+, none of {space}");
        return Err(Error::runtime(message).hint("use in_domain: 0, or space: W+"));
    }
    match job.encoder {
        Some(encoder) if encoder.space() != Space::WPlus => {
            let (name, found) = (Safe(encoder.name()), encoder.space());
            let text = format!("{name} finds codes of {found}, not of {space}");
            Err(Error::runtime(text).hint("use in_domain: 0, or another encoder"))
        }
        Some(_) => Ok(()),
        None => Err(Error::runtime("`in_domain` needs an encoder, the generator has none")
            .hint("use in_domain: 0")),
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    check(setup.job, setup.space)?;
    let Some(encoder) = setup.job.encoder else { return Ok(None) };
    let g = setup.job.generator;
    let labels = setup.job.labels.map(|l| l.narrow(0, 0, 1)).transpose()?;
    let mean = match encoder.start() {
        Some(start) if setup.space == Space::W => start.mean_keepdim(0)?,
        Some(start) => start.unsqueeze(0)?,
        None => spaces::mean(g, setup.space, labels.as_ref())?.point().clone(),
    };
    let picture = spaces::picture(g, &mean, setup.space, &Input::labelled(labels.as_ref()))?;
    Ok(Some(Box::new(InDomain { encoder, mean, picture: picture.detach() })))
}

struct InDomain<'a> {
    encoder: &'a dyn Encoder,
    /// The code where the pass begins, `[1, D]` or `[1, L, D]`.
    mean: Tensor,
    /// Its picture, `[1, C, H, W]`.
    picture: Tensor,
}

impl Term for InDomain<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let first = self.picture.broadcast_as(at.pictures.shape())?.contiguous()?;
        let mean = self.mean.broadcast_as(at.code.shape())?;
        let found = self.encoder.pass(&Seen::first(at.pictures, &first))?.from(&mean)?;
        Ok((at.code - found)?.flatten_from(1)?.sqr()?.mean(1)?)
    }
}
