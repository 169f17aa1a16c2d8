//! Parts that the benchmarks of inversion share: their inputs, a single inversion, the comparison
//! of two pictures, and the loop over the people.

use super::memory;
use super::pairs::{Pairs, Person, Version};
use super::plan::Calibrated;
use super::read::{Reader, Seen};
use super::row::Closeness;
use crate::control::{Control, Progress, Stop};
use crate::error::{Error, Kind, Result};
use crate::generator::Generator;
use crate::invert::{Config, Job, Statistics, invert};
use crate::lang::types::Companion;
use crate::latent::Code;
use crate::metric::{Metric, Perceptual, Psnr, Ssim};
use crate::network::Encoder;
use candle_core::Tensor;

/// Sides below this are too small for the window of SSIM.
const SSIM_SIDE: usize = 11;

/// Inputs of a benchmark.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The generator.
    pub generator: &'a dyn Generator,
    /// The network of the perceptual distance, in the loss and as a metric.
    pub perceptual: Option<&'a Perceptual>,
    /// The encoder that the generator brings.
    pub encoder: Option<&'a dyn Encoder>,
    /// The networks that it brings to run after the encoder, those that a method asks for.
    pub companions: &'a [(Companion, &'a dyn Encoder)],
    /// Reads attributes and identity.
    pub reader: Option<&'a dyn Reader>,
    /// The directions with their calibration, for edits.
    pub directions: &'a [Calibrated],
    /// Statistics of w, when they are known already.
    pub stats: Option<Statistics<'a>>,
    /// Stop signal and progress.
    pub control: &'a Control,
}

/// Results of a benchmark.
#[derive(Clone, Debug)]
pub struct Outcome<R> {
    /// The rows of the table.
    pub rows: Vec<R>,
    /// Notes on the results: omissions with reasons, definitions.
    pub notes: Vec<String>,
    /// People in the rows.
    pub people: usize,
    /// Whether it was stopped before all people were through; the rows hold whole people only.
    pub stopped: bool,
}

/// A picture and what the reader saw in it.
pub(super) struct Shown {
    pub picture: Tensor,
    pub seen: Option<Seen>,
}

impl Shown {
    /// Cosine of the identity embeddings; `None` where one is not read.
    pub fn identity_with(&self, other: &Self) -> Option<f64> {
        let embedding = |s: &Self| s.seen.as_ref().and_then(|s| s.identity.clone());
        let (a, b) = (embedding(self)?, embedding(other)?);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        Some(dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt().max(f64::MIN_POSITIVE))
    }
}

/// A picture found by an inversion, with its code.
pub(super) struct Found {
    pub code: Code,
    pub shown: Shown,
    /// Distance of the layers of a W+ code from each other, in σ of w.
    pub offset: Option<f64>,
    /// NSCD of the code's styles.
    pub nscd: Option<f64>,
    /// The step of the best point.
    pub best: usize,
    pub seconds: f64,
    /// Peak resident memory of the process meanwhile, MiB.
    pub memory: Option<f64>,
}

