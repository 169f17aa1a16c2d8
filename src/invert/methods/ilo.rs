//! `ilo`: one layer after the other.

use super::{adam, descent, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::{Adam, Ball};
use crate::invert::phase::{Mover, Phase, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Intermediate layer optimization: the code first, then the feature maps of later and later layers,
/// each in an ℓ1 ball around what the layers before it give.
pub const METHOD: Method = Method {
    name: "ilo",
    paper: "Intermediate Layer Optimization (Daras et al. 2021)",
    summary: "ILO, 100 steps for the code, then as many for each of some feature maps, in a ball \
              around what the generator makes",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(100),
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        Param::optional("maps", &[Kind::Number], "3", "of ilo: feature maps that are searched")
            .whole(0, 100)
            .named(),
        Param::optional(
            "ball",
            &[Kind::Number],
            "0.1",
            "of ilo: largest mean absolute change of a map",
        )
        .within(0.0, 1e6)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let mut phases = vec![descent(job, config, adam)];
    for layer in layers(job, config.setting("maps") as usize) {
        let radius = config.setting("ball");
        let make = move || Box::new(Ball::new(Box::new(Adam::default()), radius)) as _;
        phases.push(Phase {
            verb: "layer",
            unknowns: Unknowns { residual: Some(layer), ..Unknowns::default() },
            mover: Mover::Optimizer(Box::new(make)),
            ..descent(job, config, adam)
        });
    }
    Ok(phases)
}

/// The first layer of each map size, from the smallest map that is no single place.
fn layers(job: &Job<'_>, count: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    for (i, layer) in job.generator.spec().layers.iter().enumerate() {
        if layer.height > 1 && !sizes.contains(&layer.height) {
            sizes.push(layer.height);
            found.push(i);
        }
    }
    found.truncate(count);
    found
}
