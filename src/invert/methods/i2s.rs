//! `i2s`: Image2StyleGAN.

use super::steadily;
use crate::invert::config::Method;
use crate::space::Space;

/// Adam in W+ from the mean of w, at one rate, on pixels and features alike.
pub const METHOD: Method = Method {
    name: "i2s",
    paper: "Image2StyleGAN (Abdal et al. 2019)",
    summary: "Image2StyleGAN, 5000 steps of Adam in W+ at the rate .01",
    spaces: &[Space::WPlus, Space::W],
    encoder: false,
    companion: None,
    steps: Some(5000),
    lr: Some(|_| 0.01),
    weights: &[("l2", 1.0), ("perceptual", 1.0)],
    best_of: None,
    noise: false,
    params: &[],
    plan: steadily,
};
