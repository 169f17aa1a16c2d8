//! The methods of inversion, one file each: a constant with name, spaces, parameters and phases.
//!
//! Help, checker, completion, bench and command line read only this list.

mod basincma;
mod bdinvert;
mod cma;
mod consecutive;
mod creswell;
mod dgp;
mod dhr;
#[cfg(test)]
mod dummy_method;
mod encoder;
mod ganpaint;
mod ganseeing;
mod hmc;
mod hybrid;
mod hyper;
mod i2s;
mod i2spp;
mod idinvert;
mod igan;
mod ii2s;
mod ilo;
mod layerwise;
mod lbfgs;
mod mganprior;
mod mimicgan;
mod optimize;
mod projector;
mod pti;
mod pulse;
mod residual;
mod stylespace;
mod ylg;

pub use basincma::METHOD as BASINCMA;
pub use bdinvert::METHOD as BDINVERT;
pub use cma::METHOD as CMA;
pub use consecutive::METHOD as CONSECUTIVE;
pub use creswell::METHOD as CRESWELL;
pub use dgp::METHOD as DGP;
pub use dhr::METHOD as DHR;
pub use encoder::METHOD as ENCODER;
pub use ganpaint::METHOD as GANPAINT;
pub use ganseeing::METHOD as GANSEEING;
pub use hmc::METHOD as HMC;
pub use hybrid::METHOD as HYBRID;
pub use hyper::METHOD as HYPER;
pub use i2s::METHOD as I2S;
pub use i2spp::METHOD as I2SPP;
pub use idinvert::METHOD as IDINVERT;
pub use igan::METHOD as IGAN;
pub use ii2s::METHOD as II2S;
pub use ilo::METHOD as ILO;
pub use layerwise::METHOD as LAYERWISE;
pub use lbfgs::METHOD as LBFGS;
pub use mganprior::METHOD as MGANPRIOR;
pub use mimicgan::METHOD as MIMICGAN;
pub use optimize::METHOD as OPTIMIZE;
pub use projector::METHOD as PROJECTOR;
pub use pti::METHOD as PTI;
pub use pulse::METHOD as PULSE;
pub use residual::METHOD as RESIDUAL;
pub use stylespace::METHOD as STYLESPACE;
pub use ylg::METHOD as YLG;

use super::config::{Config, FINISH, Method};
use super::job::Job;
use super::optimize::{Adam, Adamax, CmaSettings, Optimizer, RmsProp, Sgd, ranger};
use super::phase::{Layers, Mover, Normalise, Pace, Phase, Region, Schedule, Tuning, Unknowns};
use super::prior::Prior;
use super::schedule::Curve;
use crate::error::{Error, Result};
use crate::lang::types::{Companion, Kind, Param};
use crate::network::Encoder;
use crate::safe::Safe;
use crate::space::Space;

/// All methods, in the order in which they are explained.
pub const METHODS: &[&Method] = &[
    &OPTIMIZE,
    &PROJECTOR,
    &ENCODER,
    &RESIDUAL,
    &HYPER,
    &IDINVERT,
    &IGAN,
    &HYBRID,
    &LBFGS,
    &CRESWELL,
    &PTI,
    &DHR,
    &DGP,
    &GANPAINT,
    &YLG,
    &I2S,
    &I2SPP,
    &II2S,
    &STYLESPACE,
    &BDINVERT,
    &ILO,
    &MGANPRIOR,
    &MIMICGAN,
    &LAYERWISE,
    &GANSEEING,
    &CONSECUTIVE,
    &CMA,
    &BASINCMA,
    &HMC,
    &PULSE,
    #[cfg(test)]
    &dummy_method::METHOD,
];

/// Every space that an inversion can search.
pub const SEARCHED: &[Space] =
    &[Space::WPlus, Space::W, Space::Z, Space::S, Space::PN, Space::PNPlus, Space::F, Space::N];

/// The optimizer of gradient descent, for the methods that let it be chosen.
const OPTIMIZER: Param = Param::optional(
    "optimizer",
    &[Kind::Choice],
    "adam",
    "of optimize and hybrid: `adam`, `sgd` (with momentum .9), `rmsprop`, `adamax`, or `ranger` \
     (RAdam under Lookahead)",
)
.choices(&["adam", "sgd", "rmsprop", "adamax", "ranger"])
.named();

/// The part of a code that is searched, for the methods that follow slopes.
const SEARCHES: Param = Param::optional(
    "searches",
    &[Kind::Choice],
    "all",
    "of optimize and hybrid, where w holds z and a class (BigGAN): `all` of it, `z`, or `class` \
     alone",
)
.choices(&["all", "z", "class"])
.named();

/// The shape of the learning rate, for the methods that let it be chosen.
const SCHEDULE: Param = Param::optional(
    "schedule",
    &[Kind::Choice],
    "-",
    "the learning rate over the steps: `ramp` (up 5 %, down 25 %), `constant`, `cosine`, \
     `linear1cycle`, or `linear1cycledrop` (the default of pulse; elsewhere `ramp`)",
)
.choices(&Curve::NAMES)
.named();

