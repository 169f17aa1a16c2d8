//! A method for tests alone, of an optimizer and a term that are for tests alone.

use super::{adam, descent};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::dummy_optimizer::DummyOptimizer;
use crate::invert::phase::{Mover, Phase};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Steps of one length against the signs of the gradient.
pub const METHOD: Method = Method {
    name: "dummy_method",
    paper: "a test",
    summary: "steps of one length, 12 of them",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(12),
    lr: None,
    weights: &[("dummy_term", 0.5)],
    best_of: None,
    noise: false,
    params: &[Param::optional(
        "stride",
        &[Kind::Number],
        "2",
        "of dummy_method: the length of a step, in hundredths",
    )
    .whole(1, 50)
    .named()],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let stride = config.setting("stride") / 100.0;
    let mover = Mover::Optimizer(Box::new(move || Box::new(DummyOptimizer::new(stride))));
    Ok(vec![Phase { mover, ..descent(job, config, adam) }])
}
