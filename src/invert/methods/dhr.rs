//! `dhr`: what the generator reaches by its weights, the rest by a feature map.

use super::{PIVOT, RANK, TUNE, TUNE_RATE, adam, descent, tuning, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method, feature_layer};
use crate::invert::job::Job;
use crate::invert::phase::{Phase, Region, Schedule, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Domain-specific hybrid refinement: a code; the weights for the superpixels that the generator
/// reaches; the residual of a feature map in the others.
pub const METHOD: Method = Method {
    name: "dhr",
    paper: "Domain-Specific Hybrid Refinement (Cao et al. 2023)",
    summary: "150 steps for a code, then weights where the generator reaches the picture and a \
              feature map elsewhere",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(150),
    lr: Some(usual_lr),
    weights: &[("offset", PIVOT)],
    best_of: None,
    noise: false,
    params: &[
        TUNE,
        TUNE_RATE,
        RANK,
        Param::optional(
            "fill",
            &[Kind::Number],
            "100",
            "of dhr: steps that search the feature map",
        )
        .whole(0, 1_000_000)
        .named(),
        Param::optional("fill_lr", &[Kind::Number], "0.09", "of dhr: learning rate of the map")
            .within(0.0, 1e3)
            .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let usual = descent(job, config, adam);
    let fill = Phase {
        verb: "fill",
        unknowns: Unknowns {
            residual: config.layer.or_else(|| feature_layer(job.generator.spec())),
            ..Unknowns::default()
        },
        searched: Region::Missed,
        schedule: Schedule { rate: config.setting("fill_lr"), ..usual.schedule },
        steps: config.setting("fill") as usize,
        ..usual
    };
    let tuned = Phase { counted: Region::Reached, ..tuning(job, config) };
    Ok(vec![descent(job, config, adam), tuned, fill])
}
