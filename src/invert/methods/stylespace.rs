//! `stylespace`: inversion into the styles.

use super::{adam, descent};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// Adam in S from the styles of the mean of w.
pub const METHOD: Method = Method {
    name: "stylespace",
    paper: "StyleSpace Analysis (Wu et al. 2021)",
    summary: "StyleSpace, 1000 steps of Adam in S, the styles of all layers",
    spaces: &[Space::S],
    encoder: false,
    companion: None,
    steps: Some(1000),
    lr: Some(|_| 0.1),
    weights: &[("l2", 1.0), ("perceptual", 1.0)],
    best_of: None,
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![descent(job, config, adam)])
}
