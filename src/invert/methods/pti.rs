//! `pti`: a pivot, then the generator's weights.

use super::{adam, descent, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Phase, Schedule, Tuning, Unknowns};
use crate::invert::schedule::Curve;
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Pivotal tuning: a code that can be edited, then weights that make it the picture.
pub const METHOD: Method = Method {
    name: "pti",
    paper: "Pivotal Tuning (Roich et al. 2021), low rank after My3DGen (Qi et al. 2023)",
    summary: "pivotal tuning: 150 steps for a code, then the generator's weights around it",
    spaces: &[Space::Z, Space::W, Space::WPlus],
    encoder: false,
    steps: Some(150),
    lr: Some(usual_lr),
    weights: &[],
    noise: false,
    params: &[
        Param::optional("tune", &[Kind::Number], "300", "of pti: steps that tune the weights")
            .whole(0, 1_000_000)
            .named(),
        Param::optional(
            "tune_lr",
            &[Kind::Number],
            "0.003",
            "of pti: learning rate of the weights",
        )
        .within(0.0, 1e3)
        .named(),
        Param::optional(
            "rank",
            &[Kind::Number],
            "24",
            "of pti: rank of the change of a weight; 0 for no limit",
        )
        .whole(0, 4096)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let pivot = descent(job, config, adam);
    let rank = config.setting("rank") as usize;
    let tuning = Phase {
        verb: "tune",
        unknowns: Unknowns { weights: Some(Tuning { rank }), ..Unknowns::default() },
        schedule: Schedule {
            rate: config.setting("tune_lr"),
            curve: Curve::Ramp,
            at: 0.5,
            w_noise: false,
        },
        steps: config.setting("tune") as usize,
        ..descent(job, config, adam)
    };
    Ok(vec![pivot, tuning])
}
