//! How long work is watched and stopped: one interrupt check, one progress report.

use candle_core::Tensor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the outside asks of running work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing: go on.
    No,
    /// Stop after this step and keep the best so far (the first Ctrl-C).
    Keep,
    /// Stop and keep nothing (the second Ctrl-C).
    Abort,
    /// Write a checkpoint and end with exit code 75 (SIGTERM, SIGHUP).
    Checkpoint,
}

/// Where running work stands.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What runs: `invert W+`.
    pub title: String,
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub total: usize,
    /// The terms of the loss, by name, each already weighted; `loss` is their sum. Means over the
    /// batch, for display only.
    pub losses: Vec<(&'static str, f64)>,
    /// The best pictures so far, `[N, C, H, W]` in [-1, 1], when one was asked for.
    pub preview: Option<Tensor>,
}

type Listener = dyn Fn(Progress) + Send + Sync;

/// Handed to everything that runs long. Cheap to clone; all clones share the stop signal.
#[derive(Clone, Default)]
pub struct Control {
    stop: Arc<AtomicU8>,
    listener: Option<Arc<Listener>>,
}

impl Control {
    /// A control whose progress reports go to `listener`.
    pub fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { stop: Arc::default(), listener: Some(Arc::new(listener)) }
    }

    /// A control that obeys the same stop signal and reports to a listener of its own: for work
    /// that is a part of this one.
    pub fn part(&self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { stop: self.stop.clone(), listener: Some(Arc::new(listener)) }
    }

    /// What is asked of the work now; asked at every step.
    pub fn stop(&self) -> Stop {
        match self.stop.load(Ordering::Relaxed) {
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
        self.stop.store(code, Ordering::Relaxed);
    }

    /// Whether anybody listens: previews need not be computed otherwise.
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
