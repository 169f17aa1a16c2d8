//! `optimize`: gradient descent.

use super::{SCHEDULE, SEARCHED, adam, descent, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::{Adam, Adamax, Optimizer, RmsProp, Sgd, ranger};
use crate::invert::phase::{Mover, Phase};
use crate::lang::types::{Kind, Param};

/// Gradient descent in any space, with Adam unless another optimizer is chosen.
pub const METHOD: Method = Method {
    name: "optimize",
    paper: "Image2StyleGAN (Abdal et al. 2019)",
    summary: "gradient descent with Adam or another `optimizer`, 400 steps",
    spaces: SEARCHED,
    encoder: false,
    steps: Some(400),
    lr: Some(usual_lr),
    weights: &[],
    noise: false,
    params: &[
        Param::optional(
            "optimizer",
            &[Kind::Choice],
            "adam",
            "of optimize: `adam`, `sgd` (with momentum .9), `rmsprop`, `adamax`, or `ranger` \
             (RAdam under Lookahead)",
        )
        .choices(&["adam", "sgd", "rmsprop", "adamax", "ranger"])
        .named(),
        SCHEDULE,
    ],
    plan,
};

/// A fresh optimizer of that name.
fn named(name: Option<&str>) -> fn() -> Box<dyn Optimizer> {
    match name {
        Some("sgd") => || Box::new(Sgd::default()),
        Some("rmsprop") => || Box::new(RmsProp::default()),
        Some("adamax") => || Box::new(Adamax::default()),
        Some("ranger") => || Box::new(ranger()),
        _ => || Box::new(Adam::default()),
    }
}

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let make = named(config.word("optimizer"));
    Ok(vec![Phase { mover: Mover::Optimizer(Box::new(make)), ..descent(job, config, adam) }])
}
