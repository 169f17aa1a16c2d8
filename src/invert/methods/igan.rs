//! `igan`: an encoder's guess, then L-BFGS.

use super::{LBFGS, passes};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// The solver `cnn_opt` of iGAN: passes of the encoder, then L-BFGS from there.
pub const METHOD: Method = Method {
    name: "igan",
    paper: "Generative Visual Manipulation on the Natural Image Manifold (Zhu et al. 2016)",
    summary: "iGAN, encoder passes, then 100 evaluations of L-BFGS",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: true,
    companion: None,
    steps: Some(100),
    lr: None,
    weights: &[],
    best_of: None,
    noise: false,
    params: LBFGS.params,
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let mut phases = vec![passes(job, config)?];
    phases.extend((LBFGS.plan)(job, config)?);
    Ok(phases)
}
