//! The loop: evaluate, record, ask whether to stop, step.

use super::problem::{Evaluation, Problem};
use super::{Adam, Method, Trace, checkpoint, normalise, ramp};
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

    /// To the next point: a pass of the encoder while there are any, then steps of gradient descent.
    fn advance(&mut self, problem: &Problem, e: &Evaluation) -> Result<()> {
        let passes = problem.config.passes_taken();
        if self.step < passes {
            let code = problem.refine(&e.code, &e.picture)?;
            self.move_to(code);
            self.step += 1;
            return Ok(());
        }
        match self.better_pass(problem)? {
            Some(better) => self.descend(problem, &better),
            None => self.descend(problem, e),
        }
    }

    /// After the last pass: back to the best of them, evaluated anew for its gradients, if that was an earlier one.
    fn better_pass(&mut self, problem: &Problem) -> Result<Option<Evaluation>> {
        let passes = problem.config.passes_taken();
        let best = self.best.as_ref().filter(|b| passes > 0 && self.step == passes && b.step != passes);
        let Some(code) = best.map(|b| b.code.clone()) else { return Ok(None) };
        self.move_to(code);
        problem.evaluate(&self.params, self.step, true).map(Some)
    }

    /// Puts another code in the place of the first parameter; the noise maps behind it stay.
    fn move_to(&mut self, code: Tensor) {
        if let Some(first) = self.params.first_mut() {
            *first = code;
        }
    }

    fn descend(&mut self, problem: &Problem, e: &Evaluation) -> Result<()> {
        let (config, steps) = (problem.config, problem.config.steps_taken().max(1) as f64);
        // The projector asks at the step's start, where its first rate is 0; elsewhere the middle wastes no step.
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

/// Runs one image to its end, from its checkpoint if there is one.
pub(super) fn descend(problem: &Problem) -> Result<State> {
    let mut state = match checkpoint::load(problem)? {
        Some(saved) => saved,
        None => State::start(problem)?,
    };
    let (passes, steps) = (problem.config.passes_taken(), problem.total());
    let (mut reported, mut saved) = (Instant::now(), Instant::now());
    while !state.finished {
        let e = problem.evaluate(&state.params, state.step, (passes..steps).contains(&state.step))?;
        state.record(problem, &e)?;
        let due = state.step <= passes || state.step.is_multiple_of(REPORT_STEPS) || state.step == steps;
        if due || reported.elapsed() >= REPORT_TIME {
            report(problem, &state, &e);
            reported = Instant::now();
        }
        if state.finished || state.step >= steps {
            break;
        }
        match problem.job.control.stop() {
            Stop::No => state.advance(problem, &e)?,
            Stop::Keep => {
                state.stopped = Some(state.step);
                break;
            }
            Stop::Abort => {
                return Err(Error::new(
                    Kind::Interrupted,
                    format!("inversion stopped at step {} of {steps}", state.step),
                ));
            }
            Stop::Checkpoint => {
                state.advance(problem, &e)?;
                return Err(stopped_for_later(problem, &state));
            }
        }
        if problem.config.checkpoint.as_ref().is_some_and(|c| saved.elapsed() >= c.every) {
            // A full disk costs the checkpoint, not the work.
            state.unsaved = checkpoint::save(problem, &state).err().map(|e| e.message().to_owned());
            saved = Instant::now();
        }
    }
    state.finished = true;
    // With several images a resumed run must find the finished ones.
    if problem.place.1 > 1 {
        state.unsaved = checkpoint::save(problem, &state).err().map(|e| e.message().to_owned());
    }
    Ok(state)
}

fn stopped_for_later(problem: &Problem, state: &State) -> Error {
    if let Err(e) = checkpoint::save(problem, state) {
        return e;
    }
    let at = format!("inversion stopped before step {} of {}", state.step, problem.total());
    match &problem.config.checkpoint {
        Some(_) => Error::new(Kind::Resumable, at).hint("run it again: it goes on from its checkpoint"),
        None => Error::new(Kind::Resumable, at).hint("run it again: without a checkpoint it starts anew"),
    }
}

fn report(problem: &Problem, state: &State, e: &Evaluation) {
    let control = problem.job.control;
    if !control.watched() {
        return;
    }
    let (i, n) = problem.place;
    let steps = problem.total();
    // The view takes a new title for a new loop: passes and steps have their own pace.
    let verb = if state.step < problem.config.passes_taken() { "encode" } else { "invert" };
    let which = if n > 1 { format!(" ({} of {n})", i + 1) } else { String::new() };
    control.report(Progress {
        title: format!("{verb} {}{which}", problem.config.space),
        step: i * steps + state.step,
        total: n * steps,
        losses: e.terms.clone(),
        preview: state.best.as_ref().map(|b| b.picture.clone()),
    });
}
