//! `i2spp`: Image2StyleGAN++.

use super::{adam, descent, steady};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Normalise, Phase, Recipe, Schedule, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// First the code of W+ with fixed noise maps, then the noise maps, without a regulariser: they hold
/// what the code does not reach.
pub const METHOD: Method = Method {
    name: "i2spp",
    paper: "Image2StyleGAN++ (Abdal et al. 2020)",
    summary: "Image2StyleGAN++, 5000 steps for the code of W+, then for the noise maps",
    spaces: &[Space::WPlus, Space::W],
    encoder: false,
    companion: None,
    steps: Some(5000),
    lr: Some(|_| 0.01),
    weights: &[("l2", 1.0), ("perceptual", 1.0)],
    best_of: None,
    noise: true,
    params: &[
        Param::optional(
            "noise_steps",
            &[Kind::Number],
            "3000",
            "of i2spp: steps that search the noise maps",
        )
        .whole(0, 1_000_000)
        .named(),
        Param::optional("noise_lr", &[Kind::Number], "5", "of i2spp: learning rate of the maps")
            .within(0.0, 1e3)
            .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let phase = |noise: bool| {
        let usual = steady(descent(job, config, adam));
        Phase {
            unknowns: Unknowns { code: !noise, noise, ..Unknowns::default() },
            objective: Recipe { noise: 0.0, ..config.recipe(job, false) },
            normalise: Normalise::Never,
            ..usual
        }
    };
    let code = phase(false);
    if !config.searches_noise(job) {
        return Ok(vec![code]);
    }
    let usual = phase(true);
    let maps = Phase {
        verb: "noise",
        schedule: Schedule { rate: config.setting("noise_lr"), ..usual.schedule },
        steps: config.setting("noise_steps") as usize,
        ..usual
    };
    Ok(vec![code, maps])
}
