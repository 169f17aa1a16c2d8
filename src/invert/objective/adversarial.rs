//! How real the discriminator takes the picture for.

use super::discriminator::check;
use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::Result;
use crate::network::Discriminator;
use crate::tensor::softplus;
use candle_core::Tensor;

/// `softplus(−D(G))`, the generator's loss of StyleGAN, which keeps pictures in the domain
/// (In-Domain GAN Inversion, Zhu et al. 2020). The discriminator sees the whole picture as the
/// generator makes it, whatever the target lacks.
pub(super) const TERM: TermKind = TermKind {
    name: "adversarial",
    param: weight(
        "adversarial",
        "weight of softplus(-D) of the picture: it stays one that the discriminator takes for real",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    check(setup.job, setup.space)?;
    let labels = setup.labels.cloned();
    Ok(setup.job.discriminator.map(|network| Box::new(Real { network, labels }) as _))
}

struct Real<'a> {
    network: &'a dyn Discriminator,
    labels: Option<Tensor>,
}

impl Term for Real<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok(softplus(&self.network.judge(at.whole, self.labels.as_ref())?.score.neg()?)?)
    }
}
