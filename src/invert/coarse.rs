//! Coarse to fine: the first steps compare smaller pictures, which families have that sum the
//! picture over the resolutions. The layers behind them are not run, and what they read has no
//! slope yet.

use super::config::Config;
use super::job::Job;
use super::objective::{TERMS, WHOLE};
use super::phase::{Mover, Phase, Recipe, Schedule};
use crate::error::{Error, Result};
use crate::generator;
use crate::metric::resize_to;
use candle_core::Tensor;

/// The part of a phase's steps that compares small pictures.
const SHARE: f64 = 0.5;

/// The phases of an inversion: those of the method, of which the first that searches codes by
/// gradients is divided where it is to begin with small pictures.
///
/// # Errors
/// Those of the method's plan, and when it has no such phase.
pub(super) fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let mut phases = (config.method.plan)(job, config)?;
    let Some(side) = config.coarse else { return Ok(phases) };
    let Some(at) = phases.iter().position(divides) else {
        let message = format!("method {} searches no code by gradients", config.method.name);
        return Err(Error::runtime(format!("{message}: `coarse` does not apply"))
            .hint("leave `coarse` out, or use method: optimize"));
    };
    let again = (config.method.plan)(job, config)?.into_iter().nth(at);
    let (Some(small), Some(whole)) = (again, phases.get_mut(at)) else { return Ok(phases) };
    let steps = (small.steps as f64 * SHARE).round() as usize;
    if steps == 0 || steps >= small.steps {
        return Ok(phases);
    }
    whole.steps -= steps;
    whole.schedule = Schedule { part: [SHARE, 1.0], ..whole.schedule };
    let small = Phase {
        side: Some(side),
        steps,
        schedule: Schedule { part: [0.0, SHARE], ..small.schedule },
        objective: of_small(&small.objective)?,
        // The goal is one of whole pictures.
        until: None,
        ..small
    };
    phases.insert(at, small);
    Ok(phases)
}

/// Whether a phase searches codes by gradients, in the generator as it is.
fn divides(phase: &Phase<'_>) -> bool {
    let u = phase.unknowns;
    let alone = u.weights.is_none() && u.residual.is_none() && u.composed.is_none();
    u.code && alone && matches!(phase.mover, Mover::Optimizer(_)) && phase.gradients()
}

/// The terms that small pictures have.
fn of_small(whole: &Recipe) -> Result<Recipe> {
    let kept = |(name, weight): &(&'static str, f64)| {
        (*name, if WHOLE.contains(name) { 0.0 } else { *weight })
    };
    let weights: Vec<_> = whole.weights.iter().map(kept).collect();
    let compares = |(name, weight): &(&str, f64)| {
        *weight > 0.0 && TERMS.iter().any(|term| term.name == *name && term.pictures)
    };
    if !weights.iter().any(compares) {
        let message = "no term is left that compares small pictures, as `coarse` asks for";
        return Err(Error::runtime(message).hint("leave `coarse` out, or weigh `l2`"));
    }
    Ok(Recipe { weights, ..whole.clone() })
}

/// Targets at the height of smaller pictures, averaged by area.
///
/// # Shapes
/// `[N, C, H, W]` → `[N, C, side, w]`
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn small(targets: &Tensor, side: usize) -> Result<Tensor> {
    let (_, _, h, w) = targets.dims4()?;
    resize_to(targets, side, w * side / h.max(1))
}

/// Refuses a height that the generator has no picture of on the way, and what small pictures lack.
///
/// # Errors
/// With the cause and its repair.
pub(super) fn check(job: &Job<'_>, config: &Config) -> Result<()> {
    let Some(side) = config.coarse else { return Ok(()) };
    let (spec, sides) = (job.generator.spec(), job.generator.early_sides());
    if !sides.contains(&side) {
        return Err(generator::not_on_the_way(spec, side, &sides));
    }
    if config.degrade.iter().next().is_some() {
        let message = "a degradation is one of whole pictures, and `coarse` compares smaller ones";
        return Err(Error::runtime(message).hint("leave `coarse` out"));
    }
    Ok(())
}
