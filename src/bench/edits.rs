//! Edits of held-out people against the true pictures of those edits.
//!
//! Each person's `base` picture is inverted, the code moved along the calibrated direction by the true difference of the
//! label, and the result compared with the true picture of that person with that edit; beside it the two ends that any
//! editor lies between: the unedited reconstruction, and the true picture inverted with the same method.

use super::pairs::{Pairs, Person, Version};
use super::plan::{Calibrated, Plan, Request, Task, has_directions};
use super::read::{Reader, Seen, Spread};
use super::row::{Closeness, Row, Sample};
use super::way::{Way, ways};
use crate::control::{Control, Progress, Stop};
use crate::direction::apply;
use crate::error::{Error, Kind, Result};
use crate::generator::{Generator, Noise, spaces};
use crate::invert::{Config, Encoder, Job, Method, WStats, invert};
use crate::lang::types::ModelFacts;
use crate::latent::Latent;
use crate::metric::{Metric, Perceptual, Psnr, Ssim};
use crate::space::Space;
use candle_core::Tensor;
use std::time::Instant;

/// Sides below this are too small for the window of SSIM.
const SSIM_SIDE: usize = 11;

/// What edits are made with.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The generator.
    pub generator: &'a dyn Generator,
    /// The network of the perceptual distance, in the loss and as a metric.
    pub perceptual: Option<&'a Perceptual>,
    /// The encoder that the generator brings.
    pub encoder: Option<&'a dyn Encoder>,
    /// Reads attributes and identity.
    pub reader: Option<&'a dyn Reader>,
    /// The directions with their calibration.
    pub directions: &'a [Calibrated],
    /// Statistics of w, when they are known already.
    pub stats: Option<&'a WStats>,
    /// Stop signal and progress.
    pub control: &'a Control,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One row an edit, method and space.
    pub rows: Vec<Row>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// People in the rows.
    pub people: usize,
    /// Whether it was stopped before all people were through; the rows hold whole people only.
    pub stopped: bool,
}

impl<'a> Bench<'a> {
    /// The ways that names of methods and spaces stand for; see [`Way`].
    ///
    /// # Errors
    /// When a name is unknown or cannot be used with this generator.
    pub fn ways(&self, methods: &[String], spaces: &[String], facts: &ModelFacts) -> Result<Vec<Way>> {
        ways(methods, spaces, facts, &|s| has_directions(s, self.directions))
    }

    /// Runs the benchmark.
    ///
    /// On [`Stop::Keep`] and [`Stop::Checkpoint`] it ends with the people who are whole.
    ///
    /// # Errors
    /// When a name of an edit is unknown, a picture cannot be read, or an inversion fails; `Interrupted` on [`Stop::Abort`].
    pub fn run(&self, pairs: &Pairs, ways: &[Way], request: &Request) -> Result<Outcome> {
        if self.generator.spec().c_dim > 0 {
            return Err(Error::runtime("the labels say nothing of the classes of a conditional generator")
                .hint("take an unconditional one"));
        }
        // Names first: 256 samples are read before the spread is known.
        Plan::check_names(pairs, &request.edits)?;
        let spread = self.reader.map(|r| Spread::of(self.generator, r, request.seed, self.control)).transpose()?;
        let plan = Plan::new(pairs, &request.edits, ways, self.directions, spread.as_ref())?;
        let run = Run { bench: *self, pairs, ways, request, plan: &plan, spread: spread.as_ref() };
        let people = &pairs.people[..pairs.people.len().min(request.limit.unwrap_or(usize::MAX))];
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); plan.tasks.len()];
        let mut whole = 0;
        for (i, person) in people.iter().enumerate() {
            let Some(found) = run.person(person, (i, people.len()))? else { break };
            for (task, sample) in found {
                samples[task].push(sample);
            }
            whole = i + 1;
        }
        let row = |(task, samples): (&Task, &Vec<Sample>)| {
            Row::new(&plan.edits[task.edit], &ways[task.way], &task.direction.name, samples)
        };
        let rows = plan.tasks.iter().zip(&samples).map(row).collect();
        Ok(Outcome { rows, people: whole, stopped: whole < people.len(), notes: plan.notes })
    }
}

struct Run<'a> {
    bench: Bench<'a>,
    pairs: &'a Pairs,
    ways: &'a [Way],
    request: &'a Request,
    plan: &'a Plan,
    spread: Option<&'a Spread>,
}

/// A picture and what the reader saw in it.
struct Shown {
    picture: Tensor,
    seen: Option<Seen>,
}

