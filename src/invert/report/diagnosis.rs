//! Diagnosis of the codes found, with warnings.

use super::number::{Number, own};
use crate::error::Result;
use crate::generator::spaces;
use crate::invert::problem::Run;
use crate::invert::state::State;
use crate::invert::stats::{Distance, SAFE_OFFSET, WStats};
use crate::latent::Code;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};

/// Distance from the mean, in σ_w, beyond which a code is not a typical sample.
const FAR: f64 = 2.5;
/// Draws that measure the spread of style codes: enough to distinguish 2 σ from 3.
const STYLE_SAMPLES: usize = 1000;
/// PSNR in dB under which the picture has not been reached.
const REACHED: f64 = 20.0;

/// Diagnosis of the codes found.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Distance of the rows of a W+ code from W: the root mean square distance from their mean, in
    /// σ_w; one an image. Those of a PN+ code as one of W+. Absent in other spaces.
    pub offsets: Option<Vec<f64>>,
    /// How far the code (its mean row) lies from the mean of w, in σ_w; a typical sample has about
    /// 1; codes of PN and PN+ are measured in W. A style code: from the mean of style codes, in their
    /// σ. A z: from 0, in √z_dim.
    pub mean_distance: Vec<f64>,
    /// NSCD of the code's styles ([`crate::generator::alignment`]), and that of a typical sample;
    /// `None` for a generator without styles.
    pub nscd: Option<(Vec<f64>, f64)>,
    /// The σ that these distances are in.
    pub sigma: f64,
    /// Warnings about the result.
    pub warnings: Vec<Warning>,
}

/// Something to beware of, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Index of the image that it is about; `None` when there is one image or it concerns all.
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

impl Diagnosis {
    pub(super) fn of_picture(&self, i: usize) -> Self {
        let about = |w: &&Warning| w.image.is_none_or(|image| image == i);
        Self {
            offsets: self.offsets.as_ref().map(|all| own(all, i)),
            mean_distance: own(&self.mean_distance, i),
            nscd: self.nscd.as_ref().map(|(each, typical)| (own(each, i), *typical)),
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

/// Mean and spread of the codes of a space over the prior.
fn spread(run: &Run<'_>, code: &Code) -> Result<(Tensor, f64)> {
    let spec = run.job.generator.spec();
    let of = |stats: &WStats| (stats.mean.clone(), stats.sigma);
    Ok(match code.space {
        Space::Z => {
            let mean = Tensor::zeros(spec.z_dim, DType::F32, &Device::Cpu)?;
            (mean, (spec.z_dim as f64).sqrt())
        }
        Space::S => {
            of(&WStats::in_space(run.job.generator, run.job.labels, STYLE_SAMPLES, Space::S)?)
        }
        _ => of(run.prior.w()?),
    })
}

/// NSCD of the codes, and that of samples.
fn alignment(run: &Run<'_>, code: &Code) -> Result<Option<(Vec<f64>, f64)>> {
    let generator = run.job.generator;
    let Some(directions) = generator.style_directions()? else { return Ok(None) };
    let styles = spaces::lift(generator, code, Space::S)?;
    let each = directions.distance(styles.point())?.to_dtype(DType::F64)?.to_vec1()?;
    Ok(Some((each, directions.typical)))
}

/// Compares the codes with samples of the prior.
pub(super) fn diagnose(run: &Run<'_>, code: &Code) -> Result<Diagnosis> {
    let nscd = alignment(run, code)?;
    let code = &spaces::lift(run.job.generator, code, code.space.base())?;
    let (mean, sigma) = spread(run, code)?;
    let distances = Distance::of(code.point(), (&mean, sigma))?;
    let mean_distance = distances.iter().map(|d| d.from_mean).collect();
    let offsets = distances.iter().map(|d| d.offset).collect();
    let offsets = (code.space == Space::WPlus).then_some(offsets);
    Ok(Diagnosis { offsets, mean_distance, nscd, sigma, warnings: Vec::new() })
}

/// Says what to beware of.
pub(super) fn warn(
    diagnosis: &mut Diagnosis,
    run: &Run<'_>,
    numbers: &[Number],
    outcomes: &[State],
) {
    let config = &run.config;
    let of = |i: usize| (outcomes.len() > 1).then_some(i);
    let mut say = |image: Option<usize>, text: String| {
        diagnosis.warnings.push(Warning { image, text });
    };
    for (i, state) in outcomes.iter().enumerate() {
        if let Some(why) = &state.unsaved {
            say(of(i), format!("no checkpoint was kept: {why}"));
        }
        if let Some(report) = state.optimizer.as_ref().and_then(|o| o.report()) {
            say(of(i), report);
        }
        if let Some(step) = state.diverged {
            say(
                of(i),
                format!(
                    "the loss was no longer finite at step {step}; kept is the best before: use a \
                     smaller lr"
                ),
            );
        }
    }
    if run.phases.iter().any(|phase| phase.unknowns.corruption) {
        say(
            None,
            "the numbers compare the target with the reconstruction after what was found to have \
             happened to it; the one shown is clean"
                .into(),
        );
    }
    for (i, offset) in
        diagnosis.offsets.iter().flatten().enumerate().filter(|(_, o)| **o > SAFE_OFFSET)
    {
        say(
            of(i),
            format!(
                "offsets from W: {offset:.2} σ; edits stay safe below {SAFE_OFFSET}: raise \
                 `offset` or use W"
            ),
        );
    }
    let mean = match config.space {
        Space::S => "its styles",
        Space::Z => "z",
        _ => "w",
    };
    for (i, far) in diagnosis.mean_distance.iter().enumerate().filter(|(_, d)| **d > FAR) {
        say(
            of(i),
            format!(
                "the code lies {far:.1} σ from the mean of {mean}: outside what the generator was \
                 trained on"
            ),
        );
    }
    let useless = |s: &State| {
        config.passes_taken() > 0
            && s.stopped.is_none()
            && s.best.as_ref().is_some_and(|b| b.step == 0)
    };
    for (i, _) in outcomes.iter().enumerate().filter(|(_, s)| useless(s)) {
        say(
            of(i),
            "no pass of the encoder came nearer than the start, which is kept: try method: \
                optimize"
                .into(),
        );
    }
    // Pixels outside the mask need not be reproduced.
    let psnr = numbers.iter().rev().find(|n| n.name.starts_with("psnr"));
    for (i, db) in psnr.iter().flat_map(|n| &n.each).enumerate().filter(|(_, p)| **p < REACHED) {
        let wider = match config.space {
            _ if run.phases.iter().any(|p| p.unknowns.weights.is_some()) => "",
            Space::Z | Space::W => "; try W+, or method: pti",
            _ => "; method: pti comes nearer",
        };
        say(
            of(i),
            format!(
                "the picture is not reached (PSNR {db:.1} dB): perhaps out of the generator's \
                 range{wider}"
            ),
        );
    }
}
