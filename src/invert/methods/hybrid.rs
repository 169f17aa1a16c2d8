//! `hybrid`: passes of the encoder, gradient descent, and the feature-residual network.

use super::{EDITABLE, FINISH, OPTIMIZER, SCHEDULE, SEARCHES, added, chosen, passes, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::lang::types::Companion;
use crate::space::Space;

/// The encoder's best code, then gradient descent from there. What the code still leaves out is
/// added to a feature map where the generator brings a network for that.
pub const METHOD: Method = Method {
    name: "hybrid",
    paper: "Zhu et al. 2016 with ReStyle's passes (Alaluf et al. 2021) and a residual as of \
            StyleFeatureEditor (Bobkov et al. 2024)",
    summary: "encoder passes, then 200 steps of Adam or another `optimizer`, then one pass of the \
              feature-residual network where the generator has one (see `finish`)",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: true,
    companion: Some(Companion::Residual),
    steps: Some(200),
    lr: Some(usual_lr),
    // Edits stay safe near W. On 40 held-out people it ends 4.6 dB above the encoder, and 11 of 13
    // edits come nearer to the true pictures: not putting on glasses, nor one turn, a tie.
    weights: &[("offset", EDITABLE)],
    best_of: None,
    noise: false,
    params: &[OPTIMIZER, SCHEDULE, SEARCHES, FINISH],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let mut phases = vec![passes(job, config)?, chosen(job, config)?];
    if let Some(network) = job.companion.filter(|_| config.companion().is_some()) {
        phases.push(added(job, config, network)?);
    }
    Ok(phases)
}
