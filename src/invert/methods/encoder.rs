//! `encoder`: passes of the generator's encoder.

use super::{passes, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// Passes of the generator's encoder, each on the result of the one before.
pub const METHOD: Method = Method {
    name: "encoder",
    paper: "e4e (Tov et al. 2021), ReStyle (Alaluf et al. 2021), HyperStyle (Alaluf et al. 2022), \
            HFGI (Wang et al. 2022), HyperInverter (Dinh et al. 2022), GH-Feat (Xu et al. 2021), \
            StyleFeatureEditor (Bobkov et al. 2024), IcGAN (Perarnau et al. 2016)",
    summary: "passes of the generator's own encoder, or of the one in a file; of a conditional \
              generator with a pair of encoders (IcGAN) both the code and the class, and \
              render(r, class: k) edits the class",
    spaces: &[Space::WPlus, Space::W, Space::S, Space::Z],
    encoder: true,
    companion: None,
    steps: None,
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![passes(job, config)?])
}
