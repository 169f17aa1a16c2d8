//! `hyper`: encoder passes, then one pass of the hypernetwork.

use super::{companioned, usual_lr};
use crate::invert::config::Method;
use crate::lang::types::Companion;
use crate::space::Space;

/// The encoder's best code, then the changes of the generator's weights that its own hypernetwork
/// finds. It was trained on true edits: weights that bring a picture nearer draw its edits as well.
pub const METHOD: Method = Method {
    name: "hyper",
    paper: "HyperStyle (Alaluf et al. 2022), HyperInverter (Dinh et al. 2022)",
    summary: "encoder passes, then one pass of the hypernetwork, which changes the generator's \
              weights as pivotal tuning does, without steps",
    spaces: &[Space::WPlus, Space::W],
    encoder: true,
    companion: Some(Companion::Hyper),
    steps: None,
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[],
    plan: companioned,
};
