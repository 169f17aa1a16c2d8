//! Complete searches from several starts, of which each image keeps its best.

use super::checkpoint;
use super::hash::content_hash;
use super::job::Job;
use super::problem::{Problem, Run};
use super::run;
use super::state::State;
use crate::control::{Progress, Stop};
use crate::error::Result;
use crate::generator::batch_size;
use candle_core::Tensor;

/// The best outcome of every image of `target` `[N, C, R, R]`, over as many searches as `run` has
/// restarts; `run` is the first of them.
pub(super) fn search(run: &Run<'_>, target: &Tensor) -> Result<Vec<State>> {
    let (control, config) = (run.job.control, &run.config);
    let of = config.restarts;
    if of == 1 {
        let found = once(run, target)?;
        checkpoint::remove_all(config, run.count);
        return Ok(found);
    }
    let mut best = Vec::new();
    for k in 0..of {
        if k > 0 && control.stop() == Stop::Keep {
            break;
        }
        let parent = control.clone();
        let all = control.child(move |p| parent.report(overall(p, (k, of))));
        let job = Job { control: if control.watched() { &all } else { control }, ..run.job };
        let found = once(&Run::new(&job, &config.attempt(k), run.count)?, target)?;
        best = match k {
            0 => found,
            _ => best.into_iter().zip(found).map(better).collect(),
        };
    }
    for k in 0..of {
        checkpoint::remove_all(&config.attempt(k), run.count);
    }
    Ok(best)
}

/// One search for all images.
fn once(run: &Run<'_>, target: &Tensor) -> Result<Vec<State>> {
    let spec = run.job.generator.spec();
    let beside = run.joined().then(|| content_hash(target)).transpose()?;
    let size = if run.joined() { run.count } else { batch_size(spec.width, spec.height) };
    let mut outcomes = Vec::with_capacity(run.count);
    for from in (0..run.count).step_by(size) {
        let one = |i: usize| -> Result<Problem<'_, '_>> {
            let own = Problem::new(run, target.narrow(0, i, 1)?.force_contiguous()?, i)?;
            Ok(Problem { beside: beside.clone(), ..own })
        };
        let problems = (from..run.count.min(from + size)).map(one).collect::<Result<Vec<_>>>()?;
        outcomes.extend(run::run(run, &problems)?);
    }
    Ok(outcomes)
}

/// The outcome of the smaller loss; it was stopped where one of both was.
fn better((first, second): (State, State)) -> State {
    let loss = |s: &State| s.best.as_ref().map_or(f64::INFINITY, |b| b.loss);
    let stopped = second.stopped.or(first.stopped);
    let unsaved = second.unsaved.clone().or(first.unsaved.clone());
    let kept = if loss(&second) < loss(&first) { second } else { first };
    State { stopped, unsaved, ..kept }
}

/// The progress of search `k` of `of`, as a part of all.
fn overall(p: Progress, (k, of): (usize, usize)) -> Progress {
    let title = format!("{} · search {} of {of}", p.title, k + 1);
    let share = (k as f64 + p.share) / of.max(1) as f64;
    Progress { title, step: k * p.total + p.step, total: of * p.total, share, ..p }
}
