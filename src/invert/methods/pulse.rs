//! `pulse`: gradient descent on the sphere of Z.

use super::{SCHEDULE, adam, curve, descent};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::{Adam, Sphere};
use crate::invert::phase::{Mover, Phase, Schedule};
use crate::invert::schedule::Curve;
use crate::space::Space;

/// The search of PULSE: Adam in Z, where every code keeps the length of its start. The loss is that
/// of the other methods.
pub const METHOD: Method = Method {
    name: "pulse",
    paper: "PULSE (Menon et al. 2020), its search on the sphere",
    summary: "Adam on the sphere of z through the start, 100 steps",
    spaces: &[Space::Z],
    encoder: false,
    companion: None,
    steps: Some(100),
    lr: Some(|_| 0.4),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[SCHEDULE],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let phase = descent(job, config, adam);
    let curve = curve(config).unwrap_or(Curve::Linear1CycleDrop);
    let make = || Box::new(Sphere::new(Box::new(Adam::default()))) as _;
    Ok(vec![Phase {
        mover: Mover::Optimizer(Box::new(make)),
        schedule: Schedule { curve, ..phase.schedule },
        ..phase
    }])
}
