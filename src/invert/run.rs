//! The loop: evaluate, record, ask whether to stop, move; for all images of a batch at once, each
//! with a state of its own.

use super::checkpoint;
use super::evaluate::{Evaluation, evaluate};
use super::layerwise;
use super::objective::{Objective, normalise};
use super::optimize::Worth;
use super::phase::{Backwards, Mover, Normalise, Phase};
use super::point::{Point, holds, labels_of, row, stacked};
use super::problem::{Against, Problem, Run};
use super::state::State;
use super::together;
use crate::control::{Progress, Stop};
use crate::error::{Error, Kind, Result};
use crate::generator::{Input, batch_size};
use crate::latent::Part;
use crate::network::{Encoder, Seen};
use crate::safe::Safe;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Steps between two reports, unless more time has passed.
const REPORT_STEPS: usize = 10;
const REPORT_TIME: Duration = Duration::from_millis(100);

/// Images that are evaluated in one pass: they share phase and generator.
struct Group {
    phase: usize,
    which: Vec<usize>,
}

/// The images of a batch, and where they are.
struct Batch<'p, 'r, 'a> {
    run: &'r Run<'a>,
    problems: &'p [Problem<'r, 'a>],
    states: Vec<State>,
    /// Objectives of the groups of the last evaluation.
    objectives: Vec<(usize, Vec<usize>, Objective<'a>)>,
    reported: Instant,
    saved: Instant,
}

/// Runs the images of a batch to their ends, from their checkpoints if there are any.
pub(super) fn run<'r, 'a>(run: &'r Run<'a>, problems: &[Problem<'r, 'a>]) -> Result<Vec<State>> {
    let mut saved = problems.iter().map(checkpoint::load).collect::<Result<Vec<_>>>()?;
    let step = |saved: &Option<State>| saved.as_ref().map(|state| state.step);
    if run.joined() && saved.iter().any(|other| step(other) != step(&saved[0])) {
        // The work was cut off between two files: pictures that are searched together are at one
        // step.
        saved.iter_mut().for_each(|state| *state = None);
    }
    let states = problems.iter().zip(saved).map(|(p, s)| s.map_or_else(|| State::start(p), Ok));
    run_from(run, problems, states.collect::<Result<Vec<_>>>()?)
}

/// Runs the images of a batch from these states to their ends.
pub(super) fn run_from<'r, 'a>(
    run: &'r Run<'a>,
    problems: &[Problem<'r, 'a>],
    states: Vec<State>,
) -> Result<Vec<State>> {
    let now = Instant::now();
    let objectives = Vec::new();
    let mut batch = Batch { run, problems, states, objectives, reported: now, saved: now };
    while batch.step_or_end()? {}
    run.job.control.keep();
    batch.end();
    Ok(batch.states)
}

impl<'a> Batch<'_, '_, 'a> {
    /// The images that are still running.
    fn going(&self) -> Vec<usize> {
        (0..self.states.len()).filter(|i| !self.states[*i].finished).collect()
    }

