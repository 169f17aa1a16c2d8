//! `ylg`: what the discriminator looks at counts.

use super::steadily;
use crate::invert::config::Method;
use crate::space::Space;

/// Adam on the discriminator's feature maps, their places weighed by where it looks in the target.
/// Of several searches (`restarts`, published are 8) the best counts.
pub const METHOD: Method = Method {
    name: "ylg",
    paper: "Your Local GAN (Daras et al. 2020)",
    summary: "YLG, 1000 steps in the discriminator's features, weighed by its attention or \
              saliency (without a discriminator by a perceptual distance)",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(1000),
    lr: Some(|_| 0.07),
    weights: &[("saliency", 1.0), ("l2", 0.0), ("perceptual", 0.0)],
    best_of: None,
    noise: false,
    params: &[],
    plan: steadily,
};
