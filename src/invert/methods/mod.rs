//! The methods of inversion, one file each: a constant with name, spaces, parameters and phases.
//!
//! Help, checker, completion, bench and command line read only this list.

mod dhr;
#[cfg(test)]
mod dummy_method;
mod encoder;
mod hybrid;
mod lbfgs;
mod optimize;
mod projector;
mod pti;

pub use dhr::METHOD as DHR;
pub use encoder::METHOD as ENCODER;
pub use hybrid::METHOD as HYBRID;
pub use lbfgs::METHOD as LBFGS;
pub use optimize::METHOD as OPTIMIZE;
pub use projector::METHOD as PROJECTOR;
pub use pti::METHOD as PTI;

use super::config::{Config, Method};
use super::job::Job;
use super::optimize::{Adam, Optimizer};
use super::phase::{Mover, Normalise, Phase, Region, Schedule, Unknowns};
use crate::error::{Error, Result};
use crate::space::Space;

/// All methods, in the order in which they are explained.
pub const METHODS: &[&Method] = &[
    &OPTIMIZE,
    &PROJECTOR,
    &ENCODER,
    &HYBRID,
    &LBFGS,
    &PTI,
    &DHR,
    #[cfg(test)]
    &dummy_method::METHOD,
];

/// Every space that an inversion can search.
pub const SEARCHED: &[Space] = &[Space::Z, Space::W, Space::WPlus, Space::S, Space::F, Space::N];

/// The method of that name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().copied().find(|m| m.name == name)
}

/// The methods' names as in a sentence: `optimize, projector or lbfgs`.
pub fn listed() -> String {
    let names: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
    match names.split_last() {
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Unknowns of a search in the configured space.
fn unknowns(job: &Job<'_>, config: &Config) -> Unknowns {
    Unknowns {
        code: config.space != Space::N,
        noise: config.searches_noise(job),
        residual: config.searched_layer(job),
        weights: None,
    }
}

/// Steps of an optimizer from where the search is.
fn descent<'a>(job: &Job<'a>, config: &Config, make: fn() -> Box<dyn Optimizer>) -> Phase<'a> {
    let normalised = config.noise_regularise > 0.0;
    Phase {
        verb: "invert",
        unknowns: unknowns(job, config),
        objective: config.recipe(job, false),
        counted: Region::All,
        searched: Region::All,
        mover: Mover::Optimizer(Box::new(make)),
        // The middle of a step wastes none: the ramp begins at 0.
        schedule: Schedule { rate: config.lr, at: 0.5, w_noise: false },
        normalise: if normalised { Normalise::AfterStep } else { Normalise::Never },
        steps: config.steps_taken(),
        until: config.until,
    }
}

/// Steps of Adam.
fn adam() -> Box<dyn Optimizer> {
    Box::new(Adam::default())
}

/// Passes of the generator's encoder.
fn passes<'a>(job: &Job<'a>, config: &Config) -> Result<Phase<'a>> {
    let encoder = job.encoder.ok_or_else(|| Error::runtime("there is no encoder"))?;
    Ok(Phase {
        verb: "encode",
        mover: Mover::Encoder(encoder),
        steps: config.passes_taken(),
        ..descent(job, config, adam)
    })
}

/// Adam's usual peak learning rate.
fn usual_lr(space: Space) -> f64 {
    if space == Space::Z { 0.1 } else { 0.05 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_and_explains_itself() {
        for method in METHODS {
            assert_eq!(find(method.name), Some(*method));
            assert!(!method.summary.is_empty() && !method.paper.is_empty());
            assert!(method.spaces.iter().all(|s| SEARCHED.contains(s)), "{method:?}");
            let said = |n: usize| method.summary.contains(&n.to_string());
            assert!(method.steps.is_none_or(said), "{method:?} says how many steps it takes");
            for p in method.params {
                assert!(p.default.is_some_and(|d| d.parse::<f64>().is_ok()) && p.named);
            }
        }
        assert_eq!(find("adam"), None);
    }
}
