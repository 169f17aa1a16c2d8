//! `bdinvert`: out-of-range pictures by a feature map.

use super::steadily;
use crate::invert::config::Method;
use crate::space::Space;

/// BDInvert without its encoder: the map is held near the one that the codes give, which begin at
/// the mean of w.
pub const METHOD: Method = Method {
    name: "bdinvert",
    paper: "BDInvert (Kang et al. 2021)",
    summary: "BDInvert, 1200 steps of Adam in F, map and codes held near the prior",
    spaces: &[Space::F],
    encoder: false,
    companion: None,
    steps: Some(1200),
    lr: Some(|_| 0.01),
    weights: &[("l2", 1.0), ("perceptual", 10.0), ("residual", 10.0), ("prior_pn", 0.01)],
    best_of: None,
    noise: false,
    params: &[],
    plan: steadily,
};
