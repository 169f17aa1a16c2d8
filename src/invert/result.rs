//! What an inversion found, and what it means.

use super::descend::{Best, State};
use super::{Config, Job, WStats, content_hash, model_of};
use crate::error::{Error, Result};
use crate::generator::{Input, spaces};
use crate::latent::Latent;
use crate::metric::{Metric, Mse, Psnr, Ssim};
use crate::space::Space;
use candle_core::{DType, Device, Tensor};

/// Rows that a trace keeps at most, about: longer runs keep every k-th step.
const TRACE_ROWS: usize = 1000;
/// Offsets from W, in σ_w, up to which edits stay safe.
const SAFE_OFFSET: f64 = 0.5;
/// Distances from the mean, in σ_w, beyond which a code is no typical sample.
const FAR: f64 = 2.5;
/// Draws that measure the spread of style codes: it only has to tell 2 σ from 3.
const STYLE_SAMPLES: usize = 1000;
/// PSNR in dB under which the picture has not been reached.
const REACHED: f64 = 20.0;

/// The loss of one image over the steps, term by term.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Steps planned.
    pub total: usize,
    /// Names of the terms.
    pub names: Vec<String>,
    /// Which steps were kept: all of a short run, every k-th of a long one, and the last.
    pub steps: Vec<usize>,
    /// The weighted terms of every kept step, in the order of `names`.
    pub terms: Vec<Vec<f64>>,
}

impl Trace {
    /// An empty trace of a run of `total` steps.
    pub fn new(total: usize) -> Self {
        Self { total, names: Vec::new(), steps: Vec::new(), terms: Vec::new() }
    }

    /// Keeps a step, or drops it when it is not one of every k-th.
    pub(super) fn push(&mut self, step: usize, terms: &[(&'static str, f64)]) {
        if self.names.is_empty() {
            self.names = terms.iter().map(|(n, _)| n.to_string()).collect();
        }
        if step.is_multiple_of(self.total / TRACE_ROWS + 1) || step == self.total {
            self.steps.push(step);
            self.terms.push(terms.iter().map(|(_, v)| *v).collect());
        }
    }

    /// The whole loss of every kept step.
    pub fn losses(&self) -> Vec<f64> {
        self.terms.iter().map(|row| row.iter().sum()).collect()
    }
}

/// A number with its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its name: `psnr`.
    pub name: String,
    /// The mean over the images.
    pub value: f64,
    /// One an image.
    pub each: Vec<f64>,
    /// Its unit; may be empty.
    pub unit: String,
    /// What exactly it is.
    pub definition: String,
}

/// What the codes tell about themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// How far the rows of a W+ code lie from W: the root mean square distance from their mean, in
    /// σ_w; one an image. Absent in other spaces.
    pub offsets: Option<Vec<f64>>,
    /// How far the code (its mean row; the w of a z) lies from the mean of w, in σ_w; a typical
    /// sample has about 1. A style code: from the mean of style codes, in their σ.
    pub mean_distance: Vec<f64>,
    /// Spread of w over the prior, σ_w; in S that of the style codes.
    pub sigma: f64,
    /// What to beware of.
    pub warnings: Vec<Warning>,
}

