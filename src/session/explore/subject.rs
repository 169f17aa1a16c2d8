//! What is explored: a code, the directions that move it, and what its generator can do.

use crate::builtin::{Along, Exploration, LayerFacts};
use crate::builtins::{self, explore::usual};
use crate::direction::Forms;
use crate::error::Result;
use crate::eval::State;
use crate::generator::{Prior, spaces, spaces::Draw};
use crate::lang::lex::KEYWORDS;
use crate::latent::{Code, Direction};
use crate::space::Space;
use crate::value::{Loaded, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The range of a slider whose direction says nothing about how far it reaches, in steps.
const REACH: f64 = 3.0;
/// Key presses from the middle of a slider to its end.
const PRESSES: f64 = 12.0;

/// A value of an exploration in the text of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its name in the session of the exploration.
    pub name: String,
    /// The expression that it was made by; the name itself where it has one in the program.
    pub written: String,
}

/// A direction as a slider.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// The direction in programs.
    pub term: Term,
    /// Its name on the screen.
    pub label: String,
    /// Change by one key press, in multiples of the direction.
    pub step: f64,
    /// The largest amount, in both directions.
    pub reach: f64,
    /// Sign after the amount where one step is one unit: `°`.
    pub unit: &'static str,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The code that it began with; `None` for samples alone.
    pub given: Option<Term>,
    /// The space of the codes before they are moved.
    pub space: Space,
    /// Whether `sample` draws codes of that space without being told.
    pub usual: bool,
    /// Layers of the codes that can be mixed and moved apart; 0 without any.
    pub layers: usize,
    /// The layers of the synthesis network, to look into.
    pub network: Arc<[LayerFacts]>,
    /// Classes of the generator; 0 without any.
    pub classes: usize,
    /// The sliders.
    pub axes: Vec<Axis>,
    /// Whether all directions are known in one space, so that they are summed before they move the
    /// code.
    pub joint: bool,
    /// Whether codes can be truncated.
    pub psi: bool,
    /// Whether layers add noise.
    pub noise: bool,
    /// Whether the picture can be turned and shifted.
    pub transform: bool,
    /// Whether there is a camera to move.
    pub camera: bool,
    /// Whether a network compares the people in two pictures.
    pub identity: bool,
    /// The name of the explored code in programs.
    pub result: String,
}

impl Subject {
    /// The subject of a call of `explore`, and the values that its session needs besides `state`.
    ///
    /// # Errors
    /// When the generator cannot be read.
    pub fn of(what: &Exploration, state: &State) -> Result<(Self, Vec<(String, Value)>)> {
        let mut names = Names::of(state);
        let start = names.term(&what.written, "start", &state.names);
        let mut bound = vec![(start.name.clone(), Value::Latent(what.code.clone()))];
        let subject =
            Self::new(&what.code, Some(start), &what.along, state, (&mut names, &mut bound))?;
        Ok((subject, bound))
    }

    /// As [`Subject::of`], for samples of the current generator along its own directions.
    ///
    /// # Errors
    /// When no generator is loaded, or it cannot be read.
    pub fn samples(state: &State) -> Result<(Self, Vec<(String, Value)>)> {
        let model = current(state)?;
        let class = (model.facts.c_dim > 0).then(|| class_zero(model)).transpose()?;
        let space = model.facts.dims().usual();
        let draw = Draw { space, labels: class.as_ref(), ..Draw::default() };
        let code = spaces::sample(&**model.generator()?, 1, draw)?;
        let along = usual(&code, model)?;
        let (mut names, mut bound) = (Names::of(state), Vec::new());
        let subject = Self::new(&code, None, &along, state, (&mut names, &mut bound))?;
        Ok((subject, bound))
    }

    fn new(
        code: &Code,
        given: Option<Term>,
        along: &[Along],
        state: &State,
        (names, bound): (&mut Names, &mut Vec<(String, Value)>),
    ) -> Result<Self> {
        let model = current(state)?;
        let (facts, g) = (&model.facts, model.generator()?);
        let mut axes = Vec::with_capacity(along.len());
        for one in along {
            let moving = one.forms.moving(code.space)?;
            let term = names.term(&one.written, &suggested(&one.written), &state.names);
            bound.push((term.name.clone(), Value::Direction(one.forms.clone())));
            axes.push(axis(term, moving));
        }
        let layered = matches!(code.space, Space::W | Space::WPlus | Space::S);
        let scaled = matches!(g.spec().prior, Prior::Scaled { .. });
        let mean = layered && g.mean(Space::W).is_some();
        let (inputs, usual) = (g.spec().inputs, facts.dims().usual());
        Ok(Self {
            psi: mean || (scaled && given.is_none()),
            given,
            space: code.space,
            usual: code.space == usual,
            layers: if layered { facts.num_ws } else { 0 },
            network: facts.network.clone().into(),
            classes: facts.c_dim,
            joint: joint(along),
            axes,
            noise: inputs.noise,
            transform: inputs.transform,
            camera: inputs.camera && g.orbit().is_some(),
            identity: facts.identity,
            result: names.fresh("edited"),
        })
    }
}

