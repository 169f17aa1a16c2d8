//! State of the inversion of one image.

use super::evaluate::Evaluation;
use super::optimize::Optimizer;
use super::phase::{Mover, Phase};
use super::problem::{Problem, Run};
use super::trace::Trace;
use crate::error::{Error, Result};
use crate::generator::Generator;
use candle_core::Tensor;
use std::sync::Arc;

/// The best point so far, by its loss.
#[derive(Clone)]
pub(super) struct Best {
    pub loss: f64,
    pub step: usize,
    pub code: Tensor,
    pub maps: Vec<Tensor>,
    pub picture: Tensor,
}

/// Everything that the next step depends on: the content of a checkpoint.
pub(super) struct State {
    pub code: Tensor,
    /// The noise maps; empty when the generator's own are used.
    pub maps: Vec<Tensor>,
    /// The generator with this image's own weights, once a phase has tuned them.
    pub generator: Option<Arc<dyn Generator>>,
    /// The phase, and how many of its steps are done.
    pub phase: usize,
    pub taken: usize,
    /// The optimizer of the phase; none in a phase of encoder passes.
    pub optimizer: Option<Box<dyn Optimizer>>,
    /// Steps of all phases that are done.
    pub step: usize,
    pub best: Option<Best>,
    pub trace: Trace,
    pub finished: bool,
    /// The step in which the user stopped it.
    pub stopped: Option<usize>,
    /// The step in which the loss was no longer finite.
    pub diverged: Option<usize>,
    /// Reason why a checkpoint could not be written; the work continues without it.
    pub unsaved: Option<String>,
}

/// A fresh optimizer for one image.
pub(super) fn fresh(phase: &Phase<'_>) -> Option<Box<dyn Optimizer>> {
    match &phase.mover {
        Mover::Encoder(_) => None,
        Mover::Optimizer(make) => Some(make()),
    }
}

impl State {
    pub fn start(problem: &Problem<'_, '_>) -> Result<Self> {
        Ok(Self {
            code: problem.start_code()?,
            maps: problem.start_maps()?,
            generator: None,
            phase: 0,
            taken: 0,
            optimizer: problem.run.phases.first().and_then(fresh),
            step: 0,
            best: None,
            trace: Trace::new(problem.run.total()),
            finished: false,
            stopped: None,
            diverged: None,
            unsaved: None,
        })
    }

    /// The phase that makes the next step from here, and how many of its own steps are done: the
    /// current one, or a later one when it is at its end.
    pub fn acting(&self, run: &Run<'_>) -> (usize, usize) {
        let (mut phase, mut taken) = (self.phase, self.taken);
        while run.phases.get(phase).is_some_and(|p| taken >= p.steps)
            && phase + 1 < run.phases.len()
        {
            (phase, taken) = (phase + 1, 0);
        }
        (phase, taken)
    }

    /// Whether no step is left.
    pub fn at_end(&self, run: &Run<'_>) -> bool {
        let (phase, taken) = self.acting(run);
        run.phases.get(phase).is_none_or(|p| taken >= p.steps)
    }

    /// Keeps what a point is worth.
    pub fn record(&mut self, e: &Evaluation) -> Result<()> {
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
            let (code, maps) = (e.code.clone(), e.maps.clone());
            let (loss, step, picture) = (e.total, self.step, e.picture.clone());
            self.best = Some(Best { loss, step, code, maps, picture });
        }
        Ok(())
    }

    /// Moves to the phase of the next step, at the best point so far. Returns whether the point has
    /// changed since the last evaluation.
    pub fn enter(&mut self, run: &Run<'_>) -> bool {
        let (phase, taken) = self.acting(run);
        if phase == self.phase {
            return false;
        }
        (self.phase, self.taken) = (phase, taken);
        self.optimizer = run.phases.get(phase).and_then(fresh);
        match &self.best {
            Some(best) if best.step != self.step => {
                (self.code, self.maps) = (best.code.clone(), best.maps.clone());
                true
            }
            _ => false,
        }
    }

    /// Ends the phase before its last step because it cannot improve further.
    pub fn skip_rest(&mut self, run: &Run<'_>) {
        self.taken = run.phases.get(self.phase).map_or(0, |p| p.steps);
        self.finished = self.at_end(run);
    }

    /// One step is done.
    pub fn count_step(&mut self) {
        self.taken += 1;
        self.step += 1;
    }
}
