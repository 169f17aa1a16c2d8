//! The person that a picture shows.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::metric::{Features, Identity, Recognition};
use crate::space::Space;
use candle_core::Tensor;

/// `1 − cos` of the identity embeddings of picture and target, as pSp's identity loss (Richardson
/// et al. 2021, who weigh it 0.1): by ArcFace or CurricularFace from the user's file
/// ([`Recognition`]), else by the generator's own network ([`Identity`]).
pub(super) const TERM: TermKind = TermKind {
    name: "identity",
    param: weight(
        "identity",
        "weight of 1 - cosine of the identity embeddings, by the network that the generator brings \
         or by that of `identity_net`",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

fn check(job: &Job<'_>, _: Space) -> Result<()> {
    match job.recognition {
        Some(_) => Recognition::check(job.generator.spec().channels),
        None => network(job).map(drop),
    }
}

/// What reads identities off pictures.
#[derive(Clone, Copy)]
enum Reader<'a> {
    Own(&'a Features),
    File(&'a Recognition),
}

impl Reader<'_> {
    /// `[N, C, H, W]` → `[N, k]`
    fn embed(self, pictures: &Tensor) -> Result<Tensor> {
        match self {
            Self::Own(features) => features.identity(pictures),
            Self::File(recognition) => recognition.embed(pictures),
        }
    }
}

/// The recogniser that is given, else the network of the generator with an identity embedding.
fn network<'a>(job: &Job<'a>) -> Result<Reader<'a>> {
    if let Some(given) = job.recognition {
        return Ok(Reader::File(given));
    }
    let features = job.perceptual.map(|p| p.features());
    let own = features.filter(|f| f.config().knows_identity());
    own.map(Reader::Own).ok_or_else(|| {
        Error::runtime("an identity loss needs a network that reads identities, and there is none")
            .hint("identity_net: \"model_ir_se50.pth\" of ArcFace, or identity: 0")
    })
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    let network = network(setup.job)?;
    Ok(Some(Box::new(Person { network, target: network.embed(setup.targets)?.detach() })))
}

struct Person<'a> {
    network: Reader<'a>,
    /// The targets' embeddings, `[N, k]`.
    target: Tensor,
}

impl Term for Person<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let own = self.network.embed(at.pictures)?;
        Ok((1.0 - Identity::cosine(&own, &self.target)?)?)
    }
}
