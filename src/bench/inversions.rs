//! Quality of inversions of held-out people's pictures: a row for every method, space and number of
//! steps.

use super::pairs::Pairs;
use super::row::{Closeness, cell, mean, standard_error, table_of};
use super::setting::Setting;
use super::shared::{Bench, Outcome, Pace, gather};
use crate::error::Result;
use crate::invert::Config;
use crate::metric::{Metric, Psnr, Ssim};
use crate::value::{Cell, Table};

/// Request besides the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// People at most, the first ones.
    pub limit: Option<usize>,
    /// Passes of the encoder where a setting names none, instead of its own number.
    pub passes: Option<usize>,
    /// Seed of everything random.
    pub seed: u64,
}

/// Measurements of one person; `None` where a value cannot be measured.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The reconstruction against the picture.
    pub close: Closeness,
    /// Cosine of their identity embeddings.
    pub identity: Option<f64>,
    /// Distance of the code's layers from each other, in σ of w.
    pub offset: Option<f64>,
    /// NSCD of the code's styles: 1 − cosine to their usual direction.
    pub nscd: Option<f64>,
    /// The step of the point that was kept.
    pub best: usize,
    /// The inversion.
    pub seconds: f64,
    /// Peak resident memory of the process meanwhile, MiB.
    pub memory: Option<f64>,
}

/// One row: means over `n` people, and `_se` the standard errors of these. The first twelve fields
/// are the benchmark's table; the rest explains them. Numbers that could not be measured are
/// `None`, `null` in JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The inversion method.
    pub method: String,
    /// The space that was searched.
    pub space: String,
    /// Gradient steps; of the encoder its passes.
    pub steps: usize,
    /// People.
    pub n: usize,
    /// The reconstruction against the picture, dB.
    pub psnr: Option<f64>,
    /// The reconstruction against the picture.
    pub ssim: Option<f64>,
    /// The reconstruction against the picture; smaller is closer.
    pub perceptual: Option<f64>,
    /// Cosine of the identity embeddings of reconstruction and picture.
    pub identity: Option<f64>,
    /// Distance of the layers of a W+ code from each other, σ of w.
    pub offset: Option<f64>,
    /// NSCD of the code's styles: 1 − cosine to their usual direction (LSAP, Cao et al. 2022).
    pub nscd: Option<f64>,
    /// One inversion.
    pub seconds: Option<f64>,
    /// Peak resident memory of the process during one inversion, MiB: the largest.
    pub memory: Option<f64>,
    /// Passes of the encoder, before any gradient step.
    pub passes: usize,
    /// The step of the point that was kept, passes and gradient steps counted together.
    pub best: Option<f64>,
    /// Standard error of `psnr`.
    pub psnr_se: Option<f64>,
    /// Standard error of `ssim`.
    pub ssim_se: Option<f64>,
    /// Standard error of `perceptual`.
    pub perceptual_se: Option<f64>,
    /// Standard error of `identity`.
    pub identity_se: Option<f64>,
    /// Standard error of `offset`.
    pub offset_se: Option<f64>,
    /// Standard error of `seconds`.
    pub seconds_se: Option<f64>,
}

impl Row {
    /// The means of one row.
    pub fn new(config: &Config, samples: &[Sample]) -> Self {
        let both = |f: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Option<Vec<f64>> = samples.iter().map(f).collect();
            (mean(samples.iter().map(f)), values.and_then(|v| standard_error(&v)))
        };
        let (psnr, psnr_se) = both(&|s| Some(s.close.psnr));
        let (ssim, ssim_se) = both(&|s| s.close.ssim);
        let (perceptual, perceptual_se) = both(&|s| s.close.perceptual);
        let (identity, identity_se) = both(&|s| s.identity);
        let (offset, offset_se) = both(&|s| s.offset);
        let (seconds, seconds_se) = both(&|s| Some(s.seconds));
        let passes = config.passes_taken();
        Self {
            method: config.method.name.into(),
            space: config.space.name().into(),
            steps: if config.method.steps.is_none() { passes } else { config.steps_taken() },
            n: samples.len(),
            psnr,
            ssim,
            perceptual,
            identity,
            offset,
            nscd: both(&|s| s.nscd).0,
            seconds,
            memory: samples.iter().map(|s| s.memory).try_fold(0.0, |a, b| Some(b?.max(a))),
            passes,
            best: both(&|s| Some(s.best as f64)).0,
            psnr_se,
            ssim_se,
            perceptual_se,
            identity_se,
            offset_se,
            seconds_se,
        }
    }
}

