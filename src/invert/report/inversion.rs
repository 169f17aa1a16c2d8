//! The result of an inversion.

use super::diagnosis::Diagnosis;
use super::number::{Number, own};
use crate::error::Result;
use crate::image::Photograph;
use crate::invert::config::Config;
use crate::invert::hash::content_hash;
use crate::invert::trace::Trace;
use crate::latent::Code;
use candle_core::Tensor;

/// Result of an inversion.
#[derive(Clone, Debug)]
pub struct Inversion {
    /// The codes, with their noise maps where those were searched.
    pub code: Code,
    /// The pictures that they make, `[N, C, H, W]`.
    pub reconstruction: Tensor,
    /// The pictures to reach, `[N, C, H, W]`.
    pub target: Tensor,
    /// The photograph that each target was cut from, where it was; empty where none was.
    pub photographs: Vec<Option<Photograph>>,
    /// The loss over the steps, one an image.
    pub trace: Vec<Trace>,
    /// The loss of the best point, one an image.
    pub loss: Vec<f64>,
    /// The step of the best point, one an image.
    pub best_step: Vec<usize>,
    /// Quality of the reconstruction.
    pub numbers: Vec<Number>,
    /// Diagnosis of the codes.
    pub diagnosis: Diagnosis,
    /// Configuration of the inversion.
    pub config: Config,
    /// One-line description of the method and its settings, for provenance.
    pub how: String,
    /// Wall-clock time of all images; of one that was taken out of several its share.
    pub seconds: f64,
    /// Steps planned, an image: passes of the encoder and gradient steps.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
    /// The step at which the user stopped it, one an image; `None` for finished images.
    pub stopped: Vec<Option<usize>>,
    /// Whether a checkpoint could not be written, of which a warning tells.
    pub unsaved: bool,
    /// Whether it was taken from the cache: its time is that of the computation.
    pub cached: bool,
}

impl Inversion {
    /// How long it took, in words: `12.3 s`, or `12.3 s, cached`.
    pub fn took(&self) -> String {
        format!("{:.1} s{}", self.seconds, if self.cached { ", cached" } else { "" })
    }

    /// The step at which the user stopped it, of the first image that was cut short.
    pub fn stopped_at(&self) -> Option<usize> {
        self.stopped.iter().copied().flatten().next()
    }

    /// One inversion an image, as if it had been inverted alone, except for the time, which is an
    /// equal share.
    ///
    /// # Errors
    /// When a picture cannot be read.
    pub fn parts(&self) -> Result<Vec<Self>> {
        (0..self.code.count()).map(|i| self.of_picture(i)).collect()
    }

    fn of_picture(&self, i: usize) -> Result<Self> {
        let row = |t: &Tensor| -> Result<Tensor> { Ok(t.narrow(0, i, 1)?.force_contiguous()?) };
        let target = row(&self.target)?;
        let number = |n: &Number| {
            let own = n.each.get(i).copied().unwrap_or(n.value);
            Number { value: own, each: vec![own], ..n.clone() }
        };
        Ok(Self {
            code: Code { origin: origin(&self.how, &target)?, ..self.code.slice(i, 1)? },
            reconstruction: row(&self.reconstruction)?,
            target,
            photographs: own(&self.photographs, i),
            trace: own(&self.trace, i),
            loss: own(&self.loss, i),
            best_step: own(&self.best_step, i),
            numbers: self.numbers.iter().map(number).collect(),
            diagnosis: self.diagnosis.of_picture(i),
            seconds: self.seconds / self.code.count() as f64,
            stopped: own(&self.stopped, i),
            config: self.config.clone(),
            how: self.how.clone(),
            ..*self
        })
    }
}

/// Provenance text of a code.
pub(super) fn origin(how: &str, target: &Tensor) -> Result<String> {
    Ok(format!("{how} · target {}", content_hash(target)?.get(..12).unwrap_or("")))
}
