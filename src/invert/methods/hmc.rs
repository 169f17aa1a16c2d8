//! `hmc`: Hamiltonian Monte Carlo.

use super::{adam, code_alone, count, descent};
use crate::error::{Error, Result};
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::{Hmc, HmcSettings};
use crate::invert::phase::{Mover, Phase, Schedule};
use crate::invert::schedule::Curve;
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Hamiltonian Monte Carlo over z with its prior N(0, I): samples of `exp(-loss / T) · N(z)`, of
/// which the one of the smallest loss is the result; a step is one evaluation.
pub const METHOD: Method = Method {
    name: "hmc",
    paper: "Duane et al. 1987, Neal 2011",
    summary: "Hamiltonian Monte Carlo over z, 1000 evaluations; the first half of the proposals \
              adapt the step",
    spaces: &[Space::Z],
    encoder: false,
    companion: None,
    steps: Some(1000),
    lr: Some(|_| 0.05),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        Param::optional(
            "temperature",
            &[Kind::Number],
            "0.001",
            "of hmc: T in exp(-loss / T), above 0; the smaller, the nearer to the picture",
        )
        .within(1e-9, 1e9)
        .named(),
        Param::optional(
            "leapfrog",
            &[Kind::Number],
            "10",
            "of hmc: leapfrog steps of a proposal, each one evaluation",
        )
        .whole(1, 10_000)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    code_alone(job, config)?;
    let temperature = config.setting("temperature");
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::runtime(format!("`temperature` is {temperature}, it must be above 0"))
            .hint("leave `temperature` out"));
    }
    let phase = descent(job, config, adam);
    let leapfrog = count(config, "leapfrog")?;
    let settings = HmcSettings { temperature, leapfrog, warmup: phase.steps / leapfrog / 2 };
    Ok(vec![Phase {
        mover: Mover::Optimizer(Box::new(move || Box::new(Hmc::new(settings)))),
        schedule: Schedule { curve: Curve::Constant, ..phase.schedule },
        ..phase
    }])
}