fn current(state: &State) -> Result<&Arc<Loaded>> {
    state.model.as_ref().ok_or_else(|| {
        crate::error::Error::runtime("no generator is loaded").hint("load \"faces\"")
    })
}

/// One-hot labels of the first class, `[1, c_dim]`.
fn class_zero(model: &Loaded) -> Result<candle_core::Tensor> {
    let mut row = vec![0f32; model.facts.c_dim];
    if let Some(first) = row.first_mut() {
        *first = 1.0;
    }
    Ok(candle_core::Tensor::from_vec(row, (1, model.facts.c_dim), model.device())?)
}

/// Whether the directions have a common space to be summed in.
fn joint(along: &[Along]) -> bool {
    let mut all = along.iter().map(|a| (*a.forms).clone());
    let Some(first) = all.next() else { return true };
    let sum = |sum: Option<Forms>, next: Forms| sum?.add(&next, false).ok();
    all.fold(Some(first), sum).is_some()
}

fn axis(term: Term, moving: &Direction) -> Axis {
    let about = moving.about.as_deref();
    let measured = about.into_iter().flat_map(|a| a.effect.keys()).filter_map(|k| k.parse().ok());
    let farthest = measured.map(f64::abs).fold(0.0, f64::max);
    let reach = if farthest > 0.0 { 1.5 * farthest } else { REACH };
    let degrees = about.is_some_and(|a| a.unit == "degrees" && a.per_step == 1.0);
    let step = rounded(reach / PRESSES);
    let label = label(&term.written);
    Axis {
        term,
        label,
        step,
        reach: (reach / step).round() * step,
        unit: if degrees { "°" } else { "" },
    }
}

/// The next number below that is 1, 2, 2.5 or 5 times a power of ten.
fn rounded(v: f64) -> f64 {
    let power = 10f64.powf((v * 1.000_001).log10().floor());
    let fits = |k: &&f64| **k * power <= v * 1.000_001;
    [5.0, 2.5, 2.0, 1.0].iter().find(fits).map_or(power, |k| k * power)
}

/// A direction's name on the screen: the name in `direction("name")`, else as written.
fn label(written: &str) -> String {
    quoted(written).unwrap_or(written).to_owned()
}

/// The name in `direction("name")` or `direction("name", …)`.
fn quoted(written: &str) -> Option<&str> {
    let rest = written.strip_prefix("direction(\"")?;
    rest.split_once('"').map(|(name, _)| name)
}

/// A variable's name for an expression: `pc2` for `pc[2]`.
fn suggested(written: &str) -> String {
    let from = quoted(written).unwrap_or(written);
    let name: String = from.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let fits = name.len() <= 16 && name.starts_with(|c: char| c.is_ascii_lowercase());
    if fits { name } else { "along".to_owned() }
}

/// The names that programs of an exploration may use.
struct Names(BTreeSet<String>);

impl Names {
    fn of(state: &State) -> Self {
        let own = state.names.keys().chain(state.functions.keys()).cloned();
        let built = builtins::ALL.iter().map(|b| b.signature.name.to_owned());
        Self(own.chain(built).chain(KEYWORDS.map(str::to_owned)).collect())
    }

    /// A name that is not taken, and is from now on.
    fn fresh(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|k| format!("{wanted}{k}"));
        let mut all = std::iter::once(wanted.to_owned()).chain(numbered);
        let name = all.find(|n| !self.0.contains(n)).unwrap_or_default();
        self.0.insert(name.clone());
        name
    }

    /// The term of an expression: a variable of the session stays what it is called.
    fn term(
        &mut self,
        written: &str,
        wanted: &str,
        known: &std::collections::BTreeMap<String, Value>,
    ) -> Term {
        if known.contains_key(written) {
            return Term { name: written.to_owned(), written: written.to_owned() };
        }
        Term { name: self.fresh(wanted), written: written.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbers_that_one_reads() {
        for (reach, step) in [(3.0, 0.25), (41.2, 2.5), (1.0, 0.05), (12.0, 1.0), (30.0, 2.5)] {
            assert!(
                (rounded(reach / PRESSES) - step).abs() < 1e-12,
                "{reach}: {}",
                rounded(reach / PRESSES)
            );
        }
    }

    #[test]
    fn names_are_new_and_speak() {
        let state = State::new(crate::value::Models::cpu(), "toy", Default::default()).unwrap();
        let (subject, bound) = Subject::samples(&state).unwrap();
        let names: Vec<&str> = subject.axes.iter().map(|a| a.term.name.as_str()).collect();
        assert_eq!(names[..4], ["age", "glasses", "smile", "pc0"]);
        assert_eq!(subject.axes[3].label, "pc[0]");
        assert_eq!(bound.len(), subject.axes.len());
        assert!(subject.joint && subject.psi && subject.noise && !subject.camera);
        assert_eq!(suggested("([1, 2])[3]"), "along");
        assert_eq!(suggested("load"), "load");
        let mut names = Names::of(&state);
        assert_eq!(names.fresh("load"), "load2");
        assert_eq!(names.fresh("load"), "load3");
    }
}
