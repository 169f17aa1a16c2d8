//! Statistics of w for one run, drawn when something first needs them.

use super::job::Job;
use super::stats::{PROJECTOR_SAMPLES, WStats};
use crate::error::Result;
use std::cell::OnceCell;

/// The statistics of w of a job's generator.
pub(super) struct Prior<'a> {
    job: Job<'a>,
    w: OnceCell<WStats>,
}

impl<'a> Prior<'a> {
    pub fn new(job: &Job<'a>) -> Self {
        Self { job: *job, w: OnceCell::new() }
    }

    /// Mean and spread of w: those that the caller knows, or of 10,000 draws.
    ///
    /// # Errors
    /// When the mapping fails, and for a generator without W.
    pub fn w(&self) -> Result<&WStats> {
        if let Some(known) = self.w.get() {
            return Ok(known);
        }
        let known = self.job.stats.map_or(Ok(None), |ask| ask())?;
        let stats = match known {
            Some(stats) => stats,
            None => WStats::of(self.job.generator, self.job.labels, PROJECTOR_SAMPLES)?,
        };
        Ok(self.w.get_or_init(|| stats))
    }
}
