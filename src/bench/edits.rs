//! Edits of held-out people against the true pictures of those edits.
//!
//! Each person's `base` picture is inverted, the code moved along the calibrated direction by the
//! true difference of the label, and the result compared with the true picture of that person with
//! that edit; beside it the two ends that any editor lies between: the unedited reconstruction, and
//! the true picture inverted with the same method.

use super::pairs::{Pairs, Person, Version};
use super::plan::{Plan, Request, Task, has_directions};
use super::read::Spread;
use super::row::{Row, Sample};
use super::setup::{EditSetup, setups};
use super::shared::{Bench, Found, Outcome, Pace, Shown, gather, measure};
use crate::direction::apply;
use crate::error::{Error, Kind, Result};
use crate::generator::{codes, spaces};
use crate::invert::{Config, Method};
use crate::lang::types::ModelFacts;
use crate::latent::Code;
use crate::metric::Psnr;
use crate::space::Space;
use candle_core::Tensor;
use std::time::Instant;

/// Share of an inversion in the progress of the whole.
const SHARE: usize = 100;

impl Bench<'_> {
    /// The setups that names of methods and spaces mean; see [`EditSetup`].
    ///
    /// # Errors
    /// When a name is unknown or cannot be used with this generator.
    pub fn setups(
        &self,
        methods: &[String],
        spaces: &[String],
        facts: &ModelFacts,
    ) -> Result<Vec<EditSetup>> {
        setups(methods, spaces, facts, &|s| has_directions(s, self.directions))
    }

    /// Runs the benchmark.
    ///
    /// When it is stopped to keep what there is, it ends with the people who are whole.
    ///
    /// # Errors
    /// When a name of an edit is unknown, a picture cannot be read, or an inversion fails;
    /// `Interrupted` when it is aborted.
    pub fn run(
        &self,
        pairs: &Pairs,
        setups: &[EditSetup],
        request: &Request,
    ) -> Result<Outcome<Row>> {
        self.check()?;
        // Names first: 256 samples are read before the spread is known.
        Plan::check_names(pairs, &request.edits)?;
        let spread = self
            .reader
            .map(|r| Spread::of(self.generator, r, request.seed, self.control))
            .transpose()?;
        let plan = Plan::new(pairs, &request.edits, setups, self.directions, spread.as_ref())?;
        let run =
            Run { bench: *self, pairs, setups, request, plan: &plan, spread: spread.as_ref() };
        let found = gather(pairs, request.limit, plan.tasks.len(), |person, place| {
            run.person(person, place)
        })?;
        let row = |(task, samples): (&Task, &Vec<Sample>)| {
            Row::new(&plan.edits[task.edit], &setups[task.setup], &task.direction.name, samples)
        };
        let rows = plan.tasks.iter().zip(&found.samples).map(row).collect();
        Ok(Outcome { rows, people: found.people, stopped: found.stopped, notes: plan.notes })
    }
}

struct Run<'a> {
    bench: Bench<'a>,
    pairs: &'a Pairs,
    setups: &'a [EditSetup],
    request: &'a Request,
    plan: &'a Plan,
    spread: Option<&'a Spread>,
}

