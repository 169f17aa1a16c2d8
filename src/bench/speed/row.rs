//! The rows of the speed benchmark.

use super::subject::{Facts, Job, Times};
use crate::value::{Cell, Table};

/// One row: medians over all calls of all rounds. Numbers that were not measured are `None`, `null`
/// in JSON: an inversion has no forward, a synthesis no seconds. The first ten fields are the
/// benchmark's table.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// Side of the pictures.
    pub resolution: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Pictures at once.
    pub batch: usize,
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// The type that is computed in.
    pub dtype: String,
    /// A forward pass of the batch, ms.
    pub forward_ms: Option<f64>,
    /// A step on the batch, ms.
    pub step_ms: Option<f64>,
    /// Multiply-adds × 2 of the direct convolutions of one forward of the batch, 10⁹.
    pub gflop: Option<f64>,
    /// `gflop` a second of a forward, as a share of the measured ceiling.
    pub ceiling_share: Option<f64>,
    /// Peak resident memory of the process that did this row, weights included, MiB.
    pub peak_mb: Option<f64>,
    /// The instructions of the CPU engine, `avx512`, `avx2` or `portable`, or the numbers of a GPU,
    /// `f32`, `tf32` or `f16`.
    pub kernels: &'static str,
    /// Name of the generator; `official` for random weights of the published widths.
    pub generator: String,
    /// `synthesis` or `inversion`.
    pub work: &'static str,
    /// `forward_ms` a picture.
    pub ms_per_image: Option<f64>,
    /// Minimum memory traffic of the convolutions of one forward, bytes.
    pub bytes: Option<f64>,
    /// The measured ceiling, GFLOP/s.
    pub ceiling_gflops: Option<f64>,
    /// An inversion of the batch, s.
    pub seconds: Option<f64>,
    /// `seconds` a picture.
    pub seconds_per_image: Option<f64>,
    /// Speed of a picture relative to the row of this run with batch size 1, by a forward or an
    /// inversion.
    pub gain: Option<f64>,
    /// Its method.
    pub method: Option<String>,
    /// Its gradient steps.
    pub steps: Option<usize>,
    /// Rounds.
    pub rounds: usize,
}

impl Row {
    /// Computes a row from the times of its rounds; `ceiling` in GFLOP/s, if it was measured.
    pub fn new(job: &Job, facts: &Facts, rounds: &[Times], ceiling: Option<f64>) -> Self {
        let all = |of: fn(&Times) -> &Vec<f64>| {
            median(rounds.iter().flat_map(|t| of(t).iter().copied()).collect())
        };
        let forward_ms = all(|t| &t.forward);
        let (gflop, seconds) = (facts.work.map(|w| w.gflop), all(|t| &t.inversion));
        let rate = gflop.zip(forward_ms).map(|(gflop, ms)| gflop / (ms / 1e3));
        let (method, steps) = facts.inversion.clone().unzip();
        Self {
            resolution: facts.resolution,
            threads: facts.threads,
            batch: job.batch,
            device: facts.device.clone(),
            dtype: facts.dtype.clone(),
            kernels: crate::tensor::computing(facts.device == "cpu"),
            forward_ms,
            step_ms: all(|t| &t.step),
            gflop,
            ceiling_share: rate.zip(ceiling).map(|(rate, ceiling)| rate / ceiling),
            peak_mb: rounds.iter().filter_map(|t| t.peak).reduce(f64::max),
            generator: facts.generator.clone(),
            work: if method.is_some() { "inversion" } else { "synthesis" },
            ms_per_image: forward_ms.map(|ms| ms / job.batch as f64),
            bytes: facts.work.map(|w| w.bytes),
            ceiling_gflops: ceiling.filter(|_| gflop.is_some()),
            seconds,
            seconds_per_image: seconds.map(|s| s / job.batch as f64),
            gain: None,
            method,
            steps,
            rounds: rounds.len(),
        }
    }

    /// Compares with the row of the same work that has one picture at a time.
    pub(super) fn compare(&mut self, single: &Row) {
        let each = |r: &Row| r.seconds_per_image.or(r.ms_per_image);
        self.gain = each(single).zip(each(self)).map(|(single, own)| single / own);
    }
}

/// The middle number, or the mean of the two in the middle.
fn median(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    let n = all.len();
    (n > 0).then(|| (all[(n - 1) / 2] + all[n / 2]) / 2.0)
}

/// Definitions of the columns, a line each.
pub const DEFINITIONS: [&str; 8] = [
    "times: medians over all calls; the rounds of the rows take turns, each row in a process of \
     its own",
    "official: StyleGAN2 with the published widths (channel_base 32768, 16384 at 256; channel_max \
     512) and random weights",
    "step: forward, the sum of the picture's squares, and its gradient to w+ and the noise maps; \
     weights are frozen",
    "GFLOP: multiply-adds × 2 of the convolutions of one forward of the batch, done directly; an \
     algorithm with fewer \
     multiplications (Winograd's) may need less, so that a share of the ceiling can exceed 1",
    "ceiling: GFLOP a second of a forward, as a share of what this machine's threads reach in a \
     matrix product from the cache",
    "peak: resident memory of the row's process at most, from its loaded weights on, MiB; - where \
     the system does not tell",
    "seconds: an inversion of the batch in W+ from picture to code, with encoder and perceptual \
     network as the generator \
     brings them; the statistics of w are known before",
    "gain: how many times as fast a picture is as in the row with one at a time, by an inversion's \
     seconds or a forward; - \
     without such a row in this run",
];

