//! The objective: weighted terms, one file each.
//!
//! A term is only a formula. Its weight, the mask of the picture and how the weight changes over
//! the steps are kept beside it, in [`Weighted`] and [`Objective`].
//!
//! With a mask `m` the terms see `target + m · (picture − target)`: outside the mask that is the
//! target itself. So no term, not even one that looks at pictures through a network, has a slope
//! there: every gradient passes the factor `m`, which is exactly 0. Where pictures are degraded
//! before they are compared, both and the mask are of that size. Losses are divided by the mean
//! of the mask: a mean squared error is then the mean over the mask's pixels.

mod adversarial;
mod bce;
mod discriminator;
#[cfg(test)]
mod dummy_term;
mod edits;
mod geocross;
mod huber;
mod identity;
mod in_domain;
mod l1;
mod l2;
mod locality;
mod lpips;
mod msssim;
mod noise;
mod nscd;
mod offset;
mod parts;
mod perceptual;
mod prior;
mod prior_pn;
mod residual;
mod saliency;

pub use noise::{normalise, regulariser};

use super::degrade::Degrader;
use super::job::Job;
use crate::error::Result;
use crate::generator::spaces;
use crate::generator::whitening::Whitening;
use crate::lang::types::{Kind, Param};
use crate::metric::resize_to;
use crate::space::Space;
use candle_core::{DType, Tensor};
use std::cell::OnceCell;
use std::sync::Arc;

/// The largest side at which the projector compares pictures.
const LIMITED_SIDE: usize = 256;

/// The terms that a user can weigh, in the order in which they are traced.
pub const TERMS: &[&TermKind] = &[
    &l2::TERM,
    &l1::TERM,
    &huber::TERM,
    &bce::TERM,
    &msssim::TERM,
    &perceptual::TERM,
    &lpips::TERM,
    &identity::TERM,
    &parts::TERM,
    &discriminator::TERM,
    &saliency::TERM,
    &adversarial::TERM,
    &offset::TERM,
    &geocross::TERM,
    &prior::TERM,
    &prior_pn::TERM,
    &nscd::TERM,
    &residual::TERM,
    &in_domain::TERM,
    &locality::TERM,
    &edits::TERM,
    #[cfg(test)]
    &dummy_term::TERM,
];

/// The terms that hold weights which are tuned: of methods that tune none they are refused.
pub const OF_WEIGHTS: [&str; 2] = [locality::TERM.name, edits::TERM.name];

/// The terms whose networks read pictures of the generator's size, or codes in them: pictures on
/// the way are not compared by them.
pub const WHOLE: [&str; 5] = [
    identity::TERM.name,
    discriminator::TERM.name,
    saliency::TERM.name,
    adversarial::TERM.name,
    in_domain::TERM.name,
];

/// Results of a forward pass that the terms read.
pub struct Forward<'t> {
    /// The pictures, `[N, C, H, W]`.
    pub pictures: &'t Tensor,
    /// The pictures to reach, of the same size.
    pub targets: &'t Tensor,
    /// The codes as they are searched: `[N, D]`, in W+ `[N, L, D]`.
    pub code: &'t Tensor,
    /// The noise maps that are searched, each `[N, 1, H, W]`.
    pub noise: &'t [Tensor],
    /// The residual of a feature map that is searched, `[N, C, h, w]`.
    pub residual: Option<&'t Tensor>,
    /// The pictures as the generator makes them, before they are degraded and masked.
    pub whole: &'t Tensor,
    /// Where weights are tuned: pictures of other codes.
    pub aside: Aside<'t>,
    difference: OnceCell<Tensor>,
}

impl<'t> Forward<'t> {
    /// Pictures and targets of one size, with codes and noise maps.
    pub fn new(
        (pictures, targets): (&'t Tensor, &'t Tensor),
        code: &'t Tensor,
        noise: &'t [Tensor],
    ) -> Self {
        Self {
            pictures,
            targets,
            code,
            noise,
            residual: None,
            whole: pictures,
            aside: Aside::default(),
            difference: OnceCell::new(),
        }
    }

    /// Pictures minus targets, `[N, C · H · W]`; computed once for all terms.
    ///
    /// # Errors
    /// When their sizes differ.
    pub fn difference(&self) -> Result<&Tensor> {
        if let Some(known) = self.difference.get() {
            return Ok(known);
        }
        let fresh = (self.pictures - self.targets)?.flatten_from(1)?;
        Ok(self.difference.get_or_init(|| fresh))
    }
}

/// One term of a loss.
pub trait Term {
    /// Its name in the trace.
    fn name(&self) -> &'static str;

