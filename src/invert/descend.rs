//! The loop: evaluate, record, ask whether to stop, step; for all images of a batch at once, each
//! with a state of its own.

use super::problem::Problem;
use super::together::{Evaluation, Point, evaluate, refine};
use super::{Adam, Method, PictureLoss, Trace, checkpoint, normalise, ramp};
use crate::control::{Progress, Stop};
use crate::error::{Error, Kind, Result};
use candle_core::Tensor;
use std::time::{Duration, Instant};

/// Steps between two reports, unless more time has passed.
const REPORT_STEPS: usize = 10;
const REPORT_TIME: Duration = Duration::from_millis(100);

/// The best point so far, by its loss.
#[derive(Clone)]
pub(super) struct Best {
    pub loss: f64,
    pub step: usize,
    pub code: Tensor,
    pub maps: Vec<Tensor>,
    pub picture: Tensor,
}

/// Everything that the next step depends on; what a checkpoint holds.
pub(super) struct State {
    pub params: Vec<Tensor>,
    pub adam: Adam,
    pub step: usize,
    pub best: Option<Best>,
    pub trace: Trace,
    pub finished: bool,
    /// The step in which the user stopped it.
    pub stopped: Option<usize>,
    /// The step in which the loss was no longer finite.
    pub diverged: Option<usize>,
    /// Why a checkpoint could not be written; the work goes on without.
    pub unsaved: Option<String>,
}

impl State {
    fn start(problem: &Problem) -> Result<Self> {
        let params = problem.start()?;
        Ok(Self {
            adam: Adam::new(&params)?,
            params,
            step: 0,
            best: None,
            trace: Trace::new(problem.total()),
            finished: false,
            stopped: None,
            diverged: None,
            unsaved: None,
        })
    }

    fn record(&mut self, problem: &Problem, e: &Evaluation) -> Result<()> {
        self.trace.push(self.step, &e.terms);
        if !e.total.is_finite() {
            self.diverged = Some(self.step);
            self.finished = true;
            if self.best.is_none() {
                return Err(Error::runtime("the loss is not finite at the start")
                    .hint("check the generator and the start code"));
            }
            return Ok(());
        }
        if self.best.as_ref().is_none_or(|b| e.total < b.loss) {
            let maps = problem.maps(&self.params)?.to_vec();
            let (code, picture) = (e.code.clone(), e.picture.clone());
            self.best = Some(Best { loss: e.total, step: self.step, code, maps, picture });
        }
        Ok(())
    }

    /// After the last pass: goes back to the best of them, if that was an earlier one; whether it
    /// did.
    fn back_to_better_pass(&mut self, problem: &Problem) -> bool {
        let passes = problem.config.passes_taken();
        let best =
            self.best.as_ref().filter(|b| passes > 0 && self.step == passes && b.step != passes);
        let Some(code) = best.map(|b| b.code.clone()) else { return false };
        self.move_to(code);
        true
    }

    /// Puts another code in the place of the first parameter; the noise maps behind it stay.
    fn move_to(&mut self, code: Tensor) {
        if let Some(first) = self.params.first_mut() {
            *first = code;
        }
    }

    fn descend(&mut self, problem: &Problem, e: &Evaluation) -> Result<()> {
        let (config, steps) = (problem.config, problem.config.steps_taken().max(1) as f64);
        // The projector asks at the step's start, where its first rate is 0; elsewhere the middle
        // wastes no step.
        let at = if config.method == Method::Projector { 0.0 } else { 0.5 };
        let lr = config.lr * ramp(((self.step - config.passes_taken()) as f64 + at) / steps);
        self.params = self.adam.step(&self.params, &e.gradients, lr)?;
        let codes = self.params.len() - problem.split(&self.params)?.1.len();
        if config.noise_regularise > 0.0 {
            for map in &mut self.params[codes..] {
                *map = normalise(map)?;
            }
        }
        self.step += 1;
        Ok(())
    }
}

/// The images of a batch, and where they stand.
struct Batch<'p, 'a> {
    problems: &'p [Problem<'a>],
    states: Vec<State>,
    /// The images that are compared at a time, and their losses as one.
    joined: Option<(Vec<usize>, PictureLoss<'a>)>,
    reported: Instant,
    saved: Instant,
}

