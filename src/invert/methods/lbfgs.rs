//! `lbfgs`: L-BFGS with a strong Wolfe line search.

use super::{SEARCHED, adam, count, descent};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::optimize::{Lbfgs, LbfgsSettings};
use crate::invert::phase::{Mover, Normalise, Phase};
use crate::lang::types::{Kind, Param};

/// L-BFGS in any space; a step is one evaluation of the gradient, also within a line search.
pub const METHOD: Method = Method {
    name: "lbfgs",
    paper: "Liu and Nocedal 1989, Moré and Thuente 1994",
    summary: "L-BFGS with a strong Wolfe line search, 200 evaluations, no learning rate",
    spaces: SEARCHED,
    encoder: false,
    companion: None,
    steps: Some(200),
    lr: None,
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        Param::optional("history", &[Kind::Number], "10", "lbfgs: number of remembered steps")
            .whole(1, 100)
            .named(),
        Param::optional(
            "search",
            &[Kind::Number],
            "20",
            "of lbfgs: evaluations of one line search at most",
        )
        .whole(2, 100)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let settings = LbfgsSettings {
        history: count(config, "history")?,
        search: count(config, "search")?,
        ..LbfgsSettings::default()
    };
    let phase = descent(job, config, adam);
    let normalise = match phase.normalise {
        Normalise::Never => Normalise::Never,
        // A change after a step would not be in the gradients that it remembers.
        _ => Normalise::BeforeUse,
    };
    let mover = Mover::Optimizer(Box::new(move || Box::new(Lbfgs::new(settings))));
    Ok(vec![Phase { mover, normalise, ..phase }])
}