/// The rows as a table for people.
pub fn table(rows: &[Row]) -> Table {
    let columns =
        "generator,work,side,threads,batch,forward ms,step ms,GFLOP,ceiling,peak MiB,seconds,gain"
            .split(',');
    let cell = |value: Option<f64>, digits| {
        value.map_or(Cell::Text("-".into()), |v| Cell::Number(v, digits))
    };
    let row = |r: &Row| {
        let work = match (&r.method, r.steps) {
            (Some(method), Some(steps)) => format!("{method} {steps}"),
            _ => r.work.to_owned(),
        };
        vec![
            Cell::Text(r.generator.clone()),
            Cell::Text(work),
            Cell::Number(r.resolution as f64, 0),
            Cell::Number(r.threads as f64, 0),
            Cell::Number(r.batch as f64, 0),
            cell(r.forward_ms, 1),
            cell(r.step_ms, 1),
            cell(r.gflop, 1),
            cell(r.ceiling_share, 2),
            cell(r.peak_mb, 0),
            cell(r.seconds, 2),
            cell(r.gain, 2),
        ]
    };
    Table {
        columns: columns.map(str::to_owned).collect(),
        rows: rows.iter().map(row).collect(),
        notes: DEFINITIONS.iter().map(|d| (*d).to_owned()).collect(),
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::What;
    use super::super::work::Work;
    use super::*;

    fn facts(inversion: Option<(String, usize)>) -> Facts {
        let work = inversion.is_none().then_some(Work { gflop: 30.0, bytes: 7e7 });
        let (generator, device, dtype) = ("official".into(), "cpu".into(), "f32".into());
        Facts { generator, resolution: 256, threads: 2, device, dtype, work, inversion }
    }

    #[test]
    fn medians_are_over_all_calls_and_shares_of_the_ceiling() {
        let one = |forward: &[f64], step: f64, peak| Times {
            forward: forward.to_vec(),
            step: vec![step],
            inversion: Vec::new(),
            peak: Some(peak),
        };
        let job = Job { what: What::Official(256), batch: 2, seed: 0 };
        let rounds = [one(&[90.0, 100.0], 300.0, 500.0), one(&[200.0], 310.0, 600.0)];
        let r = Row::new(&job, &facts(None), &rounds, Some(600.0));
        assert_eq!(
            (r.forward_ms, r.step_ms, r.ms_per_image),
            (Some(100.0), Some(305.0), Some(50.0))
        );
        // 30 GFLOP in 0.1 s are 300 GFLOP/s.
        assert!((r.ceiling_share.unwrap() - 0.5).abs() < 1e-12);
        assert_eq!((r.peak_mb, r.seconds, r.rounds, r.work), (Some(600.0), None, 2, "synthesis"));
        let blind = Row::new(&job, &facts(None), &rounds, None);
        assert_eq!((blind.ceiling_share, blind.ceiling_gflops), (None, None));
    }

    #[test]
    fn an_inversion_has_seconds_alone() {
        let what = What::Inversion { model: "faces".into(), method: None };
        let job = Job { what, batch: 1, seed: 0 };
        let rounds = [Times { inversion: vec![12.5], ..Times::default() }];
        let r = Row::new(&job, &facts(Some(("hybrid".into(), 300))), &rounds, Some(600.0));
        assert_eq!(
            (r.seconds, r.forward_ms, r.step_ms, r.gflop, r.peak_mb),
            (Some(12.5), None, None, None, None)
        );
        assert_eq!((r.work, r.ceiling_share, r.ceiling_gflops), ("inversion", None, None));
        let t = table(&[r]);
        assert_eq!(t.columns.len(), t.rows[0].len());
        assert!(matches!(&t.rows[0][1], Cell::Text(s) if s == "hybrid 300"));
    }

    #[test]
    fn a_gain_is_of_one_picture() {
        let inversion = |batch: usize, seconds: f64| {
            let what = What::Inversion { model: "faces".into(), method: None };
            let rounds = [Times { inversion: vec![seconds], ..Times::default() }];
            Row::new(
                &Job { what, batch, seed: 0 },
                &facts(Some(("hybrid".into(), 300))),
                &rounds,
                None,
            )
        };
        let (single, mut four) = (inversion(1, 10.0), inversion(4, 32.0));
        four.compare(&single);
        assert_eq!((four.seconds_per_image, four.gain, single.gain), (Some(8.0), Some(1.25), None));
    }

    #[test]
    fn the_first_keys_are_those_of_the_documentation() {
        let job = Job { what: What::Official(256), batch: 1, seed: 0 };
        let json = serde_json::to_value(Row::new(&job, &facts(None), &[], None)).unwrap();
        let keys: Vec<&str> =
            json.as_object().unwrap().keys().take(10).map(String::as_str).collect();
        let wanted =
            "resolution threads batch device dtype forward_ms step_ms gflop ceiling_share peak_mb";
        assert_eq!(keys.join(" "), wanted);
        assert!(json["forward_ms"].is_null());
    }
}
