//! `idinvert`: in-domain inversion.

use super::{adam, descent, passes, steady};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// The encoder's code, then Adam, where the encoder must find the code again in its picture.
pub const METHOD: Method = Method {
    name: "idinvert",
    paper: "In-Domain GAN Inversion (Zhu et al. 2020)",
    summary: "IDInvert, encoder passes, then 100 steps of Adam that keep the code where the \
              encoder finds it again",
    spaces: &[Space::WPlus, Space::W],
    encoder: true,
    companion: None,
    steps: Some(100),
    lr: Some(|_| 0.01),
    weights: &[("in_domain", 2.0)],
    best_of: None,
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![passes(job, config)?, steady(descent(job, config, adam))])
}
