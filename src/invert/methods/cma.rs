//! `cma`: CMA-ES.

use super::{SIGMA, sampled};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::Cma;
use crate::invert::phase::{Mover, Phase};
use crate::space::Space;

/// CMA-ES in Z or W, without gradients; a step is one evaluation.
pub const METHOD: Method = Method {
    name: "cma",
    paper: "Hansen 2016, \"The CMA Evolution Strategy: A Tutorial\"",
    summary: "CMA-ES, no gradients, 2000 evaluations",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(2000),
    lr: None,
    weights: &[],
    best_of: None,
    noise: false,
    params: &[SIGMA],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let (phase, settings) = sampled(job, config)?;
    let mover = Mover::Optimizer(Box::new(move || Box::new(Cma::new(settings))));
    Ok(vec![Phase { mover, ..phase }])
}
