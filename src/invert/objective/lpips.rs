//! LPIPS, by the networks of its authors.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::Lpips;
use crate::space::Space;
use candle_core::Tensor;

/// See [`Lpips`].
pub(super) const TERM: TermKind = TermKind {
    name: "lpips",
    param: weight("lpips", "weight of LPIPS with your files: `lpips_net`, `lpips_heads`"),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

fn check(job: &Job<'_>, _: Space) -> Result<()> {
    let spec = job.generator.spec();
    match job.lpips {
        Some(_) => Lpips::check([spec.channels, spec.height, spec.width]),
        None => Err(Error::runtime("LPIPS needs its network, and none is given").hint(
            "lpips_net: \"vgg16.pth\" of torchvision, lpips_heads: \"vgg.pth\" of the package lpips",
        )),
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let Some(lpips) = setup.job.lpips else { return Ok(None) };
    let taps = lpips.taps(setup.targets)?.iter().map(Tensor::detach).collect();
    Ok(Some(Box::new(Distance { lpips, taps })))
}

struct Distance<'a> {
    lpips: &'a Lpips,
    /// The targets' maps.
    taps: Vec<Tensor>,
}

impl Term for Distance<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        self.lpips.to(at.pictures, &self.taps)
    }
}
