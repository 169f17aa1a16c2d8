//! State of the inversion of one image.

use super::domain;
use super::evaluate::Evaluation;
use super::optimize::Optimizer;
use super::phase::{Mover, Phase, Region};
use super::problem::{Problem, Run};
use super::trace::Trace;
use crate::error::{Error, Result};
use crate::latent::{Part, Parts};
use crate::metric::resize_to;
use candle_core::Tensor;

/// Steps that may pass without a lower loss before a phase counts as flat.
pub const PATIENCE: usize = 50;

/// A step of weights may end at this many times the best loss. What lies beyond has spoilt the
/// generator: it is found again slowly, and blurred.
const OVERSHOT: f64 = 1.5;
/// Steps over which the rate rises again from there: the first ones of Adam are the longest.
const RISE: f64 = 10.0;

/// Draws of other codes of which a point is judged by the mean. One draw may be lucky or unlucky.
const DRAWS: usize = 8;
/// Up to this many times the lowest loss, such points are not told apart: the last of them has seen
/// the most steps, and the shortest.
const ALIKE: f64 = 1.1;

/// The best point so far, by its loss: the last of those whose losses cannot be told apart.
#[derive(Clone)]
pub(super) struct Best {
    pub loss: f64,
    /// The lowest loss so far.
    pub least: f64,
    pub step: usize,
    pub parts: Parts,
    pub picture: Tensor,
}

/// Everything that the next step depends on: the content of a checkpoint.
pub(super) struct State {
    /// The code with all that is found beside it. Without noise maps the generator's own are used.
    pub parts: Parts,
    /// The part of the picture that the generator reaches, `[1, 1, H, W]`, once a phase asks.
    pub domain: Option<Tensor>,
    /// The phase, and how many of its steps are done.
    pub phase: usize,
    pub taken: usize,
    /// The optimizer of the phase; none in a phase of encoder passes.
    pub optimizer: Option<Box<dyn Optimizer>>,
    /// Steps of all phases that are done.
    pub step: usize,
    pub best: Option<Best>,
    /// The step in which the loss of the phase was last lowered by a share that counts, and that
    /// loss; where phases end on a plateau.
    pub mark: Option<(usize, f64)>,
    /// How often the learning rate of the phase was halved, and in which of its steps the last time.
    pub halved: (u32, usize),
    /// What the terms that draw other codes were worth in the last [`DRAWS`] steps of the phase
    /// that drew some.
    pub draws: Vec<f64>,
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
        Mover::Encoder(_) | Mover::Layers(_) => None,
        Mover::Optimizer(make) => Some(make()),
    }
}

/// Whether losses of two phases compare, at points that both know.
fn alike(run: &Run<'_>, a: usize, b: usize) -> bool {
    let of = |k: usize| {
        let noise = |p: &Phase<'_>| p.unknowns.noise && p.objective.noise > 0.0;
        run.phases.get(k).map(|p| (&p.objective, noise(p), p.counted, p.unknowns.residual, p.side))
    };
    a == b || of(a) == of(b)
}