    fn phase(&self, k: usize) -> Result<&Phase<'a>> {
        self.run.phases.get(k).ok_or_else(|| Error::runtime("no such phase"))
    }

    /// As [`Self::step`]; a stop in the middle of a step ends the images at their best points.
    fn step_or_end(&mut self) -> Result<bool> {
        match self.step() {
            Err(e) if e.kind() == Kind::Interrupted && self.keeps() => {
                self.end_here();
                Ok(false)
            }
            done => done,
        }
    }

    /// Whether a first Ctrl-C asks to keep the best, and every image has one.
    fn keeps(&self) -> bool {
        self.run.job.control.stop() == Stop::Keep && self.states.iter().all(|s| s.best.is_some())
    }

    /// Ends the images that are still running, as stopped by the user.
    fn end_here(&mut self) {
        for state in self.states.iter_mut().filter(|s| !s.finished) {
            (state.stopped, state.finished) = (Some(state.step), true);
        }
    }

    /// One step of all images that are still running; returns whether there is another.
    fn step(&mut self) -> Result<bool> {
        let which = self.going();
        let found = self.evaluate(&which)?;
        for (&i, e) in which.iter().zip(&found) {
            self.states[i].record(e)?;
        }
        self.report_if_due(&which, &found);
        for (&i, e) in which.iter().zip(&found) {
            self.end_phases(i, e);
        }
        let on: Vec<(usize, Evaluation)> =
            which.into_iter().zip(found).filter(|(i, _)| !self.states[*i].finished).collect();
        if on.is_empty() {
            return Ok(false);
        }
        self.go_on(on)
    }

    /// Ends the phases that have reached their goal or a plateau, and the image where no step is
    /// left.
    fn end_phases(&mut self, i: usize, e: &Evaluation) {
        let state = &mut self.states[i];
        while !state.finished {
            let (phase, taken) = state.acting(self.run);
            let Some(acting) = self.run.phases.get(phase).filter(|p| taken < p.steps) else {
                state.finished = true;
                return;
            };
            let judged = state.judged(e).filter(|_| state.judging(self.run).0 == phase);
            let Some(loss) = judged else { return };
            let reached = acting.until.is_some_and(|goal| loss <= goal);
            if !(reached || acting.plateau.is_some_and(|share| state.flat(share))) {
                return;
            }
            state.phase = phase;
            state.skip_rest(self.run);
        }
    }

    /// Does what is asked of the images that are not at their end.
    fn go_on(&mut self, on: Vec<(usize, Evaluation)>) -> Result<bool> {
        match self.run.job.control.stop() {
            Stop::No => self.advance(on)?,
            Stop::Keep => {
                self.end_here();
                return Ok(false);
            }
            Stop::Abort => {
                let step = on.first().map_or(0, |(i, _)| self.states[*i].step);
                let text = format!("inversion stopped at step {step} of {}", self.run.total());
                return Err(Error::new(Kind::Interrupted, text));
            }
            Stop::Checkpoint => {
                self.advance(on)?;
                return Err(self.stopped_for_later()?);
            }
        }
        let checkpoint = self.run.config.checkpoint.as_ref();
        if checkpoint.is_some_and(|c| self.saved.elapsed() >= c.every) {
            self.save();
            self.saved = Instant::now();
        }
        Ok(true)
    }

    /// Images by phase and by what they search, in their order.
    fn groups(&self, which: &[usize]) -> Vec<Group> {
        let kinds =
            |i: usize| self.states[i].parts.iter().map(|(part, _)| part).collect::<Vec<_>>();
        let spec = self.run.job.generator.spec();
        let most = batch_size(spec.width, spec.height);
        let mut groups: Vec<Group> = Vec::new();
        for &i in which {
            let phase = self.states[i].judging(self.run).0;
            let fits = |g: &&mut Group| {
                g.phase == phase && g.which.first().is_some_and(|first| kinds(*first) == kinds(i))
            };
            match groups.iter_mut().find(|g| g.which.len() < most && fits(g)) {
                Some(group) => group.which.push(i),
                None => groups.push(Group { phase, which: vec![i] }),
            }
        }
        groups
    }

    /// Evaluates these images at their current points; results in their order.
    fn evaluate(&mut self, which: &[usize]) -> Result<Vec<Evaluation>> {
        let groups = self.groups(which);
        self.prepare(&groups)?;
        let mut found: Vec<(usize, Evaluation)> = Vec::with_capacity(which.len());
        for Group { phase, which } in &groups {
            let known = self.objectives.iter().find(|(p, own, _)| (p, own) == (phase, which));
            let Some((_, _, objective)) = known else { continue };
            let phase = self.phase(*phase)?;
            let on = which.iter().any(|i| !self.states[*i].at_end(self.run));
            let points: Vec<Point> = which.iter().map(|i| self.point(*i)).collect();
            let each = evaluate(&points, (phase, objective), on && phase.gradients())?;
            found.extend(which.iter().copied().zip(each));
        }
        let place = |i: usize| which.iter().position(|w| *w == i);
        found.sort_by_key(|(i, _)| place(*i));
        let mut found: Vec<Evaluation> = found.into_iter().map(|(_, e)| e).collect();
        if let Some(&first) = which.first() {
            let phase = self.phase(self.states[first].judging(self.run).0)?;
            together::join(phase, &self.states[first].parts, &mut found)?;
        }
        Ok(found)
    }

    /// Builds the objectives of these groups and drops all others.
    fn prepare(&mut self, groups: &[Group]) -> Result<()> {
        let wanted = |(phase, which, _): &(usize, Vec<usize>, Objective<'a>)| {
            groups.iter().any(|g| (g.phase, &g.which) == (*phase, which))
        };
        self.objectives.retain(wanted);
        for Group { phase, which } in groups {
            if self.objectives.iter().any(|(p, own, _)| (p, own) == (phase, which)) {
                continue;
            }
            let targets = stacked(which.iter().map(|i| &self.problems[*i].picture))?;
            let own = self.phase(*phase)?;
            let counted = which.iter().map(|i| self.states[*i].counted(own));
            let counted = counted.collect::<Result<Option<Vec<Tensor>>>>()?;
            let counted = counted.map(|all| stacked(all.iter())).transpose()?;
            let labels = labels_of(which.iter().map(|i| &self.problems[*i]))?;
            let (counted, labels) = (counted.as_ref(), labels.as_ref());
            let against = Against { targets: &targets, counted, labels };
            let objective = self.run.objective(own, against, true)?;
            self.objectives.push((*phase, which.clone(), objective));
        }
        Ok(())
    }

    fn point(&self, i: usize) -> Point<'_, '_, 'a> {
        let state = &self.states[i];
        let step = state.judging(self.run).1;
        Point { problem: &self.problems[i], parts: &state.parts, step }
    }

    /// Moves to the next points. Images that return to an earlier point between two phases are
    /// evaluated anew, for its gradients.
    fn advance(&mut self, mut on: Vec<(usize, Evaluation)>) -> Result<()> {
        let (mut back, mut held) = (Vec::new(), Vec::new());
        for (i, _) in &on {
            let best = self.states[*i].best.clone();
            if self.states[*i].enter(&self.problems[*i])? {
                back.push(*i);
                held.push(best);
            }
        }
        if !back.is_empty() {
            let anew = self.evaluate(&back);
            if anew.is_err() {
                // A stop keeps the best of the phases before.
                back.iter().zip(held).for_each(|(i, best)| self.states[*i].best = best);
            }
            let mut anew = anew?.into_iter();
            for (i, e) in on.iter_mut().filter(|(i, _)| back.contains(i)) {
                if let Some(fresh) = anew.next() {
                    self.states[*i].begin(&fresh)?;
                    *e = fresh;
                }
            }
        }
        let run = self.run;
        for (k, phase) in run.phases.iter().enumerate() {
            let here: Vec<&(usize, Evaluation)> =
                on.iter().filter(|(i, _)| self.states[*i].phase == k).collect();
            match &phase.mover {
                _ if here.is_empty() => {}
                Mover::Encoder(encoder) => self.refine_all(*encoder, &here)?,
                Mover::Layers(how) => {
                    for (i, e) in here {
                        self.unwind(*i, *how, e)?;
                    }
                }
                Mover::Optimizer(_) => {
                    for (i, e) in here {
                        self.descend(*i, phase, e)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One pass of the encoder for these images, each the next of its own.
    fn refine_all(&mut self, encoder: &dyn Encoder, on: &[&(usize, Evaluation)]) -> Result<()> {
        let mut passes: BTreeMap<usize, Vec<&(usize, Evaluation)>> = BTreeMap::new();
        for one in on {
            passes.entry(self.states[one.0].taken).or_default().push(one);
        }
        for (pass, here) in passes {
            self.refine((encoder, pass), &here)?;
        }
        Ok(())
    }

    /// One pass of the encoder for these images. In W, where there is one row for all layers, the
    /// rows of the pass are averaged.
    fn refine(
        &mut self,
        (encoder, pass): (&dyn Encoder, usize),
        on: &[&(usize, Evaluation)],
    ) -> Result<()> {
        let targets = stacked(on.iter().map(|(i, _)| &self.problems[*i].picture))?;
        let code = stacked(on.iter().map(|(_, e)| e.parts.point()))?;
        let current = stacked(on.iter().map(|(_, e)| &e.picture))?;
        let [current, targets] = self.filled(&current, &targets)?;
        let found = self.found(on)?;
        let seen = Seen { pictures: &targets, current: &current, pass, found: &found };
        let moved = encoder.pass(&seen)?.from(&code)?.detach();
        if moved.dims() != code.dims() {
            let (name, given) = (Safe(encoder.name()), moved.dims());
            return Err(Error::runtime(format!(
                "{name} gives {given:?}, the code is {:?}",
                code.dims()
            ))
            .hint("use the encoder of this generator, or method: optimize"));
        }
        let beside = encoder.beside(&seen)?;
        for (k, (i, _)) in on.iter().enumerate() {
            self.states[*i].parts.insert(Part::Point, row(&moved, k)?);
            for (part, tensor) in &beside {
                self.states[*i].parts.insert(*part, row(&tensor.detach(), k)?);
            }
            self.states[*i].count_step();
        }
        Ok(())
    }

    /// What is beside the codes of these images, each part `[N, …]`.
    fn found(&self, on: &[&(usize, Evaluation)]) -> Result<Vec<(Part, Tensor)>> {
        let Some((_, first)) = on.first() else { return Ok(Vec::new()) };
        let parts = first.parts.iter().map(|(part, _)| part).filter(|part| part.found());
        let each = |part: Part| {
            let all = on.iter().filter_map(|(_, e)| e.parts.get(part));
            Ok((part, stacked(all)?))
        };
        parts.map(each).collect()
    }

    /// Goes from an image's target back to its code.
    fn unwind(&mut self, i: usize, how: Backwards, e: &Evaluation) -> Result<()> {
        let (problem, g) = (&self.problems[i], self.run.job.generator);
        let code = match how {
            Backwards::Exact(tolerance) => {
                let input = Input::labelled(problem.labels.as_ref());
                layerwise::inverted(g, &problem.picture, &input, tolerance)?
            }
            Backwards::Fitted => {
                let [_, target] = self.filled(&e.picture, &problem.picture)?;
                self.run.inverters()?.codes(&target)?.detach()
            }
        };
        self.states[i].parts.insert(Part::Point, code);
        self.states[i].count_step();
        Ok(())
    }

    /// Pictures and targets as they are compared, at full size. Where the mask hides the targets
    /// they show what the generator has made there (after Chai et al. 2021, whose encoder is given
    /// the mask).
    fn filled(&self, current: &Tensor, targets: &Tensor) -> Result<[Tensor; 2]> {
        let [current, targets] = self.run.alike(current, targets)?;
        let Some(mask) = &self.run.mask else { return Ok([current, targets]) };
        let inside = (targets - &current)?.broadcast_mul(mask)?;
        let targets = (&current + inside)?;
        Ok([current, targets])
    }

    /// One move of an image's optimizer.
    fn descend(&mut self, i: usize, phase: &Phase<'_>, e: &Evaluation) -> Result<()> {
        if self.states[i].step_back(&self.problems[i], e)? {
            return Ok(());
        }
        let (mut names, mut at) = (Vec::new(), Vec::new());
        for (part, tensor) in self.states[i].parts.iter() {
            if holds(&self.point(i), phase, part)? {
                names.push(part);
                at.push(tensor.clone());
            }
        }
        let state = &mut self.states[i];
        let rate = state.rate(phase);
        let kept = state.kept_slopes(phase, &names, &e.gradients)?;
        let gradients = kept.as_ref().unwrap_or(&e.gradients);
        let seed = self.problems[i].rng(&format!("optimizer {}", state.phase)).next_u64();
        let worth = Worth { loss: e.total, gradients, rate, seed };
        let Some(optimizer) = &mut state.optimizer else {
            return Err(Error::runtime("the phase has no optimizer"));
        };
        let Some(next) = optimizer.next(&at, &worth)? else {
            state.skip_rest(self.run);
            return Ok(());
        };
        for ((part, moved), at) in names.into_iter().zip(next).zip(at) {
            let step = phase.pace.of(part) * self.run.step_of(part)?;
            let moved = if step == 1.0 { moved } else { (&at + ((moved - &at)? * step)?)? };
            let normal = matches!(part, Part::Noise(_)) && phase.normalise == Normalise::AfterStep;
            state.parts.insert(part, if normal { normalise(&moved)? } else { moved });
        }
        state.count_step();
        Ok(())
    }

    /// Saves the states; a full disk costs the checkpoints, not the work.
    fn save(&mut self) {
        for (problem, state) in self.problems.iter().zip(&mut self.states) {
            state.unsaved = checkpoint::save(problem, state).err().map(|e| e.message().to_owned());
        }
    }

    fn end(&mut self) {
        // With several images or searches a resumed run must find the finished ones.
        if self.run.count > 1 || self.run.config.restarts > 1 {
            self.save();
        }
    }

    fn stopped_for_later(&self) -> Result<Error> {
        for (problem, state) in self.problems.iter().zip(&self.states) {
            checkpoint::save(problem, state)?;
        }
        let step = self.states.iter().map(|s| s.step).min().unwrap_or(0);
        let at = format!("inversion stopped before step {step} of {}", self.run.total());
        Ok(match &self.run.config.checkpoint {
            Some(_) => {
                Error::new(Kind::Resumable, at).hint("run it again: it goes on from its checkpoint")
            }
            None => Error::new(Kind::Resumable, at)
                .hint("run it again: without a checkpoint it starts anew"),
        })
    }

    fn report_if_due(&mut self, which: &[usize], found: &[Evaluation]) {
        let Some(&first) = which.first() else { return };
        let (phase, taken) = self.states[first].acting(self.run);
        let Some(acting) = self.run.phases.get(phase) else { return };
        let step = self.states[first].step;
        let due = acting.encodes()
            || taken == 0
            || step.is_multiple_of(REPORT_STEPS)
            || self.states[first].at_end(self.run);
        let control = self.run.job.control;
        if !control.watched() || !(due || self.reported.elapsed() >= REPORT_TIME) {
            return;
        }
        control.report(self.progress((first, acting), found));
        self.reported = Instant::now();
    }

    /// The part of the work that is done, by what its steps cost, when `before` images are behind.
    fn share_done(&self, before: usize) -> f64 {
        let cost = |p: &Phase<'_>, steps: usize| p.cost() * steps as f64;
        let whole: f64 = self.run.phases.iter().map(|p| cost(p, p.steps)).sum();
        let done = |state: &State| {
            let (phase, taken) = state.acting(self.run);
            let past = self.run.phases.iter().take(phase).map(|p| cost(p, p.steps)).sum::<f64>();
            past + self.run.phases.get(phase).map_or(0.0, |p| cost(p, taken))
        };
        let done = before as f64 * whole + self.states.iter().map(done).sum::<f64>();
        done / (self.run.count as f64 * whole).max(f64::MIN_POSITIVE)
    }

    /// Reports progress. The picture shown comes from the search itself, so watching costs no extra
    /// pass through the generator.
    fn progress(&self, (first, acting): (usize, &Phase<'_>), found: &[Evaluation]) -> Progress {
        let (n, total) = (self.run.count, self.run.total());
        let before = self.problems.first().map_or(0, |p| p.place);
        // The view takes a new title for a new loop: passes and steps have their own pace.
        let which = match (self.states.len(), n) {
            (_, 1) => String::new(),
            (1, n) => format!(" ({} of {n})", before + 1),
            (size, n) => format!(" ({}–{} of {n})", before + 1, before + size),
        };
        let mean = |name: &'static str| {
            let each = found.iter().filter_map(|e| e.terms.iter().find(|(n, _)| *n == name));
            let values: Vec<f64> = each.map(|(_, v)| *v).collect();
            (name, values.iter().sum::<f64>() / values.len().max(1) as f64)
        };
        let names =
            found.first().map(|e| e.terms.iter().map(|(name, _)| *name)).into_iter().flatten();
        Progress {
            title: format!("{} {}{which}", acting.verb, self.run.config.space),
            step: before * total + self.states.iter().map(|s| s.step).sum::<usize>(),
            total: n * total,
            share: self.share_done(before),
            losses: names.map(mean).collect(),
            preview: self.states[first].best.as_ref().map(|b| b.picture.clone()),
        }
    }
}
