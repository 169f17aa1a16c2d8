//! Inversion: from a picture to the code that makes it.
//!
//! A method ([`METHODS`]) is a list of phases; a [`Phase`] says what is searched, what is minimised
//! ([`Term`]), how ([`Optimizer`]) and for how long. One loop runs them all. Images are inverted in
//! batches of a bounded size ([`crate::generator::batch_size`]), and what comes out for one does
//! not depend on its neighbours, to the last bit: operators round each sample alike in any batch,
//! every image has its own optimizer, schedule and best point, and all its randomness comes from
//! the seed and the image's key (by default its content), never from its place. Only a method that
//! searches pictures together (`consecutive`) joins them: see `together`.
//!
//! Losses are `[N]` and stay apart by term in the trace; only the backward pass sums them.
//!
//! | to add | files |
//! |---|---|
//! | a method | one in `methods`, one line in [`METHODS`] |
//! | a term | one in `objective`, one line in [`TERMS`] |
//! | a degradation | one in `degrade`, one line in [`DEGRADATIONS`] |
//! | an optimizer | one in `optimize`, the methods that use it |

mod below;
mod check;
mod checkpoint;
mod coarse;
mod config;
mod degrade;
mod domain;
mod evaluate;
mod far;
mod frozen;
mod hash;
mod job;
mod ladder;
mod layerwise;
mod mask;
pub mod methods;
mod named;
mod objective;
mod optimize;
mod phase;
mod point;
mod prior;
mod problem;
mod relative;
mod report;
mod restarts;
mod run;
mod schedule;
mod seeing;
mod start;
mod state;
mod stats;
mod together;
mod trace;

pub use checkpoint::FORMAT as CHECKPOINT_FORMAT;
pub use config::{Checkpoint, Config, Init, Method, Plan, feature_layer};
pub use degrade::{DEGRADATIONS, Degradation, Degrader, enlarge, words as degradations};
pub use hash::content_hash;
pub use job::{Job, Statistics};
pub use ladder::{Rung, climb, ladder};
pub use layerwise::{Slack, Tolerance};
pub use mask::{Mask, Shape};
pub use methods::METHODS;
pub use named::{Numbers, Words};
pub use objective::{
    Beside, Forward, Loss, Objective, Setup, TERMS, Term, TermKind, Weighted, normalise,
    regulariser,
};
pub use optimize::{Optimizer, Saved, Stored, Worth};
pub use phase::{
    Backwards, Composed, Layers, MakeOptimizer, Mover, Normalise, Pace, Phase, Recipe, Region,
    Schedule, Tuning, Unknowns,
};
pub use report::{Diagnosis, Inversion, Number, Warning};
pub use schedule::{Curve, ramp, w_noise};
pub use stats::{Distance, PROJECTOR_SAMPLES, SAFE_OFFSET, WStats};
pub use trace::Trace;

use crate::control::Stop;
use crate::error::{Error, Kind, Result};
use crate::generator::{Input, spaces};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use problem::Run;
use std::time::Instant;

/// Inverts pictures.
///
/// On [`Stop::Keep`] the best so far is the result; images of batches that had not
/// begun return their start.
///
/// # Shapes
/// target `[N, C, R, R]` in [-1, 1], at the generator's resolution.
///
/// # Errors
/// Before anything runs: when the target or the configuration do not fit the generator. While it
/// runs: `Interrupted` on [`Stop::Abort`], and on
/// [`Stop::Keep`] before the start is evaluated; `Resumable` on
/// [`Stop::Checkpoint`].
pub fn invert(job: &Job, target: &Tensor, config: &Config) -> Result<Inversion> {
    let clock = Instant::now();
    let target = target.detach().to_dtype(DType::F32)?.to_device(job.generator.device())?;
    check::check_target(job, &target)?;
    let mut warnings: Vec<_> =
        config.check(job)?.into_iter().map(|text| Warning { image: None, text }).collect();
    let run = Run::new(job, config, target.dims()[0])?;
    let outcomes = restarts::search(&run, &target).map_err(|e| nothing_yet(job, e))?;
    let mut inversion = report::assemble(&run, &target, outcomes)?;
    warnings.append(&mut inversion.diagnosis.warnings);
    inversion.diagnosis.warnings = warnings;
    inversion.seconds = clock.elapsed().as_secs_f64();
    Ok(inversion)
}

/// A first Ctrl-C keeps the best so far, so the work fails of it only before it has evaluated its
/// start.
fn nothing_yet(job: &Job, e: Error) -> Error {
    if e.kind() != Kind::Interrupted || job.control.stop() != Stop::Keep {
        return e;
    }
    Error::new(Kind::Interrupted, "stopped before the first step: there was nothing to keep yet")
}

/// Inverts a picture that the generator made itself, which shows the method's limit on a target
/// that is certainly in range.
///
/// # Errors
/// As [`invert`].
pub fn self_test(job: &Job, config: &Config) -> Result<Inversion> {
    let dim = job.generator.spec().z_dim;
    let z = Rng::derive(config.seed, "invert: self-test").normals(dim);
    let z = Tensor::from_vec(z, (1, dim), &Device::Cpu)?.to_device(job.generator.device())?;
    let input = Input::labelled(job.labels_of(0)?.as_ref());
    let picture = spaces::picture(job.generator, &z, Space::Z, &input)?;
    let [_, c, h, w] = picture.dims4().map(|(n, c, h, w)| [n, c, h, w])?;
    let picture = match Degrader::new(&config.degrade, [c, h, w], picture.device())? {
        None => picture,
        Some(degrader) => {
            let degraded = degrader.apply(&picture)?;
            enlarge(&degraded, h / degraded.dim(2)?)?
        }
    };
    invert(job, &picture, config)
}

#[cfg(test)]
mod coarse_tests;
#[cfg(test)]
mod encode_tests;
#[cfg(test)]
mod frozen_tests;
#[cfg(test)]
mod judged_tests;
#[cfg(test)]
mod ladder_tests;
#[cfg(test)]
mod method_tests;
#[cfg(test)]
mod official_tests;
#[cfg(test)]
mod optimizer_tests;
#[cfg(test)]
mod phase_tests;
#[cfg(test)]
mod pn_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tuning_tests;