/// Something to beware of, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which of several images it is about, from 0; none where there is one, or all are meant.
    pub image: Option<usize>,
    /// The words.
    pub text: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.image {
            Some(i) => write!(f, "image {}: {}", i + 1, self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What an inversion found.
#[derive(Clone, Debug)]
pub struct Inversion {
    /// The codes, with their noise maps where those were searched.
    pub code: Latent,
    /// The pictures that they make, `[N, C, H, W]`.
    pub reconstruction: Tensor,
    /// The pictures to reach, `[N, C, H, W]`.
    pub target: Tensor,
    /// The loss over the steps, one an image.
    pub trace: Vec<Trace>,
    /// The loss of the best point, one an image.
    pub loss: Vec<f64>,
    /// The step of the best point, one an image.
    pub best_step: Vec<usize>,
    /// How close it came.
    pub numbers: Vec<Number>,
    /// What the codes tell about themselves.
    pub diagnosis: Diagnosis,
    /// What was asked.
    pub config: Config,
    /// How it was found, all that matters in one line, for provenance.
    pub how: String,
    /// Wall-clock time of all images; of one that was taken out of several its share.
    pub seconds: f64,
    /// Steps planned, an image: passes of the encoder and gradient steps.
    pub steps: usize,
    /// The seed.
    pub seed: u64,
    /// The step at which the user stopped it, one an image; none for those that had ended.
    pub stopped: Vec<Option<usize>>,
}

impl Inversion {
    /// The step at which the user stopped it, of the first image that was cut short.
    pub fn stopped_at(&self) -> Option<usize> {
        self.stopped.iter().copied().flatten().next()
    }

    /// Every image's own: what inverting it alone would have given, but for the time, which is an
    /// equal share.
    ///
    /// # Errors
    /// When a picture cannot be read.
    pub fn parts(&self) -> Result<Vec<Self>> {
        (0..self.code.count()).map(|i| self.part(i)).collect()
    }

    fn part(&self, i: usize) -> Result<Self> {
        let row = |t: &Tensor| -> Result<Tensor> { Ok(t.narrow(0, i, 1)?.force_contiguous()?) };
        let target = row(&self.target)?;
        let number = |n: &Number| {
            let own = n.each.get(i).copied().unwrap_or(n.value);
            Number { value: own, each: vec![own], ..n.clone() }
        };
        Ok(Self {
            code: Latent { origin: origin(&self.how, &target)?, ..self.code.part(i, 1)? },
            reconstruction: row(&self.reconstruction)?,
            target,
            trace: own(&self.trace, i),
            loss: own(&self.loss, i),
            best_step: own(&self.best_step, i),
            numbers: self.numbers.iter().map(number).collect(),
            diagnosis: self.diagnosis.part(i),
            seconds: self.seconds / self.code.count() as f64,
            stopped: own(&self.stopped, i),
            config: self.config.clone(),
            how: self.how.clone(),
            ..*self
        })
    }
}

impl Diagnosis {
    fn part(&self, i: usize) -> Self {
        let about = |w: &&Warning| w.image.is_none_or(|image| image == i);
        Self {
            offsets: self.offsets.as_ref().map(|all| own(all, i)),
            mean_distance: own(&self.mean_distance, i),
            sigma: self.sigma,
            warnings: self
                .warnings
                .iter()
                .filter(about)
                .map(|w| Warning { image: None, ..w.clone() })
                .collect(),
        }
    }
}

/// What a list with one an image says of image `i`.
fn own<T: Clone>(all: &[T], i: usize) -> Vec<T> {
    all.get(i).cloned().into_iter().collect()
}

/// What a code says of where it comes from.
fn origin(how: &str, target: &Tensor) -> Result<String> {
    Ok(format!("{how} · target {}", content_hash(target)?.get(..12).unwrap_or("")))
}

/// Puts the images' outcomes together.
pub(super) fn assemble(
    job: &Job,
    config: &Config,
    stats: &WStats,
    target: &Tensor,
    outcomes: Vec<State>,
) -> Result<Inversion> {
    let nothing = || Error::runtime("an inversion ended without any point");
    let best = outcomes
        .iter()
        .map(|s| s.best.as_ref().ok_or_else(nothing))
        .collect::<Result<Vec<&Best>>>()?;
    let stack = |f: &dyn Fn(&Best) -> Tensor| {
        Tensor::cat(&best.iter().map(|b| f(b)).collect::<Vec<_>>(), 0)
    };
    let code = stack(&|b| b.code.clone())?;
    let maps = best.first().map_or(0, |b| b.maps.len());
    let noise =
        (0..maps).map(|i| Ok(stack(&|b| b.maps[i].clone())?)).collect::<Result<Vec<Tensor>>>()?;
    let reconstruction = stack(&|b| b.picture.clone())?;
    let space = match (config.space, code.rank()) {
        (Space::N, 3) => Space::WPlus,
        (Space::N, _) => Space::W,
        (space, _) => space,
    };
    let by = job
        .encoder
        .filter(|_| config.method.encodes())
        .map(|e| format!(" · {}", e.name()))
        .unwrap_or_default();
    let how = format!("{}{by}", config.describe()?);
    let code = Latent {
        space,
        data: code,
        model: Some(model_of(job.generator)),
        noise: (maps > 0).then_some(noise),
        labels: job.labels.cloned(),
        origin: origin(&how, target)?,
    };
    let numbers = measure(job, &reconstruction, target)?;
    let mut diagnosis = diagnose(job, stats, &code)?;
    warn(&mut diagnosis, (job, config), &numbers, &outcomes);
    Ok(Inversion {
        reconstruction,
        target: target.clone(),
        loss: best.iter().map(|b| b.loss).collect(),
        best_step: best.iter().map(|b| b.step).collect(),
        stopped: outcomes.iter().map(|s| s.stopped).collect(),
        trace: outcomes.into_iter().map(|s| s.trace).collect(),
        code,
        numbers,
        diagnosis,
        config: config.clone(),
        how,
        seconds: 0.0,
        steps: config.passes_taken() + config.steps_taken(),
        seed: config.seed,
    })
}

fn measure(job: &Job, a: &Tensor, b: &Tensor) -> Result<Vec<Number>> {
    let mut metrics: Vec<&dyn Metric> = vec![&Psnr, &Mse];
    if a.dims()[2..].iter().all(|&side| side >= 11) {
        metrics.insert(1, &Ssim);
    }
    if let Some(p) = job.perceptual {
        metrics.push(p);
    }
    let number = |m: &dyn Metric| {
        let each = m.measure(a, b)?;
        Ok(Number {
            name: m.name().into(),
            value: each.iter().sum::<f64>() / each.len().max(1) as f64,
            each,
            unit: m.unit().into(),
            definition: m.definition(),
        })
    };
    metrics.into_iter().map(number).collect()
}

fn diagnose(job: &Job, stats: &WStats, code: &Latent) -> Result<Diagnosis> {
    let of_styles = match code.space {
        Space::S => Some(WStats::in_space(job.generator, job.labels, STYLE_SAMPLES, Space::S)?),
        _ => None,
    };
    let stats = of_styles.as_ref().unwrap_or(stats);
    let w = match code.space {
        Space::Z => {
            let input = Input::labelled(job.labels);
            let to = job.generator.spec().dims().usual();
            spaces::rise(job.generator, &code.data, (Space::Z, to), &input)?
        }
        _ => code.data.clone(),
    };
    let rows = if w.rank() == 2 { w.unsqueeze(1)? } else { w }; // [NLD]
    let rows = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec3::<f64>()?;
    let mean = stats.mean.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    let sigma = stats.sigma.max(f64::MIN_POSITIVE);
    let (mut offsets, mut mean_distance) = (Vec::new(), Vec::new());
    for layers in &rows {
        let n = layers.len().max(1) as f64;
        let centre: Vec<f64> =
            (0..mean.len()).map(|d| layers.iter().map(|r| r[d]).sum::<f64>() / n).collect();
        let square =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        offsets.push((layers.iter().map(|r| square(r, &centre)).sum::<f64>() / n).sqrt() / sigma);
        mean_distance.push(square(&centre, &mean).sqrt() / sigma);
    }
    let offsets = (code.space == Space::WPlus).then_some(offsets);
    Ok(Diagnosis { offsets, mean_distance, sigma: stats.sigma, warnings: Vec::new() })
}

fn warn(
    diagnosis: &mut Diagnosis,
    (job, config): (&Job, &Config),
    numbers: &[Number],
    outcomes: &[State],
) {
    let dims = job.generator.spec().dims();
    let mut say = |i: usize, text: String| {
        let image = (outcomes.len() > 1).then_some(i);
        diagnosis.warnings.push(Warning { image, text });
    };
    for (i, state) in outcomes.iter().enumerate() {
        if let Some(why) = &state.unsaved {
            say(i, format!("no checkpoint was kept: {why}"));
        }
        if let Some(step) = state.diverged {
            say(
                i,
                format!(
                    "the loss was no longer finite at step {step}; kept is the best before: use a smaller lr"
                ),
            );
        }
    }
    for (i, offset) in
        diagnosis.offsets.iter().flatten().enumerate().filter(|(_, o)| **o > SAFE_OFFSET)
    {
        say(
            i,
            format!(
                "offsets from W: {offset:.2} σ; edits stay safe below {SAFE_OFFSET}: raise `offset` or use W"
            ),
        );
    }
    let mean = match config.space {
        Space::S => "its styles",
        Space::Z if !dims.has(Space::W) => "z",
        _ => "w",
    };
    for (i, far) in diagnosis.mean_distance.iter().enumerate().filter(|(_, d)| **d > FAR) {
        say(
            i,
            format!(
                "the code lies {far:.1} σ from the mean of {mean}: outside what the generator was trained on"
            ),
        );
    }
    let useless = |s: &State| {
        config.passes_taken() > 0
            && s.stopped.is_none()
            && s.best.as_ref().is_some_and(|b| b.step == 0)
    };
    for (i, _) in outcomes.iter().enumerate().filter(|(_, s)| useless(s)) {
        say(i, "no pass of the encoder came nearer than the start, which is kept: try method: optimize".into());
    }
    let psnr = numbers.iter().find(|n| n.name == "psnr");
    for (i, db) in psnr.iter().flat_map(|n| &n.each).enumerate().filter(|(_, p)| **p < REACHED) {
        let wider = match config.space {
            Space::Z if dims.has(Space::W) => "; try W or W+",
            Space::W => "; try W+",
            _ => "",
        };
        say(
            i,
            format!(
                "the picture is not reached (PSNR {db:.1} dB): perhaps out of the generator's range{wider}"
            ),
        );
    }
}