/// Inverts the base picture of every person in every setting.
///
/// When it is stopped to keep what there is, it ends with the people who are whole.
///
/// # Errors
/// When a picture cannot be read or an inversion fails; `Interrupted` when it is aborted.
pub fn run(
    bench: &Bench,
    pairs: &Pairs,
    settings: &[Setting],
    request: &Request,
) -> Result<Outcome<Row>> {
    bench.check()?;
    let passes = request.passes.or(bench.encoder.map(|e| e.passes()));
    let configs: Vec<Config> = settings.iter().map(|s| s.config(passes, request.seed)).collect();
    let whole = configs.iter().map(weight).sum();
    let found = gather(pairs, request.limit, configs.len(), |person, place| {
        let truth = bench.truth(pairs, &person.base)?;
        let mut pace = Pace::new("inversions", whole, place);
        let mut samples = Vec::new();
        for (row, config) in configs.iter().enumerate() {
            let control = pace.next(bench.control, weight(config));
            let Some(found) = bench.invert(&truth.picture, config, &control)? else {
                return Ok(None);
            };
            let close = bench.close(&found.shown.picture, &truth.picture)?;
            let identity = truth.identity_with(&found.shown);
            samples.push((
                row,
                Sample {
                    close,
                    identity,
                    offset: found.offset,
                    nscd: found.nscd,
                    best: found.best,
                    seconds: found.seconds,
                    memory: found.memory,
                },
            ));
        }
        Ok(Some(samples))
    })?;
    let rows = configs
        .iter()
        .zip(&found.samples)
        .map(|(config, samples)| Row::new(config, samples))
        .collect();
    Ok(Outcome { rows, notes: metrics(bench), people: found.people, stopped: found.stopped })
}

/// Weight of an inversion in the progress of the whole: the points that it evaluates.
fn weight(config: &Config) -> usize {
    config.passes_taken() + config.steps_taken() + 1
}

/// The definitions of the metrics in force.
fn metrics(bench: &Bench) -> Vec<String> {
    let mut all: Vec<&dyn Metric> = vec![&Psnr, &Ssim];
    all.extend(bench.perceptual.map(|p| p as &dyn Metric));
    all.iter().map(|m| format!("{}: {}", m.name(), m.definition())).collect()
}

/// Definitions of the columns, a line each.
pub const DEFINITIONS: [&str; 8] = [
    "numbers: means over the base pictures of the n people, each a reconstruction against its \
     picture at the generator's \
     size, values clamped to [-1, 1]; --json adds their standard errors",
    "steps: gradient steps; of the encoder its passes. A hybrid's steps come after passes of the \
     encoder (`passes` in JSON: \
     those it was trained for unless --passes says another number). All start at the mean of w, in \
     Z at the best of 16 \
     samples",
    "kept is the best point from the start on, by the loss (squared error, plus 0.8 perceptual \
     where there is a network; \
     the projector has its own): a row of k passes is the best of k, as `invert` gives it. More \
     are never worse by the \
     loss, though they may be by a single column",
    "identity: cosine of the identity embeddings that the attribute network reads off \
     reconstruction and picture",
    "offset: distance of a W+ code's layers from their mean (root of the mean square), in σ of w; \
     - in other spaces",
    "nscd: 1 − cosine of the code's styles to their usual direction, averaged over the layers \
     (LSAP); smaller is more like a sample; - without styles",
    "seconds: one inversion, alone on this machine's threads in use",
    "memory: the most that the process had resident during one inversion, MiB",
];

/// The rows as a table for people.
pub fn table(outcome: &Outcome<Row>) -> Table {
    let columns = "method,space,steps,n,psnr,ssim,percept.,identity,offset,nscd,seconds,memory";
    let row = |r: &Row| {
        vec![
            Cell::Text(r.method.clone()),
            Cell::Text(r.space.clone()),
            Cell::Number(r.steps as f64, 0),
            Cell::Number(r.n as f64, 0),
            cell(r.psnr, 2),
            cell(r.ssim, 3),
            cell(r.perceptual, 4),
            cell(r.identity, 3),
            cell(r.offset, 2),
            cell(r.nscd, 3),
            cell(r.seconds, 2),
            cell(r.memory, 0),
        ]
    };
    table_of(columns, outcome.rows.iter().map(row).collect(), &DEFINITIONS, &outcome.notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::methods::HYBRID;
    use crate::space::Space;

    #[test]
    fn means_and_standard_errors_stand_beside_each_other() {
        let one = |psnr, offset| Sample {
            close: Closeness { psnr, ssim: Some(0.5), perceptual: None },
            offset,
            best: 3,
            ..Sample::default()
        };
        let config =
            Setting { method: &HYBRID, space: Space::WPlus, steps: Some(7) }.config(Some(2), 0);
        let row = Row::new(&config, &[one(20.0, Some(1.0)), one(22.0, Some(1.0)), one(27.0, None)]);
        assert_eq!((row.steps, row.passes, row.n, row.best), (7, 2, 3, Some(3.0)));
        assert_eq!(
            (row.psnr, row.ssim, row.ssim_se, row.perceptual),
            (Some(23.0), Some(0.5), Some(0.0), None)
        );
        // Deviations 3, 1, 4: variance 13, over 3 people. One offset is missing, so its mean and
        // error cannot cover all.
        assert!((row.psnr_se.unwrap() - (13.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!((row.offset, row.offset_se), (None, None));
        assert_eq!(Row::new(&config, &[]).psnr, None);
    }
}