impl Bench<'_> {
    /// Refuses the generators that the labels say too little of.
    pub(super) fn check(&self) -> Result<()> {
        if self.generator.spec().classes() == 0 {
            return Ok(());
        }
        Err(Error::runtime("the labels say nothing of the classes of a conditional generator")
            .hint("take an unconditional one"))
    }

    /// A true picture at the generator's size.
    pub(super) fn truth(&self, pairs: &Pairs, version: &Version) -> Result<Shown> {
        let spec = self.generator.spec();
        self.shown(pairs.picture(
            version,
            spec.channels,
            spec.width.max(spec.height),
            self.generator.device(),
        )?)
    }

    /// The network that a method runs after the encoder.
    fn companion(&self, config: &Config) -> Option<&dyn Encoder> {
        let kind = config.companion()?;
        self.companions.iter().find(|(own, _)| *own == kind).map(|(_, network)| *network)
    }

    pub(super) fn shown(&self, picture: Tensor) -> Result<Shown> {
        let seen = match self.reader {
            Some(r) => r.read(&picture)?.pop(),
            None => None,
        };
        Ok(Shown { picture, seen })
    }

    /// `None` when it was stopped, as a partial result is not the method's. Progress goes to
    /// `control`.
    pub(super) fn invert(
        &self,
        target: &Tensor,
        config: &Config,
        control: &Control,
    ) -> Result<Option<Found>> {
        let job = Job {
            perceptual: self.perceptual,
            encoder: self.encoder,
            companion: self.companion(config),
            stats: self.stats,
            ..Job::new(self.generator, control)
        };
        let measurable = memory::forget() && self.generator.device().is_cpu();
        let found = invert(&job, target, config);
        let memory = if measurable { memory::peak() } else { None };
        match self.control.stop() {
            Stop::No => {}
            Stop::Keep | Stop::Checkpoint => return Ok(None),
            Stop::Abort => return Err(Error::new(Kind::Interrupted, "stopped; no rows were kept")),
        }
        let found = found?;
        Ok(Some(Found {
            shown: self.shown(found.reconstruction.clamp(-1f32, 1f32)?)?,
            offset: found.diagnosis.offsets.and_then(|o| o.first().copied()),
            nscd: found.diagnosis.nscd.and_then(|(each, _)| each.first().copied()),
            memory,
            best: found.best_step.first().copied().unwrap_or(0),
            seconds: found.seconds,
            code: found.code,
        }))
    }

    pub(super) fn close(&self, a: &Tensor, b: &Tensor) -> Result<Closeness> {
        let wide = a.dims()[2..].iter().all(|&side| side >= SSIM_SIDE);
        Ok(Closeness {
            psnr: measure(&Psnr, a, b)?,
            ssim: wide.then(|| measure(&Ssim, a, b)).transpose()?,
            perceptual: self.perceptual.map(|p| measure(p, a, b)).transpose()?,
        })
    }
}

/// A metric of one pair of pictures.
pub(super) fn measure(metric: &dyn Metric, a: &Tensor, b: &Tensor) -> Result<f64> {
    let found = metric.measure(a, b)?;
    found.first().copied().ok_or_else(|| Error::runtime("a metric of no pictures"))
}

/// Measurements of the people who are complete.
pub(super) struct Gathered<T> {
    /// Samples by row.
    pub samples: Vec<Vec<T>>,
    pub people: usize,
    pub stopped: bool,
}

/// Takes the first `limit` people one after the other. `person` receives the number of people done
/// and the total; it returns samples with the numbers of their rows, or `None` when it was stopped
/// before it was complete.
pub(super) fn gather<T>(
    pairs: &Pairs,
    limit: Option<usize>,
    rows: usize,
    mut person: impl FnMut(&Person, (usize, usize)) -> Result<Option<Vec<(usize, T)>>>,
) -> Result<Gathered<T>> {
    let people = &pairs.people[..pairs.people.len().min(limit.unwrap_or(usize::MAX))];
    let mut samples: Vec<Vec<T>> = (0..rows).map(|_| Vec::new()).collect();
    for (i, one) in people.iter().enumerate() {
        let Some(found) = person(one, (i, people.len()))? else {
            return Ok(Gathered { samples, people: i, stopped: true });
        };
        for (row, sample) in found {
            samples[row].push(sample);
        }
    }
    Ok(Gathered { samples, people: people.len(), stopped: false })
}

/// The progress of the whole benchmark, updated at every report of an inversion.
pub(super) struct Pace {
    title: String,
    /// Weights of this person's inversions, and of those that have begun.
    own: usize,
    begun: usize,
    place: (usize, usize),
}

impl Pace {
    /// Progress of one person, whose inversions have the total weight `own`; `place` is the number
    /// of people done and their total.
    pub fn new(what: &str, own: usize, place: (usize, usize)) -> Self {
        let title = format!("{what}: person {} of {}", place.0 + 1, place.1);
        Self { title, own: own.max(1), begun: 0, place }
    }

    /// A control for the next inversion, whose steps are a part of the whole: as much as it weighs.
    pub fn next(&mut self, whole: &Control, weight: usize) -> Control {
        let ((person, people), own, begun) = (self.place, self.own, self.begun);
        self.begun += weight;
        if !whole.watched() {
            return whole.clone();
        }
        let (title, to) = (self.title.clone(), whole.clone());
        whole.child(move |p: Progress| {
            // People may differ in their inversions; this one's represent all of them.
            let done = person * own + begun;
            let (step, total) = (done + weight * p.step / p.total.max(1), people * own);
            let share = (done as f64 + weight as f64 * p.share) / total.max(1) as f64;
            to.report(Progress { title: title.clone(), step, total, share, ..p });
        })
    }
}