/// Runs the images of a batch to their ends, from their checkpoints if there are any.
pub(super) fn descend(problems: &[Problem]) -> Result<Vec<State>> {
    let start = |p: &Problem| checkpoint::load(p)?.map_or_else(|| State::start(p), Ok);
    let states = problems.iter().map(start).collect::<Result<Vec<_>>>()?;
    let now = Instant::now();
    let mut batch = Batch { problems, states, joined: None, reported: now, saved: now };
    while batch.step()? {}
    if let Some(p) = problems.first() {
        p.job.control.keep();
    }
    batch.end();
    Ok(batch.states)
}

impl<'a> Batch<'_, 'a> {
    /// The images that go on.
    fn going(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|i| !self.states[*i].finished).collect()
    }

    fn problem(&self) -> Result<&Problem<'a>> {
        self.problems.first().ok_or_else(|| Error::runtime("no image to invert"))
    }

    /// One step of all images that go on; whether there is another.
    fn step(&mut self) -> Result<bool> {
        let which = self.going();
        if which.is_empty() {
            return Ok(false);
        }
        let (passes, steps) = (self.problem()?.config.passes_taken(), self.problem()?.total());
        let descends = |i: &usize| (passes..steps).contains(&self.states[*i].step);
        let found = self.evaluate(&which, which.iter().any(descends))?;
        for (&i, e) in which.iter().zip(&found) {
            self.states[i].record(&self.problems[i], e)?;
        }
        self.report_if_due(&which, &found);
        for &i in &which {
            let state = &mut self.states[i];
            state.finished |= state.step >= steps;
        }
        let on: Vec<(usize, Evaluation)> =
            which.into_iter().zip(found).filter(|(i, _)| !self.states[*i].finished).collect();
        if on.is_empty() {
            return Ok(false);
        }
        self.go_on(on)
    }

    /// Does what is asked of the images that are not at their end.
    fn go_on(&mut self, on: Vec<(usize, Evaluation)>) -> Result<bool> {
        match self.problem()?.job.control.stop() {
            Stop::No => self.advance(on)?,
            Stop::Keep => {
                for (i, _) in on {
                    let state = &mut self.states[i];
                    (state.stopped, state.finished) = (Some(state.step), true);
                }
                return Ok(false);
            }
            Stop::Abort => {
                let step = on.first().map_or(0, |(i, _)| self.states[*i].step);
                let text =
                    format!("inversion stopped at step {step} of {}", self.problem()?.total());
                return Err(Error::new(Kind::Interrupted, text));
            }
            Stop::Checkpoint => {
                self.advance(on)?;
                return Err(self.stopped_for_later()?);
            }
        }
        if self
            .problem()?
            .config
            .checkpoint
            .as_ref()
            .is_some_and(|c| self.saved.elapsed() >= c.every)
        {
            self.save();
            self.saved = Instant::now();
        }
        Ok(true)
    }

    fn evaluate(&mut self, which: &[usize], gradients: bool) -> Result<Vec<Evaluation>> {
        if self.joined.as_ref().is_none_or(|(these, _)| these != which) {
            let losses: Vec<&PictureLoss> = which.iter().map(|i| &self.problems[*i].loss).collect();
            self.joined = Some((which.to_vec(), PictureLoss::join(&losses)?));
        }
        let points: Vec<Point> = which.iter().map(|i| self.point(*i)).collect();
        match &self.joined {
            Some((_, loss)) => evaluate(&points, loss, gradients),
            None => Ok(Vec::new()),
        }
    }

    fn point(&self, i: usize) -> Point<'_, 'a> {
        Point {
            problem: &self.problems[i],
            params: &self.states[i].params,
            step: self.states[i].step,
        }
    }

    /// To the next points: a pass of the encoder while there are any, then steps of gradient
    /// descent.
    fn advance(&mut self, on: Vec<(usize, Evaluation)>) -> Result<()> {
        let passes = self.problem()?.config.passes_taken();
        let (encoded, mut descending): (Vec<_>, Vec<_>) =
            on.into_iter().partition(|(i, _)| self.states[*i].step < passes);
        if !encoded.is_empty() {
            let points: Vec<Point> = encoded.iter().map(|(i, _)| self.point(*i)).collect();
            let codes = refine(&points, &encoded.iter().map(|(_, e)| e).collect::<Vec<_>>())?;
            for ((i, _), code) in encoded.iter().zip(codes) {
                self.states[*i].move_to(code);
                self.states[*i].step += 1;
            }
        }
        // Those that go back to an earlier pass are evaluated anew, for its gradients.
        let mut back = Vec::new();
        for (i, _) in &descending {
            if self.states[*i].back_to_better_pass(&self.problems[*i]) {
                back.push(*i);
            }
        }
        if !back.is_empty() {
            let mut anew = self.evaluate(&back, true)?.into_iter();
            for (_, e) in descending.iter_mut().filter(|(i, _)| back.contains(i)) {
                if let Some(better) = anew.next() {
                    *e = better;
                }
            }
        }
        descending.iter().try_for_each(|(i, e)| self.states[*i].descend(&self.problems[*i], e))
    }

    /// Saves the states; a full disk costs the checkpoints, not the work.
    fn save(&mut self) {
        for (problem, state) in self.problems.iter().zip(&mut self.states) {
            state.unsaved = checkpoint::save(problem, state).err().map(|e| e.message().to_owned());
        }
    }

    fn end(&mut self) {
        // With several images a resumed run must find the finished ones.
        if self.problems.first().is_some_and(|p| p.place.1 > 1) {
            self.save();
        }
    }

    fn stopped_for_later(&self) -> Result<Error> {
        for (problem, state) in self.problems.iter().zip(&self.states) {
            checkpoint::save(problem, state)?;
        }
        let problem = self.problem()?;
        let step = self.states.iter().map(|s| s.step).min().unwrap_or(0);
        let at = format!("inversion stopped before step {step} of {}", problem.total());
        Ok(match &problem.config.checkpoint {
            Some(_) => {
                Error::new(Kind::Resumable, at).hint("run it again: it goes on from its checkpoint")
            }
            None => Error::new(Kind::Resumable, at)
                .hint("run it again: without a checkpoint it starts anew"),
        })
    }

    fn report_if_due(&mut self, which: &[usize], found: &[Evaluation]) {
        let (Ok(problem), Some(&first)) = (self.problem(), which.first()) else { return };
        let (step, passes) = (self.states[first].step, problem.config.passes_taken());
        let due = step <= passes || step.is_multiple_of(REPORT_STEPS) || step == problem.total();
        if !problem.job.control.watched() || !(due || self.reported.elapsed() >= REPORT_TIME) {
            return;
        }
        problem.job.control.report(self.progress(problem, first, found));
        self.reported = Instant::now();
    }

    /// Where the whole stands. The picture shown is one that was made anyway: watching costs no
    /// pass through the generator.
    fn progress(&self, problem: &Problem, first: usize, found: &[Evaluation]) -> Progress {
        let ((before, n), steps) = (problem.place, problem.total());
        // The view takes a new title for a new loop: passes and steps have their own pace.
        let verb = if self.states[first].step < problem.config.passes_taken() {
            "encode"
        } else {
            "invert"
        };
        let which = match (self.states.len(), n) {
            (_, 1) => String::new(),
            (1, n) => format!(" ({} of {n})", before + 1),
            (size, n) => format!(" ({}–{} of {n})", before + 1, before + size),
        };
        let mean = |k: usize| found.iter().map(|e| e.terms[k].1).sum::<f64>() / found.len() as f64;
        let names =
            found.first().map(|e| e.terms.iter().map(|(name, _)| *name)).into_iter().flatten();
        Progress {
            title: format!("{verb} {}{which}", problem.config.space),
            step: before * steps + self.states.iter().map(|s| s.step).sum::<usize>(),
            total: n * steps,
            losses: names.enumerate().map(|(k, name)| (name, mean(k))).collect(),
            preview: self.states[first].best.as_ref().map(|b| b.picture.clone()),
        }
    }
}
