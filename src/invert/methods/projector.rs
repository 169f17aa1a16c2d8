//! `projector`: NVIDIA's projector.

use super::{adam, descent};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Phase, Schedule};
use crate::invert::schedule::Curve;
use crate::space::Space;

/// NVIDIA's projector: W with noise maps from random ones, noise on w that fades, the perceptual
/// distance alone at no more than 256 pixels.
pub const METHOD: Method = Method {
    name: "projector",
    paper: "Karras et al. 2020, appendix D",
    summary: "NVIDIA's projector, in W, 1000 steps",
    spaces: &[Space::W],
    encoder: false,
    companion: None,
    steps: Some(1000),
    lr: Some(lr),
    weights: &[("l2", 0.0), ("perceptual", 1.0)],
    best_of: None,
    noise: true,
    params: &[],
    plan,
};

fn lr(_: Space) -> f64 {
    0.1
}

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![Phase {
        objective: config.recipe(job, true),
        // It reads the rate at the step's start, where the first one is 0.
        schedule: Schedule {
            rate: config.lr,
            curve: Curve::Ramp,
            at: 0.0,
            w_noise: true,
            part: [0.0, 1.0],
        },
        ..descent(job, config, adam)
    }])
}