    /// Its value for every image, with gradients, before any weight.
    ///
    /// # Shapes
    /// → `[N]`
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn value(&self, at: &Forward<'_>) -> Result<Tensor>;

    /// Unit of the term's weight: the weight is divided by it.
    fn unit(&self) -> f64 {
        1.0
    }
}

/// A term with what is decided beside it.
pub struct Weighted<'a> {
    /// The formula.
    pub term: Box<dyn Term + 'a>,
    /// Its weight.
    pub weight: f64,
    /// Whether it compares pictures: only then the mask counts for it.
    pub pictures: bool,
    /// A factor of the weight at `t` in [0, 1], the part of the phase that is done; `None` for 1.
    pub schedule: Option<fn(f64) -> f64>,
}

/// Inputs from which a term is built.
pub struct Setup<'s, 'a> {
    /// Inputs of the inversion.
    pub job: &'s Job<'a>,
    /// The space that is searched.
    pub space: Space,
    /// The pictures to reach as they are compared, `[N, C, H, W]`.
    pub targets: &'s Tensor,
    /// Whether these are smaller than the generator's pictures (`coarse`).
    pub early: bool,
    /// Their labels, `[N, c_dim]`.
    pub labels: Option<&'s Tensor>,
    /// How many of the discriminator's feature maps count, from the score's side; all unless given.
    pub levels: Option<usize>,
    /// The spread of w, σ_w.
    pub sigma: &'s dyn Fn() -> Result<f64>,
    /// The whitening of w by its mean and covariance.
    pub gaussian: &'s dyn Fn() -> Result<Whitening>,
}

/// A kind of loss term, as the rest of the program knows it.
pub struct TermKind {
    /// Its name, that of its parameter, and of its column in the trace.
    pub name: &'static str,
    /// The parameter of `invert` that sets its weight.
    pub param: Param,
    /// The default weight; 0 where [`TermKind::check`] refuses.
    pub weight: f64,
    /// Whether the provenance calls that weight `default`, because it depends on the generator.
    pub automatic: bool,
    /// Whether it compares pictures.
    pub pictures: bool,
    /// Refuses a job or space in which the term does not work.
    pub check: fn(&Job<'_>, Space) -> Result<()>,
    /// The term; `None` where it is 0 everywhere.
    pub make: MakeTerm,
}

/// Makes a term for a job; `None` where it is 0 everywhere.
pub type MakeTerm = for<'a> fn(&Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>>;

/// One weighted term of a loss: its name, and a number an image, `[N]`.
pub type Loss = (&'static str, Tensor);

/// What is searched or made beside the codes and their pictures.
#[derive(Clone, Copy, Default)]
pub struct Beside<'t> {
    /// The noise maps that are searched, each `[N, 1, H, W]`.
    pub noise: &'t [Tensor],
    /// The residual of a feature map that is searched, `[N, C, h, w]`.
    pub residual: Option<&'t Tensor>,
    /// Pictures of other codes, as in [`Forward::aside`].
    pub aside: Aside<'t>,
}

/// Pictures of codes beside those whose weights are tuned: by the tuned generators, and what they
/// should be, each `[N, C, H, W]`.
#[derive(Clone, Copy, Default)]
pub struct Aside<'t> {
    /// Of codes far away: as the untouched generator draws them.
    pub far: Option<&'t [Tensor; 2]>,
    /// Of edited codes: changed as the untouched generator changes its own.
    pub edited: Option<&'t [Tensor; 2]>,
    /// Steps for which these pictures count: not every step draws some.
    pub times: f64,
}

/// The objective for the pictures of a batch.
pub struct Objective<'a> {
    /// The pictures to reach, `[N, C, H, W]`, at the size of the degraded pictures.
    targets: Tensor,
    /// The targets at the size at which they are compared.
    compared: Tensor,
    /// The mask, `[1 or N, 1, H, W]`.
    mask: Option<Tensor>,
    /// The mask's mean, `[1 or N]`.
    share: Option<Tensor>,
    degrader: Option<Arc<Degrader>>,
    terms: Vec<Weighted<'a>>,
    limited: bool,
}

impl<'a> Objective<'a> {
    /// An objective without terms for targets at the generator's size; `limited` compares at no
    /// more than 256 pixels a side, as the projector does.
    ///
    /// # Errors
    /// When the target cannot be resized.
    pub fn new(
        targets: &Tensor,
        (degrader, limited): (Option<Arc<Degrader>>, bool),
    ) -> Result<Self> {
        let targets = match &degrader {
            Some(degrader) => degrader.target(targets)?,
            None => targets.clone(),
        };
        let compared = if limited { limit(&targets)? } else { targets.clone() };
        let (mask, share, terms) = (None, None, Vec::new());
        Ok(Self { targets, compared, mask, share, degrader, terms, limited })
    }

