//! `optimize`: gradient descent with Adam.

use super::{SEARCHED, adam, descent, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;

/// Gradient descent with Adam in any space.
pub const METHOD: Method = Method {
    name: "optimize",
    paper: "Image2StyleGAN (Abdal et al. 2019)",
    summary: "Adam, 400 steps",
    spaces: SEARCHED,
    encoder: false,
    steps: Some(400),
    lr: Some(usual_lr),
    weights: &[],
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![descent(job, config, adam)])
}
