//! The ladder: one inversion for each space of a generator, from the narrowest to its weights.

use super::config::{Config, Init};
use super::job::Job;
use super::methods::{OPTIMIZE, PTI};
use super::objective::TERMS;
use super::report::Inversion;
use crate::control::{Progress, Stop};
use crate::error::Result;
use crate::generator::Generator;
use crate::latent::Code;
use crate::space::Space;
use candle_core::Tensor;

/// A step of the ladder: what is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// A space, by the method of the configuration where that searches it.
    Space(Space),
    /// The generator's weights around a code, by pivotal tuning.
    Weights,
}

/// The spaces of the ladder, from narrow to wide.
const CHAIN: [Space; 5] = [Space::Z, Space::W, Space::WPlus, Space::S, Space::F];

impl Rung {
    /// Its name: that of the space, or of the method that searches weights.
    pub fn name(self) -> &'static str {
        match self {
            Self::Space(space) => space.name(),
            Self::Weights => PTI.name,
        }
    }

    /// The rungs that a generator has, in their order.
    ///
    /// # Errors
    /// When its weights cannot be listed.
    pub fn all(generator: &dyn Generator) -> Result<Vec<Self>> {
        let spec = generator.spec();
        let has = |space: &Space| match space {
            Space::F => !spec.layers.is_empty(),
            other => spec.spaces.contains(other),
        };
        let tuned = !generator.weights()?.is_empty();
        let weights = tuned.then_some(Self::Weights);
        Ok(CHAIN.into_iter().filter(has).map(Self::Space).chain(weights).collect())
    }

    /// The rung that an inversion stands on.
    pub fn of(found: &Inversion) -> Self {
        match found.config.space {
            _ if found.code.parts.tune() => Self::Weights,
            Space::N => Self::Space(found.code.space),
            space => Self::Space(space),
        }
    }

    /// Place in the order of all rungs.
    fn place(self) -> usize {
        let of = |space| CHAIN.iter().position(|s| *s == space).unwrap_or(CHAIN.len());
        match self {
            Self::Space(space) => of(space),
            Self::Weights => CHAIN.len(),
        }
    }

    /// Whether it can begin at a code found on another rung: it then contains that code, and its
    /// loss is never larger. Styles are codes that neither feature maps nor pivots begin at.
    pub fn contains(self, other: Self) -> bool {
        let styles = Self::Space(Space::S);
        let beside = matches!(self, Self::Space(Space::F) | Self::Weights);
        let maps = self == Self::Weights && other == Self::Space(Space::F);
        other.place() < self.place() && !(beside && other == styles) && !maps
    }

    /// Steps of a complete inversion on this rung.
    pub fn usual_steps(self) -> usize {
        match self {
            Self::Space(_) => OPTIMIZE.steps.unwrap_or(0),
            // Around a pivot, as on the ladder.
            Self::Weights => Config::new(Space::W, &PTI).setting("tune") as usize,
        }
    }

    /// The configuration of this rung from a code, of which a pivot keeps the space: what its
    /// method does not read, or what has no meaning in its space, is left out.
    fn config(self, job: &Job, config: &Config, start: Option<&Code>) -> Config {
        let tunes = config.method.params.iter().any(|p| p.name == "tune");
        let (space, method) = match self {
            Self::Space(s) if config.method.runs_in(s, job) && !tunes => (s, config.method),
            Self::Space(s) => (s, &OPTIMIZE),
            Self::Weights => (start.map_or(Space::W, |code| code.space), &PTI),
        };
        let own = Config::new(space, method);
        let read = |name: &str| method.params.iter().any(|p| p.name == name);
        let meant = |name: &str| {
            TERMS.iter().any(|term| term.name == name && (term.check)(job, space).is_ok())
        };
        let (settings, words) = (config.settings.clone(), config.words.clone());
        let mut rung = Config {
            space,
            method,
            init: start.map_or(own.init, |code| Init::Latent(code.clone())),
            settings: settings.only(read),
            words: words.only(read),
            weights: config.weights.clone().only(meant),
            // A checkpoint holds one run; the rungs would fight over it.
            checkpoint: None,
            coarse: None,
            ..config.clone()
        };
        rung.lr = rung.usual_lr();
        if self == Self::Weights {
            rung.settings.set("tune", config.steps as f64);
            // The pivot is a code that was found.
            rung.steps = if start.is_some() { 0 } else { config.steps };
        }
        // A map is a rung of its own.
        rung.unfinished()
    }
}

/// One rung, from a code of a rung that it contains, or else from the start of its space.
///
/// # Errors
/// As [`super::invert`].
pub fn climb(
    job: &Job,
    target: &Tensor,
    config: &Config,
    (rung, start): (Rung, Option<&Code>),
) -> Result<Inversion> {
    super::invert(job, target, &rung.config(job, config, start))
}

/// The ladder: one inversion for each rung, started from the widest rung before it that it
/// contains; the weights from the code of W where that is a rung, since edits are safest there.
/// Its loss is never larger than that rung's.
///
/// Space, start, learning rate and checkpoint of `config` do not count. Every rung is of the
/// configuration's method where that searches the space, else of [`OPTIMIZE`]; a method of
/// encoder passes begins them at the code of the rung below. On [`Stop::Keep`] the rungs so far are
/// the result, the last of them cut short.
///
/// # Errors
/// As [`super::invert`], and when a space is narrower than the one before.
pub fn ladder(
    job: &Job,
    target: &Tensor,
    config: &Config,
    rungs: &[Rung],
) -> Result<Vec<(Rung, Inversion)>> {
    let control = job.control;
    let mut found: Vec<(Rung, Inversion)> = Vec::with_capacity(rungs.len());
    for (k, &rung) in rungs.iter().enumerate() {
        if k > 0 && control.stop() == Stop::Keep {
            break;
        }
        let (parent, of) = (control.clone(), rungs.len());
        let part = control.child(move |p| parent.report(overall(p, (k, of))));
        let job = Job { control: if control.watched() { &part } else { control }, ..*job };
        let start = below(&found, rung).map(|i| &i.code);
        let next = climb(&job, target, config, (rung, start))?;
        found.push((rung, next));
    }
    Ok(found)
}

/// The inversion that a rung begins at.
fn below(found: &[(Rung, Inversion)], rung: Rung) -> Option<&Inversion> {
    let pivot = |(r, _): &&(Rung, Inversion)| *r == Rung::Space(Space::W);
    let first = found.iter().find(|f| rung == Rung::Weights && pivot(f));
    // A rung out of order is refused by its own start.
    let last = || match rung {
        Rung::Space(Space::F) | Rung::Weights => {
            found.iter().rev().find(|(r, _)| rung.contains(*r))
        }
        Rung::Space(_) => found.last(),
    };
    first.or_else(last).map(|(_, inversion)| inversion)
}

/// The progress of rung `k` of `of`, as a part of all.
fn overall(p: Progress, (k, of): (usize, usize)) -> Progress {
    let title = format!("{} · rung {} of {of}", p.title, k + 1);
    let share = (k as f64 + p.share) / of.max(1) as f64;
    Progress { title, step: k * p.total + p.step, total: of * p.total, share, ..p }
}
