//! `dgp`: Deep Generative Prior.

use super::{RANK, TUNE_RATE, adam, descent, steady};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Layers, Pace, Phase, Schedule, Tuning, Unknowns};
use crate::space::Space;

/// The best of 500 samples, then code and weights together, in the features of the discriminator:
/// stage after stage more of the layers from the input on, at smaller learning rates. What the
/// picture lacks is a degradation (`down`, `grey`) or a mask. The published mean of z²/2, weighed
/// 0.02, is half the prior's.
pub const METHOD: Method = Method {
    name: "dgp",
    paper: "Deep Generative Prior (Pan et al. 2020)",
    summary: "DGP: code and weights in the discriminator's features (without one by a perceptual \
              distance), 5 stages of 200 steps, each with more layers",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(200),
    lr: Some(|_| 2e-3),
    weights: &[("discriminator", 1.0), ("perceptual", 0.0), ("prior", 0.01)],
    best_of: Some(500),
    noise: false,
    params: &[TUNE_RATE, RANK],
    plan,
};

/// A stage: how many sevenths of the layers, and the learning rates of weights and code in their
/// peaks.
struct Stage {
    layers: usize,
    weights: f64,
    code: f64,
}

const STAGES: [Stage; 5] = [
    Stage { layers: 2, weights: 1.0, code: 1.0 },
    Stage { layers: 3, weights: 1.0, code: 0.5 },
    Stage { layers: 4, weights: 0.4, code: 0.01 },
    Stage { layers: 5, weights: 0.2, code: 0.005 },
    Stage { layers: 7, weights: 0.2, code: 0.005 },
];

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let count = job.generator.spec().layers.len();
    let rank = config.setting("rank") as usize;
    let one = |stage: &Stage| {
        let usual = steady(descent(job, config, adam));
        let layers = match stage.layers {
            7 => Layers::All,
            k => Layers::FromInput((count * k).div_ceil(7)),
        };
        Phase {
            verb: "stage",
            unknowns: Unknowns { weights: Some(Tuning { rank, layers }), ..usual.unknowns },
            schedule: Schedule { rate: 1.0, ..usual.schedule },
            pace: Pace {
                codes: config.lr * stage.code,
                weights: config.setting("tune_lr") * stage.weights,
            },
            ..usual
        }
    };
    Ok(STAGES.iter().map(one).collect())
}