/// A picture found by an inversion, with its code.
struct Found {
    code: Latent,
    shown: Shown,
    seconds: f64,
}

/// The true pictures of a person.
struct Truth<'p> {
    base: (&'p Version, Shown),
    /// By the plan's edits; `None` where the edit changes nothing.
    edits: Vec<Option<(&'p Version, Shown)>>,
}

impl Run<'_> {
    /// All samples of a person, by task; `None` when it was stopped before all were there.
    fn person(&self, person: &Person, place: (usize, usize)) -> Result<Option<Vec<(usize, Sample)>>> {
        let truth = self.truth(person)?;
        let mut progress = Pace::new(self, &truth, place);
        let mut samples = Vec::new();
        for (method, space) in inversions(self.ways) {
            let Some(base) = self.invert(&truth.base.1.picture, (method, space), &mut progress)? else {
                return Ok(None);
            };
            let mut ceilings = Vec::new();
            for truth in &truth.edits {
                ceilings.push(match truth {
                    Some((_, shown)) if self.request.ceiling => {
                        let Some(found) = self.invert(&shown.picture, (method, space), &mut progress)? else {
                            return Ok(None);
                        };
                        Some(self.close(&found.shown.picture, &shown.picture)?)
                    }
                    _ => None,
                });
            }
            for (i, task) in self.plan.tasks.iter().enumerate() {
                let way = &self.ways[task.way];
                let of_this = (way.method, way.inverted()) == (method, space);
                if let (true, Some(goal)) = (of_this, &truth.edits[task.edit]) {
                    let sample = self.sample(task, &base, &truth.base, goal)?;
                    samples.push((i, Sample { ceiling: ceilings[task.edit], ..sample }));
                }
            }
        }
        Ok(Some(samples))
    }

    fn truth<'p>(&self, person: &'p Person) -> Result<Truth<'p>> {
        let spec = self.bench.generator.spec();
        let shown = |v: &'p Version| -> Result<(&'p Version, Shown)> {
            let picture = self.pairs.picture(v, spec.channels, spec.resolution, self.bench.generator.device())?;
            Ok((v, self.shown(picture)?))
        };
        let mut edits = Vec::new();
        for edit in &self.plan.edits {
            let changed = |v: &&Version| v.labels.get(&edit.attribute) != person.base.labels.get(&edit.attribute);
            edits.push(person.edits.get(&edit.name).filter(changed).map(shown).transpose()?);
        }
        Ok(Truth { base: shown(&person.base)?, edits })
    }

    fn shown(&self, picture: Tensor) -> Result<Shown> {
        let seen = match self.bench.reader {
            Some(r) => r.read(&picture)?.pop(),
            None => None,
        };
        Ok(Shown { picture, seen })
    }

    /// `None` when it was stopped: what it has then is not the method's result.
    fn invert(&self, target: &Tensor, (method, space): (Method, Space), pace: &mut Pace) -> Result<Option<Found>> {
        let mut config = Config::new(space, method);
        config.seed = self.request.seed;
        config.passes = self.request.passes.filter(|_| method.encodes());
        if let (Some(steps), true) = (self.request.steps, method != Method::Encoder) {
            config.steps = steps;
        }
        let bench = &self.bench;
        let control = pace.part(bench.control);
        let job = Job {
            perceptual: bench.perceptual,
            encoder: bench.encoder,
            stats: bench.stats,
            ..Job::new(bench.generator, &control)
        };
        let found = invert(&job, target, &config);
        match bench.control.stop() {
            Stop::No => {}
            Stop::Keep | Stop::Checkpoint => return Ok(None),
            Stop::Abort => return Err(Error::new(Kind::Interrupted, "stopped; no rows were kept")),
        }
        let found = found?;
        pace.done += 1;
        let shown = self.shown(found.reconstruction.clamp(-1f32, 1f32)?)?;
        Ok(Some(Found { code: found.code, shown, seconds: found.seconds }))
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
            let missing =
                || Error::new(Kind::Format, format!("{} has no label {attribute}", crate::safe::Safe(&v.file)));
            v.labels.get(attribute).copied().ok_or_else(missing)
        };
        let steps = (label(to)? - label(from)?) * task.steps_per_unit;
        let clock = Instant::now();
        let picture = self.moved(task, &base.code, steps)?;
        let seconds = base.seconds + clock.elapsed().as_secs_f64();
        let edited = self.shown(picture)?;
        let psnr = |a: &Tensor, b: &Tensor| self.measure(&Psnr, a, b);
        Ok(Sample {
            edited: self.close(&edited.picture, &goal.picture)?,
            unedited: self.close(&base.shown.picture, &goal.picture)?,
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
    fn moved(&self, task: &Task, code: &Latent, steps: f64) -> Result<Tensor> {
        let g = self.bench.generator;
        let space = self.ways[task.way].space;
        // An encoder's code of W+ may be moved in S.
        let moved = apply(&spaces::lift(g, code, space)?, steps, &task.direction)?;
        let noise = moved.noise.clone().map_or(Noise::Const, Noise::Maps);
        Ok(spaces::synthesize(g, &moved, &noise)?.clamp(-1f32, 1f32)?)
    }

    fn measure(&self, metric: &dyn Metric, a: &Tensor, b: &Tensor) -> Result<f64> {
        let found = metric.measure(a, b)?;
        found.first().copied().ok_or_else(|| Error::runtime("a metric of no pictures"))
    }

    fn close(&self, a: &Tensor, b: &Tensor) -> Result<Closeness> {
        let wide = a.dims()[2..].iter().all(|&side| side >= SSIM_SIDE);
        Ok(Closeness {
            psnr: self.measure(&Psnr, a, b)?,
            ssim: wide.then(|| self.measure(&Ssim, a, b)).transpose()?,
            perceptual: self.bench.perceptual.map(|p| self.measure(p, a, b)).transpose()?,
        })
    }

    /// The other attributes' movement beyond the truth's: of the edit, and of no edit. Both pairs are (after, before).
    fn leakage(&self, attribute: &str, edit: [&Shown; 2], truth: [&Shown; 2]) -> Option<[f64; 2]> {
        let spread = self.spread.filter(|s| s.others(attribute) > 0)?;
        let (edit, truth) = (movement(edit)?, movement(truth)?);
        let still = vec![0.0; truth.len()];
        Some([&edit, &still].map(|m| spread.distance(m, &truth, attribute)))
    }

    fn own_movement(&self, attribute: &str, edit: [&Shown; 2], truth: [&Shown; 2]) -> Option<[f64; 2]> {
        let at = self.spread?.place(attribute)?;
        Some([*movement(edit)?.get(at)?, *movement(truth)?.get(at)?])
    }
}

/// What was read after minus what was read before.
fn movement([after, before]: [&Shown; 2]) -> Option<Vec<f64>> {
    let (after, before) = (after.seen.as_ref()?, before.seen.as_ref()?);
    Some(after.raw.iter().zip(&before.raw).map(|(a, b)| a - b).collect())
}

/// Cosines of identity embeddings with that of `of`.
fn identities(of: &Shown, others: [&Shown; 3]) -> Option<[f64; 3]> {
    let embedding = |s: &Shown| s.seen.as_ref().and_then(|s| s.identity.clone());
    let own = embedding(of)?;
    let mut all = [0.0; 3];
    for (cosine, other) in all.iter_mut().zip(others) {
        let other = embedding(other)?;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        *cosine = dot(&own, &other) / (dot(&own, &own) * dot(&other, &other)).sqrt().max(f64::MIN_POSITIVE);
    }
    Some(all)
}

/// The inversions that the ways need, each once.
fn inversions(ways: &[Way]) -> Vec<(Method, Space)> {
    let mut found = Vec::new();
    for pair in ways.iter().map(|w| (w.method, w.inverted())) {
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    found
}

/// Steps that one inversion counts for in the progress of all.
const SHARE: usize = 100;

/// Where the whole benchmark stands, told at every report of an inversion.
struct Pace {
    title: String,
    /// Inversions done, of this person.
    done: usize,
    /// Inversions of this person.
    own: usize,
    place: (usize, usize),
}

impl Pace {
    fn new(run: &Run<'_>, truth: &Truth<'_>, place: (usize, usize)) -> Self {
        let ceilings = if run.request.ceiling { truth.edits.iter().flatten().count() } else { 0 };
        let own = inversions(run.ways).len() * (1 + ceilings);
        Self { title: format!("edits: person {} of {}", place.0 + 1, place.1), done: 0, own, place }
    }

    /// A control for one inversion, whose steps are a part of the whole.
    fn part(&self, whole: &Control) -> Control {
        if !whole.watched() {
            return whole.clone();
        }
        let ((person, people), own, done) = (self.place, self.own.max(1), self.done);
        let (title, to) = (self.title.clone(), whole.clone());
        whole.part(move |p: Progress| {
            let share = SHARE * p.step / p.total.max(1);
            // People differ in how many edits change them; this one's count stands for all.
            let step = (person * own + done) * SHARE + share;
            to.report(Progress { title: title.clone(), step, total: people * own * SHARE, ..p });
        })
    }
}