    /// Applies a mask `[1 or N, 1, H, W]` at the generator's size, besides one that it has.
    ///
    /// # Errors
    /// When the mask does not fit.
    pub fn masked(mut self, mask: &Tensor) -> Result<Self> {
        let mask = mask.to_device(self.targets.device())?.to_dtype(DType::F32)?;
        let (_, _, h, w) = self.targets.dims4()?;
        let mask = resize_to(&mask, h, w)?;
        let mask = match &self.mask {
            Some(other) => other.broadcast_mul(&mask)?,
            None => mask,
        };
        // Where nothing counts, every term is 0.
        let share = mask.to_dtype(DType::F64)?.flatten_from(1)?.mean(1)?.to_dtype(DType::F32)?;
        let share = share.maximum(f64::from(f32::MIN_POSITIVE))?;
        (self.mask, self.share) = (Some(mask), Some(share));
        Ok(self)
    }

    /// The pictures to reach as the terms compare them, `[N, C, H, W]`.
    pub fn compared(&self) -> &Tensor {
        &self.compared
    }

    /// Adds a term.
    pub fn push(&mut self, term: Weighted<'a>) {
        self.terms.push(term);
    }

    /// The weighted terms, each `[N]` with gradients; the loss is their sum. `done` is the part of
    /// its phase that every image has behind it.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn loss(
        &self,
        pictures: &Tensor,
        code: &Tensor,
        Beside { noise, residual, aside }: Beside<'_>,
        done: &[f64],
    ) -> Result<Vec<Loss>> {
        let seen = self.seen(pictures)?;
        let pair = (&seen, &self.compared);
        let at = Forward { whole: pictures, residual, aside, ..Forward::new(pair, code, noise) };
        let one = |w: &Weighted<'a>| -> Result<Loss> {
            let value = (w.term.value(&at)? * (w.weight / w.term.unit()))?;
            let value = match self.share.as_ref().filter(|_| w.pictures) {
                Some(share) => value.broadcast_div(share)?,
                None => value,
            };
            let value = match w.schedule {
                None => value,
                Some(factor) => {
                    let factors: Vec<f32> = done.iter().map(|t| factor(*t) as f32).collect();
                    value.mul(&Tensor::new(factors, value.device())?)?
                }
            };
            Ok((w.term.name(), value))
        };
        self.terms.iter().map(one).collect()
    }

    /// The pictures as the terms see them.
    fn seen(&self, pictures: &Tensor) -> Result<Tensor> {
        let degraded = match &self.degrader {
            Some(degrader) => degrader.apply(pictures)?,
            None => pictures.clone(),
        };
        let seen = match &self.mask {
            None => degraded,
            Some(mask) => {
                let inside = (degraded - &self.targets)?.broadcast_mul(mask)?;
                (&self.targets + inside)?
            }
        };
        if self.limited { limit(&seen) } else { Ok(seen) }
    }
}

/// The noise regulariser with its weight.
pub(super) fn noise_term<'a>(weight: f64) -> Weighted<'a> {
    Weighted { term: Box::new(noise::Regulariser), weight, pictures: false, schedule: None }
}

impl TermKind {
    /// The term with a weight; `None` where it is 0 everywhere.
    ///
    /// # Errors
    /// When the term cannot be made.
    pub fn weighted<'a>(&self, setup: &Setup<'_, 'a>, weight: f64) -> Result<Option<Weighted<'a>>> {
        let pictures = self.pictures;
        let made = (self.make)(setup)?;
        Ok(made.map(|term| Weighted { term, weight, pictures, schedule: None }))
    }
}

fn limit(pictures: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = pictures.dims4()?;
    resize_to(pictures, h.min(LIMITED_SIDE), w.min(LIMITED_SIDE))
}

/// The parameter of a term's weight.
const fn weight(name: &'static str, doc: &'static str) -> Param {
    Param::optional(name, &[Kind::Number], "-", doc).within(0.0, 1e12).named()
}

/// The space of the codes that are searched: in F those beside the map.
fn codes_of(job: &Job<'_>, searched: Space) -> Space {
    if searched == Space::F { spaces::read_by_synthesis(job.generator) } else { searched }
}

/// Check of terms that are always available.
fn always(_: &Job<'_>, _: Space) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod unit_tests;