/// The true pictures of a person.
struct Truth<'p> {
    base: (&'p Version, Shown),
    /// One entry per edit of the plan; `None` where the edit changes nothing.
    edits: Vec<Option<(&'p Version, Shown)>>,
}

impl Run<'_> {
    /// All samples of a person, by task; `None` when it was stopped before all were there.
    fn person(
        &self,
        person: &Person,
        place: (usize, usize),
    ) -> Result<Option<Vec<(usize, Sample)>>> {
        let truth = self.truth(person)?;
        let mut pace = self.pace(&truth, place);
        let mut samples = Vec::new();
        for (method, space) in inversions(self.setups) {
            let Some(base) = self.invert(&truth.base.1.picture, (method, space), &mut pace)? else {
                return Ok(None);
            };
            let mut ceilings = Vec::new();
            for truth in &truth.edits {
                ceilings.push(match truth {
                    Some((_, shown)) if self.request.ceiling => {
                        let Some(found) =
                            self.invert(&shown.picture, (method, space), &mut pace)?
                        else {
                            return Ok(None);
                        };
                        Some(self.bench.close(&found.shown.picture, &shown.picture)?)
                    }
                    _ => None,
                });
            }
            for (i, task) in self.plan.tasks.iter().enumerate() {
                let setup = &self.setups[task.setup];
                let of_this = (setup.method, setup.inverted()) == (method, space);
                if let (true, Some(goal)) = (of_this, &truth.edits[task.edit]) {
                    let sample = self.sample(task, &base, &truth.base, goal)?;
                    samples.push((i, Sample { ceiling: ceilings[task.edit], ..sample }));
                }
            }
        }
        Ok(Some(samples))
    }

    fn truth<'p>(&self, person: &'p Person) -> Result<Truth<'p>> {
        let shown = |v: &'p Version| -> Result<(&'p Version, Shown)> {
            Ok((v, self.bench.truth(self.pairs, v)?))
        };
        let mut edits = Vec::new();
        for edit in &self.plan.edits {
            let changed = |v: &&Version| {
                v.labels.get(&edit.attribute) != person.base.labels.get(&edit.attribute)
            };
            edits.push(person.edits.get(&edit.name).filter(changed).map(shown).transpose()?);
        }
        Ok(Truth { base: shown(&person.base)?, edits })
    }

    fn pace(&self, truth: &Truth<'_>, place: (usize, usize)) -> Pace {
        let ceilings = if self.request.ceiling { truth.edits.iter().flatten().count() } else { 0 };
        Pace::new("edits", inversions(self.setups).len() * (1 + ceilings) * SHARE, place)
    }

    /// `None` when it was stopped.
    fn invert(
        &self,
        target: &Tensor,
        (method, space): (&'static Method, Space),
        pace: &mut Pace,
    ) -> Result<Option<Found>> {
        let mut config = Config::new(space, method);
        config.seed = self.request.seed;
        config.passes = self.request.passes.filter(|_| method.encoder);
        if let (Some(steps), true) = (self.request.steps, method.steps.is_some()) {
            config.steps = steps;
        }
        self.bench.invert(target, &config, &pace.next(self.bench.control, SHARE))
    }

    fn sample(
        &self,
        task: &Task,
        base: &Found,
        (from, start): &(&Version, Shown),
        (to, goal): &(&Version, Shown),
    ) -> Result<Sample> {
        let attribute = &self.plan.edits[task.edit].attribute;
        let label = |v: &Version| {
            let missing = || {
                Error::new(
                    Kind::Format,
                    format!("{} has no label {attribute}", crate::safe::Safe(&v.file)),
                )
            };
            v.labels.get(attribute).copied().ok_or_else(missing)
        };
        let steps = (label(to)? - label(from)?) * task.steps_per_unit;
        let clock = Instant::now();
        let picture = self.moved(task, &base.code, steps)?;
        let seconds = base.seconds + clock.elapsed().as_secs_f64();
        let edited = self.bench.shown(picture)?;
        let psnr = |a: &Tensor, b: &Tensor| measure(&Psnr, a, b);
        Ok(Sample {
            edited: self.bench.close(&edited.picture, &goal.picture)?,
            unedited: self.bench.close(&base.shown.picture, &goal.picture)?,
            ceiling: None,
            psnr_base: psnr(&start.picture, &goal.picture)?,
            psnr_inversion: psnr(&base.shown.picture, &start.picture)?,
            identity: identities(start, [&edited, &base.shown, goal]),
            leakage: self.leakage(attribute, [&edited, &base.shown], [goal, start]),
            moved: self.own_movement(attribute, [&edited, &base.shown], [goal, start]),
            steps,
            seconds,
        })
    }

    /// The picture of a code moved along a task's direction.
    fn moved(&self, task: &Task, code: &Code, steps: f64) -> Result<Tensor> {
        let g = self.bench.generator;
        let space = self.setups[task.setup].space;
        // An encoder's code of W+ may be moved in S.
        let moved = apply(&spaces::lift(g, code, space)?, steps, &task.direction)?;
        let input = spaces::input_of(&moved);
        Ok(codes::synthesize(g, &moved, &input)?.clamp(-1f32, 1f32)?)
    }

    /// The other attributes' movement beyond the truth's: of the edit, and of no edit. Both pairs
    /// are (after, before).
    fn leakage(&self, attribute: &str, edit: [&Shown; 2], truth: [&Shown; 2]) -> Option<[f64; 2]> {
        let spread = self.spread.filter(|s| s.others(attribute) > 0)?;
        let (edit, truth) = (movement(edit)?, movement(truth)?);
        let still = vec![0.0; truth.len()];
        Some([&edit, &still].map(|m| spread.distance(m, &truth, attribute)))
    }

    fn own_movement(
        &self,
        attribute: &str,
        edit: [&Shown; 2],
        truth: [&Shown; 2],
    ) -> Option<[f64; 2]> {
        let at = self.spread?.place(attribute)?;
        Some([*movement(edit)?.get(at)?, *movement(truth)?.get(at)?])
    }
}

/// Readings after minus readings before.
fn movement([after, before]: [&Shown; 2]) -> Option<Vec<f64>> {
    let (after, before) = (after.seen.as_ref()?, before.seen.as_ref()?);
    Some(after.raw.iter().zip(&before.raw).map(|(a, b)| a - b).collect())
}

/// Cosines of identity embeddings with that of `of`.
fn identities(of: &Shown, others: [&Shown; 3]) -> Option<[f64; 3]> {
    let [a, b, c] = others.map(|other| of.identity_with(other));
    Some([a?, b?, c?])
}

/// The inversions that the setups need, each once.
fn inversions(setups: &[EditSetup]) -> Vec<(&'static Method, Space)> {
    let mut found = Vec::new();
    for pair in setups.iter().map(|w| (w.method, w.inverted())) {
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}