/// Weight of the offsets of a W+ code that is to be edited: it keeps them under half a σ for pictures
/// that the generator can make.
pub const EDITABLE: f64 = 0.2;

/// The same for a code around which weights are tuned: photographs pull it further from W.
const PIVOT: f64 = 0.3;

/// The steps that tune weights, for the methods that do.
const TUNE: Param = Param::optional(
    "tune",
    &[Kind::Number],
    "400",
    "of pti, dhr and ganpaint: steps that tune the weights",
)
.whole(0, 1_000_000)
.named();

/// The rate at which weights are tuned.
const TUNE_RATE: Param = Param::optional(
    "tune_lr",
    &[Kind::Number],
    "0.05",
    "of pti, dhr, dgp and ganpaint: learning rate of the weights, relative to their size and to \
     the length of their sums; it is halved where a step spoils the generator",
)
.within(0.0, 1e3)
.named();

/// The rank of what is added to a weight.
const RANK: Param = Param::optional(
    "rank",
    &[Kind::Number],
    "24",
    "of pti, dhr, dgp and ganpaint: rank of the change of a weight; 0 for no limit",
)
.whole(0, 4096)
.named();

/// Steps that tune the weights from where the search is.
fn tuning<'a>(job: &Job<'a>, config: &Config) -> Phase<'a> {
    let rank = config.setting("rank") as usize;
    let usual = descent(job, config, adam);
    Phase {
        verb: "tune",
        unknowns: Unknowns {
            weights: Some(Tuning { rank, layers: Layers::All }),
            ..Unknowns::default()
        },
        schedule: Schedule { rate: config.setting("tune_lr"), ..usual.schedule },
        steps: config.setting("tune") as usize,
        ..usual
    }
}

/// The spread of the first candidates of CMA-ES.
const SIGMA: Param = Param::optional(
    "sigma",
    &[Kind::Number],
    "1",
    "of cma and basincma: spread of the first candidates around the start, in that of the space",
)
.within(1e-6, 1e6)
.named();

/// Most values of a code that CMA-ES searches: it keeps a covariance of their square.
const MOST_SAMPLED: usize = 2048;

/// The method of that name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().copied().find(|m| m.name == name)
}

/// The methods' names as in a sentence: `optimize, projector or lbfgs`.
pub fn listed() -> String {
    let names: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
    match names.split_last() {
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Unknowns of a search in the configured space.
fn unknowns(job: &Job<'_>, config: &Config) -> Unknowns {
    Unknowns {
        code: config.space != Space::N,
        noise: config.searches_noise(job),
        pose: config.pose,
        residual: config.searched_layer(job),
        ..Unknowns::default()
    }
}

/// Steps of an optimizer from where the search is.
fn descent<'a>(job: &Job<'a>, config: &Config, make: fn() -> Box<dyn Optimizer>) -> Phase<'a> {
    let normalised = config.noise_regularise > 0.0;
    Phase {
        verb: "invert",
        unknowns: unknowns(job, config),
        objective: config.recipe(job, false),
        counted: Region::All,
        searched: Region::All,
        side: None,
        mover: Mover::Optimizer(Box::new(make)),
        // The middle of a step wastes none: the ramp begins at 0.
        schedule: Schedule {
            rate: config.lr,
            curve: curve(config).unwrap_or_default(),
            at: 0.5,
            w_noise: false,
            part: [0.0, 1.0],
        },
        pace: Pace::default(),
        normalise: if normalised { Normalise::AfterStep } else { Normalise::Never },
        steps: config.steps_taken(),
        until: config.until,
        plateau: config.plateau,
    }
}

/// The same phase at one learning rate, from its first step to its last.
fn steady(phase: Phase<'_>) -> Phase<'_> {
    Phase { schedule: Schedule { curve: Curve::Constant, ..phase.schedule }, ..phase }
}

/// Steps of Adam at one learning rate: the plan of several publications.
fn steadily<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![steady(descent(job, config, adam))])
}

/// The curve of the learning rate that was chosen.
fn curve(config: &Config) -> Option<Curve> {
    config.word("schedule").and_then(Curve::named)
}

/// A setting that is a whole number, in the range of its parameter.
fn count(config: &Config, name: &str) -> Result<usize> {
    let (method, value) = (config.method, config.setting(name));
    let bounds = method.params.iter().find(|p| p.name == name).and_then(|p| p.bounds);
    let bounds = bounds
        .ok_or_else(|| Error::runtime(format!("method {} counts no `{name}`", method.name)))?;
    if value.fract() == 0.0 && bounds.takes(value) {
        return Ok(value as usize);
    }
    let (from, to) = (bounds.from, bounds.to);
    Err(Error::runtime(format!("`{name}` is {value}, it must be a whole number in {from}..{to}"))
        .hint(format!("leave `{name}` out")))
}

