//! `i2s`: Image2StyleGAN.

use super::{adam, descent, steady};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// Adam in W+ from the mean of w, at one rate, on pixels and features alike.
pub const METHOD: Method = Method {
    name: "i2s",
    paper: "Image2StyleGAN (Abdal et al. 2019)",
    summary: "Image2StyleGAN, 5000 steps of Adam in W+ at the rate .01",
    spaces: &[Space::WPlus, Space::W],
    encoder: false,
    steps: Some(5000),
    lr: Some(|_| 0.01),
    weights: &[("l2", 1.0), ("perceptual", 1.0)],
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![steady(descent(job, config, adam))])
}
