//! `bench` without a subcommand: speed and memory.

use super::bench::{count, show, watched};
use super::{Common, out, prepare};
use crate::bench::speed::{self, Job, What};
use crate::error::{Error, Kind, Result};
use crate::invert::methods;
use crate::lang::types::ModelFacts;
use crate::safe::Safe;
use crate::value::Models;
use clap::{Args, ValueEnum};
use std::process::Command;

/// Sides of the random generators unless given.
const RESOLUTIONS: [usize; 3] = [64, 256, 1024];

/// The end of `bench --help`.
pub const HELP: &str = "Without a subcommand: forward and step of a random StyleGAN2 with the \
                        published widths and of the \
    embedded generator (or that of --model), and its inversion; every row in a process of its own. \
    Ctrl-C ends with the \
    rounds that are whole (exit code 130). The meaning of the columns is printed under the table; \
    --json gives one object a row: \
    resolution threads batch device dtype forward_ms step_ms gflop ceiling_share peak_mb and more.";

/// Options of `bench` without a subcommand.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Options {
    /// Only of these sides, with commas between; 64, 256, 1024 and the generator's own unless
    /// given.
    #[arg(long, value_name = "N,M", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    resolution: Vec<u64>,
    /// Pictures at once; of several numbers, with commas between, each has rows of its own.
    #[arg(long, value_name = "N,M", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1024))]
    batch: Vec<u64>,
    /// Rounds of every row; as many as it takes unless given: 5 and a second, at most 20 seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rounds: Option<u64>,
    /// Only these rows.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    only: Vec<Kinds>,
    #[arg(long, value_name = "METHOD[:STEPS]", value_delimiter = ',', help = format!(
        "How to invert: {}, with commas between; hybrid:300 unless given", methods::listed()
    ))]
    methods: Vec<String>,
    /// Serve the one row that this describes, for another process.
    #[arg(long, hide = true, value_name = "JSON")]
    worker: Option<String>,
}

/// Kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kinds {
    /// The random StyleGAN2.
    Official,
    /// The embedded generator, or that of --model.
    Model,
    /// An inversion with it.
    Inversion,
}

impl Options {
    /// Refuses options that another benchmark would leave aside.
    pub fn refuse(&self) -> Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Usage,
            "--resolution, --batch, --rounds, --only and --methods are options of `bench` alone",
        )
        .hint("put the subcommand's own options behind it; `gannet help bench edits` lists them"))
    }

    fn wants(&self, kind: Kinds) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}

/// `gannet bench`
pub fn speed(common: &Common, options: &Options) -> Result<u8> {
    let models = prepare(common)?;
    if let Some(job) = &options.worker {
        return serve(job, &models);
    }
    let jobs = jobs(common, options, &models)?;
    let rounds = options.rounds.map(count);
    let found = watched(common, "speed", |control| {
        speed::run(&jobs, rounds, |job| command(common, job), control)
    })?;
    show(common, &found.rows, || speed::table(&found.rows))?;
    if found.stopped {
        let rounds: usize = found.rows.iter().map(|r| r.rounds).sum();
        return Err(Error::new(Kind::Interrupted, format!("stopped after {rounds} rounds"))
            .note("the rows are medians of these"));
    }
    Ok(0)
}

/// The requested rows, those of the same work together.
fn jobs(common: &Common, options: &Options, models: &Models) -> Result<Vec<Job>> {
    if !options.methods.is_empty() && !options.wants(Kinds::Inversion) {
        return Err(Error::new(
            Kind::Usage,
            "--methods says how to invert, but --only leaves inversions out",
        )
        .hint("--only inversion"));
    }
    let given: Vec<usize> = options.resolution.iter().map(|&r| count(r)).collect();
    let mut all = Vec::new();
    if options.wants(Kinds::Official) {
        let sides = if given.is_empty() { RESOLUTIONS.to_vec() } else { given.clone() };
        sides.iter().try_for_each(|&side| speed::official::check(side))?;
        all.extend(sides.into_iter().map(What::Official));
    }
    if options.wants(Kinds::Model) || options.wants(Kinds::Inversion) {
        let facts = models.load(&common.model)?.facts.clone();
        let side = facts.side();
        if given.is_empty() || given.contains(&side) {
            all.extend(own(common, options, &facts)?);
        } else if all.is_empty() {
            let name = Safe(&common.model);
            return Err(Error::new(
                Kind::Usage,
                format!("{name} makes pictures of {side} pixels a side alone"),
            )
            .hint(format!("--resolution {side}, or none")));
        }
    }
    let batches = if options.batch.is_empty() {
        vec![1]
    } else {
        options.batch.iter().map(|&b| count(b)).collect()
    };
    let with = |what: What| {
        batches.iter().map(move |&batch| Job { what: what.clone(), batch, seed: common.seed })
    };
    Ok(all.into_iter().flat_map(with).collect())
}

/// Quantities measured for the generator of `--model`.
fn own(common: &Common, options: &Options, facts: &ModelFacts) -> Result<Vec<What>> {
    let mut all = Vec::new();
    if options.wants(Kinds::Model) {
        all.push(What::Model(common.model.clone()));
    }
    if options.wants(Kinds::Inversion) {
        options.methods.iter().try_for_each(|m| speed::setting(Some(m), facts).map(drop))?;
        let methods: Vec<Option<&String>> = if options.methods.is_empty() {
            vec![None]
        } else {
            options.methods.iter().map(Some).collect()
        };
        let inversion = |m: Option<&String>| What::Inversion {
            model: common.model.clone(),
            method: m.cloned(),
        };
        all.extend(methods.into_iter().map(inversion));
    }
    Ok(all)
}

/// This program again, to serve a row with the same device, kernels and threads.
fn command(common: &Common, job: &Job) -> Result<Command> {
    let own = std::env::current_exe().map_err(|e| Error::io("cannot find this program", &e))?;
    let job = serde_json::to_string(job)
        .map_err(|e| Error::runtime(format!("a row cannot be written: {e}")))?;
    let mut command = Command::new(own);
    command.args([
        "bench",
        "--worker",
        &job,
        "--device",
        &common.device,
        "--kernels",
        &common.kernels,
    ]);
    if let Some(threads) = common.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    Ok(command)
}

fn serve(job: &str, models: &Models) -> Result<u8> {
    let job: Job = serde_json::from_str(job).map_err(|e| {
        Error::new(Kind::Usage, format!("--worker: no row: {e}"))
            .hint("it is for `gannet bench` itself")
    })?;
    let answer = |line: &str| out(format!("{line}\n").as_bytes());
    speed::serve(&job, models, std::io::stdin().lock(), answer)?;
    Ok(0)
}
