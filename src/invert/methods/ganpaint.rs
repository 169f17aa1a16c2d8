//! `ganpaint`: a generator of the picture's own.

use super::{PIVOT, RANK, TUNE, TUNE_RATE, adam, descent, tuning, usual_lr};
use crate::error::Result;
use crate::generator::Spec;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Layers, Phase, Tuning, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// A code; then the map of an early layer, held near what the code gives; then the weights of the
/// layers behind it, which draw the details. The layers before it stay as they are, so that its
/// units mean what they mean in every picture and can be painted (`paint`).
pub const METHOD: Method = Method {
    name: "ganpaint",
    paper: "GANPaint's image-specific generator (Bau et al. 2019)",
    summary: "150 steps for a code, then the map of an early layer and the weights behind it, so \
              that units of that layer can be painted",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(150),
    lr: Some(usual_lr),
    weights: &[("offset", PIVOT)],
    best_of: None,
    noise: false,
    params: &[
        TUNE,
        TUNE_RATE,
        RANK,
        Param::optional(
            "map_steps",
            &[Kind::Number],
            "50",
            "of ganpaint: steps that search the map of the early layer",
        )
        .whole(0, 1_000_000)
        .named(),
    ],
    plan,
};

/// Sides of a picture that the map is smaller, and its smallest side: 8×8 of the published 256×256.
const PART: usize = 32;
const SIDE: usize = 8;

/// The layer whose units are painted: the last one whose map is at most that large.
fn early_layer(spec: &Spec) -> Option<usize> {
    spec.last_layer_within((spec.height / PART).max(SIDE))
}

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let spec = job.generator.spec();
    let mut phases = vec![descent(job, config, adam)];
    let layer = early_layer(spec);
    if let Some(layer) = layer {
        phases.push(Phase {
            verb: "map",
            unknowns: Unknowns { residual: Some(layer), ..Unknowns::default() },
            steps: config.setting("map_steps") as usize,
            ..descent(job, config, adam)
        });
    }
    let behind = spec.layers.len() - layer.map_or(0, |layer| layer + 1);
    let tuned = tuning(job, config);
    let layers = if layer.is_some() { Layers::FromPicture(behind) } else { Layers::All };
    let weights = tuned.unknowns.weights.map(|t| Tuning { layers, ..t });
    phases.push(Phase { unknowns: Unknowns { weights, ..tuned.unknowns }, ..tuned });
    Ok(phases)
}