impl State {
    pub fn start(problem: &Problem<'_, '_>) -> Result<Self> {
        let parts = problem.start()?;
        let parts = match problem.run.phases.first() {
            Some(phase) => problem.entering(phase, parts)?,
            None => parts,
        };
        Ok(Self {
            parts,
            domain: None,
            phase: 0,
            taken: 0,
            optimizer: problem.run.phases.first().and_then(fresh),
            step: 0,
            best: None,
            mark: None,
            halved: (0, 0),
            draws: Vec::new(),
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

    /// The phase in which the current point is evaluated, and how many of its steps are done: the
    /// acting one; but the last point of a phase is one of its own where the next has another loss.
    pub fn judging(&self, run: &Run<'_>) -> (usize, usize) {
        let acting = self.acting(run);
        if alike(run, self.phase, acting.0) { acting } else { (self.phase, self.taken) }
    }

    /// Keeps what a point is worth.
    pub fn record(&mut self, e: &Evaluation) -> Result<()> {
        self.trace.push(self.step, &e.terms);
        // Weights that are not tuned yet keep all pictures as they were.
        if let Some(drawn) = e.drawn.filter(|_| self.taken > 0) {
            self.draws.push(drawn);
            self.draws.drain(..self.draws.len().saturating_sub(DRAWS));
        }
        self.keep(e)
    }

    /// The loss by which points compare: where terms draw other codes, with the mean of what they
    /// were worth in the last steps that drew some. `None` for a point that drew none.
    pub fn judged(&self, e: &Evaluation) -> Option<f64> {
        if !e.draws {
            return Some(e.total);
        }
        let drawn = e.drawn?;
        let mean = match self.draws.len() {
            0 => drawn,
            count => self.draws.iter().sum::<f64>() / count as f64,
        };
        Some(e.total - drawn + mean)
    }

    /// Keeps a point if it is the best so far.
    fn keep(&mut self, e: &Evaluation) -> Result<()> {
        if !e.total.is_finite() {
            self.diverged = Some(self.step);
            self.finished = true;
            if self.best.is_none() {
                return Err(Error::runtime("the loss is not finite at the start")
                    .hint("check the generator and the start code"));
            }
            return Ok(());
        }
        let Some(loss) = self.judged(e) else { return Ok(()) };
        let near = if e.draws { ALIKE } else { 1.0 };
        match &mut self.best {
            Some(best) if loss >= best.loss && loss >= near * best.least => {}
            best => {
                let least = best.as_ref().map_or(loss, |b| b.least.min(loss));
                let (parts, picture) = (e.parts.clone(), e.picture.clone());
                *best = Some(Best { loss, least, step: self.step, parts, picture });
            }
        }
        Ok(())
    }

    /// Keeps the point that a phase begins with, where nothing compares with it.
    pub fn begin(&mut self, e: &Evaluation) -> Result<()> {
        if self.best.is_none() { self.keep(e) } else { Ok(()) }
    }

    /// Moves to the phase of the next step, at the best point so far. Returns whether it must be
    /// evaluated again: the point has changed since the last evaluation, or the loss or the unknowns
    /// are others than before.
    pub fn enter(&mut self, problem: &Problem<'_, '_>) -> Result<bool> {
        let run = problem.run;
        let (phase, taken) = self.acting(run);
        if phase == self.phase {
            return Ok(false);
        }
        let (before, other) = (self.phase, !alike(run, self.phase, phase));
        (self.phase, self.taken) = (phase, taken);
        let Some(phase) = run.phases.get(phase) else { return Ok(false) };
        (self.optimizer, self.mark, self.halved) = (fresh(phase), None, (0, 0));
        self.draws.clear();
        let asks = [phase.counted, phase.searched].iter().any(|r| *r != Region::All);
        if let Some(best) = self.best.as_ref().filter(|_| asks && self.domain.is_none()) {
            // Pixels outside the mask change nothing.
            let seen = |t: &Tensor| match &run.mask {
                Some(mask) => t.broadcast_mul(mask),
                None => Ok(t.clone()),
            };
            let [picture, target] = run.alike(&best.picture, &problem.picture)?;
            self.domain = Some(domain::reached(&seen(&picture)?, &seen(&target)?)?);
        }
        let moved = self.best.as_ref().is_some_and(|best| best.step != self.step);
        if let Some(best) = self.best.as_ref().filter(|_| moved) {
            self.parts = best.parts.clone();
        }
        self.parts = problem.entering(phase, self.parts.clone())?;
        if other {
            // Losses of another objective do not compare: the best of the phases before is where
            // this one begins.
            self.best = None;
        }
        let before = run.phases.get(before).map(|b| b.unknowns);
        Ok(moved || other || before != Some(phase.unknowns))
    }

    /// The weights of the pixels that count in a phase; `None` where all do.
    pub fn counted(&self, phase: &Phase<'_>) -> Result<Option<Tensor>> {
        self.domain.as_ref().map_or(Ok(None), |domain| domain::weights(phase.counted, domain))
    }

    /// The slopes of the unknowns, 0 where the phase does not search them: outside the region of
    /// residuals, and in the columns of a code that are held. `None` where all are as they were.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn kept_slopes(
        &self,
        phase: &Phase<'_>,
        parts: &[Part],
        slopes: &[Tensor],
    ) -> Result<Option<Vec<Tensor>>> {
        let domain = self.domain.as_ref();
        let region = domain.map_or(Ok(None), |d| domain::weights(phase.searched, d))?;
        let columns = phase.unknowns.columns;
        if region.is_none() && columns.is_none() {
            return Ok(None);
        }
        let one = |(part, slope): (&Part, &Tensor)| -> Result<Tensor> {
            match (part, &region, columns) {
                (Part::Residual(_), Some(region), _) => {
                    let (_, _, h, w) = slope.dims4()?;
                    Ok(slope.broadcast_mul(&resize_to(region, h, w)?)?)
                }
                (Part::Point, _, Some(columns)) => kept_columns(slope, columns),
                _ => Ok(slope.clone()),
            }
        };
        parts.iter().zip(slopes).map(one).collect::<Result<_>>().map(Some)
    }

    /// Whether the last [`PATIENCE`] steps have lowered the loss by less than this share of it.
    pub fn flat(&mut self, share: f64) -> bool {
        let Some(best) = &self.best else { return false };
        match self.mark {
            Some((step, loss)) if best.least > loss - share * loss.abs() => {
                self.step >= step + PATIENCE
            }
            _ => {
                self.mark = Some((self.step, best.least));
                false
            }
        }
    }

    /// Goes back to the best point, with half the learning rate, where a step of weights went too
    /// far. Returns whether it did.
    pub fn step_back(&mut self, problem: &Problem<'_, '_>, e: &Evaluation) -> Result<bool> {
        let Some(phase) = problem.run.phases.get(self.phase) else { return Ok(false) };
        // Terms that draw codes have a large value where a draw is unlucky; the steps between them
        // know enough.
        let judges = phase.unknowns.weights.is_some() && e.drawn.is_none();
        let best = self.best.as_ref().filter(|b| judges && b.loss > 0.0);
        let Some(best) = best.filter(|b| e.total > OVERSHOT * b.loss) else {
            return Ok(false);
        };
        self.parts = problem.entering(phase, best.parts.clone())?;
        self.optimizer = fresh(phase);
        self.count_step();
        self.halved = (self.halved.0 + 1, self.taken);
        Ok(true)
    }

    /// The learning rate of the next step.
    pub fn rate(&self, phase: &Phase<'_>) -> f64 {
        let usual = phase.schedule.rate_of(self.taken, phase.steps);
        match self.halved {
            (0, _) => usual,
            (times, at) => {
                let risen = ((self.taken.saturating_sub(at) as f64 + 0.5) / RISE).min(1.0);
                usual * risen * 0.5f64.powi(times as i32)
            }
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

/// A tensor `[…, D]` that is 0 outside some of its last axis' numbers.
fn kept_columns(slope: &Tensor, (from, count): (usize, usize)) -> Result<Tensor> {
    let width = slope.dims().last().copied().unwrap_or(0);
    let kept = |i: usize| f32::from(u8::from((from..from + count).contains(&i)));
    let mask: Vec<f32> = (0..width).map(kept).collect();
    Ok(slope.broadcast_mul(&Tensor::from_vec(mask, width, slope.device())?)?)
}
