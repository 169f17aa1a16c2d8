//! The person that a picture shows.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::{Features, Identity};
use crate::space::Space;
use candle_core::Tensor;

/// `1 − cos` of the identity embeddings of picture and target ([`Identity`]), as pSp's identity loss
/// with the generator's own network in the place of ArcFace (Richardson et al. 2021, who weigh it
/// 0.1).
pub(super) const TERM: TermKind = TermKind {
    name: "identity",
    param: weight(
        "identity",
        "weight of 1 - cosine of the identity embeddings, by the network that the generator brings",
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

/// The network with an identity embedding.
fn network<'a>(job: &Job<'a>) -> Result<&'a Features> {
    let features = job.perceptual.map(|p| p.features());
    features.filter(|f| f.config().knows_identity()).ok_or_else(|| {
        Error::runtime("an identity loss needs a network that reads identities, and there is none")
            .hint("use identity: 0, or a generator of faces that has one")
    })
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let network = network(setup.job)?;
    Ok(Some(Box::new(Person { network, target: network.identity(setup.targets)?.detach() })))
}

struct Person<'a> {
    network: &'a Features,
    /// The targets' embeddings, `[N, k]`.
    target: Tensor,
}

impl Term for Person<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let own = self.network.identity(at.pictures)?;
        Ok((1.0 - Identity::cosine(&own, &self.target)?)?)
    }
}
