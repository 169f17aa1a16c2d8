//! `basincma`: CMA-ES over what gradient descent reaches, then gradient descent.

use super::{SCHEDULE, SIGMA, adam, count, descent, sampled, size, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::BasinCma;
use crate::invert::phase::{Mover, Phase, Schedule};
use crate::invert::schedule::Curve;
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// BasinCMA in Z or W. In 512 dimensions a generation has 22 candidates, so the search evaluates
/// the loss about 20,000 times.
pub const METHOD: Method = Method {
    name: "basincma",
    paper: "pix2latent (Huh et al. 2020)",
    summary: "CMA-ES for 30 generations, each candidate refined by 30 steps of Adam; from the best \
              300 steps of Adam",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(300),
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        SIGMA,
        Param::optional(
            "generations",
            &[Kind::Number],
            "30",
            "of basincma: generations of CMA-ES, of 4 + 3 ln n candidates in n dimensions",
        )
        .whole(1, 100_000)
        .named(),
        Param::optional(
            "refine",
            &[Kind::Number],
            "30",
            "of basincma: steps of Adam for each candidate",
        )
        .whole(0, 100_000)
        .named(),
        SCHEDULE,
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let (phase, settings) = sampled(job, config)?;
    let generations = count(config, "generations")?;
    let refine = count(config, "refine")?;
    let mover = Mover::Optimizer(Box::new(move || Box::new(BasinCma::new(settings, refine))));
    let search = Phase {
        mover,
        // Every candidate is refined alike.
        schedule: Schedule { curve: Curve::Constant, ..phase.schedule },
        steps: generations * BasinCma::generation(size(job, config), refine),
        ..phase
    };
    Ok(vec![search, descent(job, config, adam)])
}