/// Refuses noise maps and a pose as unknowns of a method that searches the code alone.
fn code_alone(job: &Job<'_>, config: &Config) -> Result<()> {
    let (what, repair) = match (config.searches_noise(job), config.pose) {
        (false, false) => return Ok(()),
        (true, _) => ("noise maps", "noise: false"),
        (false, true) => ("a pose", "pose: false"),
    };
    Err(Error::runtime(format!("method {} does not search {what}", config.method.name))
        .hint(format!("{repair}, or method: optimize")))
}

/// Values of a code in the configured space.
fn size(job: &Job<'_>, config: &Config) -> usize {
    let shape = job.generator.spec().dims().shape(config.space);
    shape.map_or(0, |shape| shape.iter().product())
}

/// A search of the code by CMA-ES, with its settings.
fn sampled<'a>(job: &Job<'a>, config: &Config) -> Result<(Phase<'a>, CmaSettings)> {
    code_alone(job, config)?;
    let n = size(job, config);
    if n > MOST_SAMPLED {
        return Err(Error::runtime(format!(
            "CMA-ES searches {MOST_SAMPLED} values at most, a {} code has {n}",
            config.space
        ))
        .hint("use method: optimize"));
    }
    let spread = match config.space {
        Space::Z => 1.0,
        _ => Prior::new(job).w()?.sigma / (n.max(1) as f64).sqrt(),
    };
    let settings = CmaSettings { sigma: config.setting("sigma") * spread, wait: None };
    Ok((descent(job, config, adam), settings))
}

/// Steps of Adam.
fn adam() -> Box<dyn Optimizer> {
    Box::new(Adam::default())
}

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

/// Steps of the optimizer that was chosen.
///
/// # Errors
/// When a part of the code is to be searched that it does not have.
fn chosen<'a>(job: &Job<'a>, config: &Config) -> Result<Phase<'a>> {
    let usual = descent(job, config, named(config.word("optimizer")));
    let columns = columns(job, config)?;
    Ok(Phase { unknowns: Unknowns { columns, ..usual.unknowns }, ..usual })
}

/// The numbers of a code that `searches` names.
fn columns(job: &Job<'_>, config: &Config) -> Result<Option<(usize, usize)>> {
    let word = config.word("searches").filter(|word| *word != "all");
    let Some(word) = word else { return Ok(None) };
    let spec = job.generator.spec();
    let class = spec.inputs.class_in_w;
    let held = matches!(config.space, Space::W | Space::WPlus);
    if class == 0 || !held {
        let (name, space) = (Safe(&spec.name), config.space);
        let text = format!("the {space} codes of {name} have no part `{word}`");
        let hint = if class == 0 { "leave `searches` out" } else { "space: W" };
        return Err(Error::runtime(text).hint(hint));
    }
    let z = spec.w_dim.saturating_sub(class);
    Ok(Some(if word == "z" { (0, z) } else { (z, class) }))
}

/// Passes of the generator's encoder.
fn passes<'a>(job: &Job<'a>, config: &Config) -> Result<Phase<'a>> {
    let encoder = job.encoder.ok_or_else(|| Error::runtime("there is no encoder"))?;
    Ok(Phase {
        verb: "encode",
        mover: Mover::Encoder(encoder),
        steps: config.passes_taken(),
        ..descent(job, config, adam)
    })
}

/// Passes of the generator's encoder, then those of the network that the method runs after it.
fn companioned<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let network = job.companion.ok_or_else(|| {
        let words = config.method.companion.map_or("network", Companion::words);
        Error::runtime(format!("there is no {words}"))
    })?;
    Ok(vec![passes(job, config)?, added(job, config, network)?])
}

/// The passes of a network that runs after the encoder.
fn added<'a>(job: &Job<'a>, config: &Config, network: &'a dyn Encoder) -> Result<Phase<'a>> {
    let (mover, steps) = (Mover::Encoder(network), network.passes());
    Ok(Phase { verb: "add", mover, steps, ..passes(job, config)? })
}

/// Adam's usual peak learning rate.
fn usual_lr(space: Space) -> f64 {
    // Numbers of the prior have variance 1 there.
    if matches!(space, Space::Z | Space::PN | Space::PNPlus) { 0.1 } else { 0.05 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_and_explains_itself() {
        for method in METHODS {
            assert_eq!(find(method.name), Some(*method));
            assert!(!method.summary.is_empty() && !method.paper.is_empty());
            assert!(method.spaces.iter().all(|s| SEARCHED.contains(s)), "{method:?}");
            let said = |n: usize| method.summary.contains(&n.to_string());
            assert!(method.steps.is_none_or(said), "{method:?} says how many steps it takes");
            for p in method.params {
                let usual = p.default.unwrap();
                let number = p.choices.is_empty() && usual.parse::<f64>().is_ok();
                let word = usual == "-" || p.choices.contains(&usual);
                assert!(p.named && (number || (word && !p.choices.is_empty())), "{p:?}");
            }
        }
        assert_eq!(find("adam"), None);
    }
}
