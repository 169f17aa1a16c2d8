//! `optimize`: gradient descent.

use super::{OPTIMIZER, SCHEDULE, SEARCHED, SEARCHES, chosen, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;

/// Gradient descent in any space, with Adam unless another optimizer is chosen.
pub const METHOD: Method = Method {
    name: "optimize",
    paper: "Image2StyleGAN (Abdal et al. 2019)",
    summary: "gradient descent with Adam or another `optimizer`, 400 steps",
    spaces: SEARCHED,
    encoder: false,
    companion: None,
    steps: Some(400),
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[OPTIMIZER, SCHEDULE, SEARCHES],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![chosen(job, config)?])
}
