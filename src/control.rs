//! Control of long work: one stop check, one budget of steps, one progress report.
//!
//! [`check`] uses the control of the work that this thread does, so a loop deep in a codec
//! or a metric can stop without a control among its arguments. [`Control::enter`] sets that
//! control; outside of any work the check does nothing.

use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use candle_core::Tensor;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// Request to running work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Continue.
    No,
    /// Stop after this step and keep the best so far (the first Ctrl-C).
    Keep,
    /// Stop and discard the result (the second Ctrl-C).
    Abort,
    /// Write a checkpoint and end with exit code 75 (SIGTERM, SIGHUP).
    Checkpoint,
}

/// The progress of running work.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Name of the work: `invert W+`.
    pub title: String,
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub total: usize,
    /// The part of the work that is done, 0 to 1. Steps of different phases take different times:
    /// this counts them by what they cost.
    pub share: f64,
    /// The terms of the loss, by name, each already weighted; `loss` is their sum. Means over the
    /// batch, for display only.
    pub losses: Vec<(&'static str, f64)>,
    /// The best pictures so far, `[N, C, H, W]` in [-1, 1], when a preview was requested.
    pub preview: Option<Tensor>,
}

impl Progress {
    /// The progress of work whose steps all cost the same, without losses and previews.
    pub fn new(title: String, (step, total): (usize, usize)) -> Self {
        let share = step as f64 / total.max(1) as f64;
        Self { title, step, total, share, losses: Vec::new(), preview: None }
    }
}

type Listener = dyn Fn(Progress) + Send + Sync;

/// State that all clones of a control share.
struct Shared {
    stop: AtomicU8,
    /// Whether the work has a result that a first Ctrl-C must not lose.
    kept: AtomicBool,
    /// Steps that the statement may still take.
    fuel: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self { stop: AtomicU8::new(0), kept: false.into(), fuel: LIMITS.fuel.into() }
    }
}

/// Handed to everything that runs long. Cheap to clone; all clones share the stop signal and the
/// budget of steps.
#[derive(Clone, Default)]
pub struct Control {
    shared: Arc<Shared>,
    listener: Option<Arc<Listener>>,
}

impl Control {
    /// A control whose progress reports go to `listener`.
    pub fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { shared: Arc::default(), listener: Some(Arc::new(listener)) }
    }

    /// A control for a part of this work: it shares the stop signal and the budget, and reports to
    /// another listener.
    pub fn child(&self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { shared: self.shared.clone(), listener: Some(Arc::new(listener)) }
    }

    /// The current request; polled at every step.
    pub fn stop(&self) -> Stop {
        match self.shared.stop.load(Relaxed) {
            0 => Stop::No,
            1 => Stop::Keep,
            2 => Stop::Abort,
            _ => Stop::Checkpoint,
        }
    }

    /// Asks the work to stop.
    pub fn request(&self, stop: Stop) {
        let code = match stop {
            Stop::No => 0,
            Stop::Keep => 1,
            Stop::Abort => 2,
            Stop::Checkpoint => 3,
        };
        self.shared.stop.store(code, Relaxed);
    }

    /// Declares that the work has a result worth keeping. After this the first Ctrl-C no longer
    /// makes [`Control::check`] fail, so that the result can still be named, shown and saved.
    pub fn keep(&self) {
        self.shared.kept.store(true, Relaxed);
    }

    /// Begins a statement with the whole budget of [`LIMITS`]`.fuel` and no result to keep.
    pub fn refuel(&self) {
        self.shared.kept.store(false, Relaxed);
        self.shared.fuel.store(LIMITS.fuel, Relaxed);
    }

    /// The stop check of work without a partial result to keep. Costs an atomic load; loops call it
    /// at least ten times a second. Loops with a partial result read [`Control::stop`] instead.
    ///
    /// # Errors
    /// `Interrupted` when the work is asked to stop; after [`Control::keep`] not at the first
    /// Ctrl-C.
    pub fn check(&self) -> Result<()> {
        match self.stop() {
            Stop::No => Ok(()),
            Stop::Keep if self.shared.kept.load(Relaxed) => Ok(()),
            _ => Err(Error::new(Kind::Interrupted, "stopped")),
        }
    }

    /// Takes steps from the statement's budget, and makes the stop check.
    ///
    /// # Errors
    /// `Limit` when the budget is used up; as [`Control::check`].
    pub fn spend(&self, steps: u64) -> Result<()> {
        let left = self.shared.fuel.load(Relaxed);
        let Some(left) = left.checked_sub(steps) else {
            let text = format!("the statement took more than {} steps", LIMITS.fuel);
            return Err(Error::new(Kind::Limit, text).hint("make its lists shorter"));
        };
        self.shared.fuel.store(left, Relaxed);
        self.check()
    }

    /// Makes this the control that [`check`] asks on this thread, until the guard
    /// drops.
    pub fn enter(&self) -> Entered {
        Entered(CURRENT.with(|c| c.replace(Some(self.clone()))))
    }

    /// Whether progress is shown: previews need not be computed otherwise.
    pub fn watched(&self) -> bool {
        self.listener.is_some()
    }

    /// Reports progress.
    pub fn report(&self, progress: Progress) {
        if let Some(l) = &self.listener {
            l(progress);
        }
    }
}

thread_local! {
    /// The control of the work that this thread does.
    static CURRENT: RefCell<Option<Control>> = const { RefCell::new(None) };
}

/// Restores the thread's previous control when dropped.
pub struct Entered(Option<Control>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with(|c| c.replace(self.0.take()));
    }
}

/// The stop check of the work that this thread does.
///
/// # Errors
/// As [`Control::check`].
pub fn check() -> Result<()> {
    CURRENT.with(|c| c.borrow().as_ref().map_or(Ok(()), Control::check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stop_counts_and_a_first_one_spares_what_is_kept() {
        let control = Control::default();
        let kind = |c: &Control| c.check().err().map(|e| e.kind());
        for stop in [Stop::Keep, Stop::Abort, Stop::Checkpoint] {
            control.refuel();
            control.request(stop);
            assert_eq!(kind(&control), Some(Kind::Interrupted), "{stop:?}");
            control.keep();
            assert_eq!(kind(&control).is_none(), stop == Stop::Keep, "{stop:?}");
        }
    }

    #[test]
    fn the_budget_is_one_for_all_clones_and_new_for_every_statement() {
        let control = Control::default();
        control.spend(LIMITS.fuel - 1).unwrap();
        let child = control.child(|_| {});
        child.spend(1).unwrap();
        assert_eq!(control.spend(1).unwrap_err().kind(), Kind::Limit);
        control.refuel();
        child.spend(1).unwrap();
    }

    #[test]
    fn a_thread_asks_the_control_that_it_entered_last() {
        check().unwrap();
        let (outer, inner) = (Control::default(), Control::default());
        let _outer = outer.enter();
        outer.request(Stop::Abort);
        {
            let _inner = inner.enter();
            check().unwrap();
        }
        assert!(check().is_err());
        assert!(std::thread::spawn(check).join().unwrap().is_ok(), "another thread's work");
    }
}
