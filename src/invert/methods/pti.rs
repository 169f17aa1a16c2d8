//! `pti`: a pivot, then the generator's weights.

use super::{PIVOT, RANK, TUNE, TUNE_RATE, adam, descent, tuning, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// Pivotal tuning: a code that can be edited, then weights that make it the picture. Where the
/// picture lies far from what the generator makes, weights change much, and edits smear: the pivot
/// is a code near W, and two terms hold what the weights do beside it. A pivot in W itself is
/// further from the picture, so that weights must change more. All of this costs fidelity; without
/// the two terms (`locality: 0, edits: 0`) a portrait in the built-in generator comes about 1 dB
/// nearer.
pub const METHOD: Method = Method {
    name: "pti",
    paper: "Pivotal Tuning (Roich et al. 2021), low rank after My3DGen (Qi et al. 2023)",
    summary: "pivotal tuning: 150 steps for a code, then the generator's weights around it, held \
              to what edits did before",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(150),
    lr: Some(usual_lr),
    weights: &[("offset", PIVOT), ("locality", 0.1), ("edits", 0.03)],
    best_of: None,
    noise: false,
    params: &[TUNE, TUNE_RATE, RANK],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![descent(job, config, adam), tuning(job, config)])
}
