//! `pti`: a pivot, then the generator's weights.

use super::{RANK, TUNE, TUNE_RATE, adam, descent, tuning, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
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
    best_of: None,
    noise: false,
    params: &[TUNE, TUNE_RATE, RANK],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![descent(job, config, adam), tuning(job, config)])
}
