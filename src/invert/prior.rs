//! Statistics of w for one run, drawn when something first needs them.

use super::job::Job;
use super::stats::{PROJECTOR_SAMPLES, WStats};
use crate::error::Result;
use crate::generator::spaces::{self, Draw};
use crate::generator::whitening::Whitening;
use candle_core::{DType, Device};
use std::cell::OnceCell;

/// Seed of the draws: the statistics belong to the generator, not to a run.
const SEED: u64 = 123;

/// The statistics of w of a job's generator.
pub(super) struct Prior<'a> {
    job: Job<'a>,
    w: OnceCell<WStats>,
    gaussian: OnceCell<Whitening>,
}

impl<'a> Prior<'a> {
    pub fn new(job: &Job<'a>) -> Self {
        Self { job: *job, w: OnceCell::new(), gaussian: OnceCell::new() }
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

    /// The whitening of w by its mean and covariance over 10,000 draws.
    ///
    /// # Errors
    /// When the mapping fails, for a generator without W, and when all samples are alike.
    pub fn gaussian(&self) -> Result<&Whitening> {
        if let Some(known) = self.gaussian.get() {
            return Ok(known);
        }
        let g = self.job.generator;
        let labels = self.job.labels_of(0)?;
        let draw = Draw { seed: SEED, labels: labels.as_ref(), ..Draw::default() };
        let w = spaces::sample(g, PROJECTOR_SAMPLES, draw)?;
        let rows = w.point().to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let rows = rows.flatten_all()?.to_vec1::<f32>()?;
        let fresh = Whitening::of(&rows, g.spec().w_dim, g.device())?;
        Ok(self.gaussian.get_or_init(|| fresh))
    }
}
