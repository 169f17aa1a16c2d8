//! `ii2s`: improved StyleGAN embedding.

use super::steadily;
use crate::invert::config::Method;
use crate::space::Space;

/// Adam in PN+ from the mean of P, held near the prior.
pub const METHOD: Method = Method {
    name: "ii2s",
    paper: "Improved StyleGAN Embedding (Zhu et al. 2020)",
    summary: "II2S, 1300 steps of Adam in PN+, held near the prior",
    spaces: &[Space::PNPlus, Space::PN],
    encoder: false,
    companion: None,
    steps: Some(1300),
    lr: Some(|_| 0.01),
    weights: &[("l2", 1.0), ("perceptual", 1.0), ("prior_pn", 0.001)],
    best_of: None,
    noise: false,
    params: &[],
    plan: steadily,
};
