//! `bench`: measurements of what gannet does.

use super::{Common, out, prepare};
use crate::bench::{self, Bench, Outcome, Pairs, Row, align, inversions, model as parts};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::invert::{Method, methods};
use crate::lang::types::Companion;
use crate::metric::Perceptual;
use crate::network::Encoder;
use crate::ui::{Terminal, Verbosity, run_live, run_plain};
use crate::value::{Loaded, Table, Value, text};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Which {
    /// Edits of held-out people against the true pictures of those edits.
    #[command(
        after_help = "Each person's base picture is inverted, the code moved along the calibrated \
                      direction by the \
        true difference of the label, and the result compared with the true picture. Ctrl-C ends \
        with the people who are whole \
        (exit code 130). The meaning of the columns is printed under the table; --json gives one \
        object a row."
    )]
    Edits(Edits),
    /// Inversions of held-out people, by method, space and number of steps.
    #[command(
        after_help = "Each person's base picture is inverted by every method. STEPS are gradient \
                      steps, of the encoder its \
        passes: encoder:3, hybrid:100, optimize:1000. Where a method is slow, run it by itself \
        with a smaller --limit. Ctrl-C \
        ends with the people who are whole (exit code 130). The meaning of the columns is printed \
        under the table; --json gives one \
        object a row, with standard errors."
    )]
    Inversions(Inversions),
    /// Faces of held-out people pasted at any place, size and turn, found again by the attribute
    /// network.
    #[command(after_help = "--json gives one object a person, then one with the summary.")]
    Align(Align),
}

/// Options of `bench align`.
#[derive(Debug, Args)]
pub struct Align {
    /// Folder with pairs_*.tar and pairs_*.jsonl or pairs_*.jsonl.gz, whose lines hold landmarks.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first N people only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Options of `bench edits`.
#[derive(Debug, Args)]
pub struct Edits {
    /// Folder with pairs_*.tar and pairs_*.jsonl or pairs_*.jsonl.gz.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first N people only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Names of edits, with commas between; all that have a direction unless given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    edits: Vec<String>,
    #[arg(long, value_name = "A,B", value_delimiter = ',', help = format!(
        "{}, each alone, with :conditional, with :w or with :layers", methods::listed()
    ))]
    methods: Vec<String>,
    /// Z, W, W+ or S; all that have directions unless given.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    spaces: Vec<String>,
    /// Gradient steps of every inversion, instead of its method's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    steps: Option<u64>,
    /// Passes of the encoder, instead of its own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    passes: Option<u64>,
    /// Do not invert the true pictures: much faster, and psnr_ceiling stays empty.
    #[arg(long)]
    no_ceiling: bool,
}

/// Options of `bench inversions`.
#[derive(Debug, Args)]
pub struct Inversions {
    /// Folder with pairs_*.tar and pairs_*.jsonl or pairs_*.jsonl.gz.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first N people only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[arg(long, value_name = "METHOD[:STEPS]", value_delimiter = ',', help = format!(
        "{}, with commas between; encoder:1, :3, :5, hybrid:100, :300 and optimize:1000 unless \
         given", methods::listed()
    ))]
    methods: Vec<String>,
    /// Z, W, W+ or S; unless given W and W+, encoder and hybrid in W+ alone.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    spaces: Vec<String>,
    /// Passes of the encoder before the steps of a hybrid, instead of its own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    passes: Option<u64>,
}

/// `gannet bench`
pub fn bench(common: &Common, which: &Which) -> Result<u8> {
    match which {
        Which::Edits(options) => edits(common, options),
        Which::Inversions(options) => invert(common, options),
        Which::Align(options) => find_faces(common, options),
    }
}

fn edits(common: &Common, options: &Edits) -> Result<u8> {
    let model = prepare(common)?.load(&common.model)?;
    let pairs = Pairs::open(&options.data)?;
    let outcome =
        watched(common, "edits", |control| edited(common, options, (&model, &pairs), control))?;
    show(common, &outcome.rows, || bench::table(&outcome.rows, &outcome.notes))?;
    whole(&outcome, &pairs, options.limit)
}

fn invert(common: &Common, options: &Inversions) -> Result<u8> {
    let model = prepare(common)?.load(&common.model)?;
    let settings = bench::settings(&options.methods, &options.spaces, &model.facts)?;
    let pairs = Pairs::open(&options.data)?;
    let limit = options.limit.map(count);
    let request =
        inversions::Request { limit, passes: options.passes.map(count), seed: common.seed };
    let outcome = watched(common, "inversions", |control| {
        let encodes = settings.iter().any(|s| s.method.encoder);
        on(&model, control, |bench| {
            let encoder = if encodes { model.encoder()? } else { None };
            let companions = companions(&model, settings.iter().map(|s| s.method))?;
            let bench = Bench { encoder, companions: &companions, ..bench };
            inversions::run(&bench, &pairs, &settings, &request)
        })
    })?;
    show(common, &outcome.rows, || inversions::table(&outcome))?;
    whole(&outcome, &pairs, options.limit)
}

/// 0, or the error that says that not all people are in the rows.
fn whole<R>(outcome: &Outcome<R>, pairs: &Pairs, limit: Option<u64>) -> Result<u8> {
    if !outcome.stopped {
        return Ok(0);
    }
    let all = pairs.people.len().min(limit.map_or(usize::MAX, count));
    Err(Error::new(Kind::Interrupted, format!("stopped after {} of {all} people", outcome.people))
        .note("the rows are of these"))
}

fn find_faces(common: &Common, options: &Align) -> Result<u8> {
    let model = prepare(common)?.load(&common.model)?;
    let network = model.features()?.filter(|f| f.config().finds_faces()).ok_or_else(|| {
        Error::runtime(format!(
            "{} has no network that finds \
                                faces",
            crate::safe::Safe(&model.facts.name)
        ))
        .hint(
            "put an attributes.safetensors with landmarks, `face` and `framing` beside the \
                   generator",
        )
    })?;
    let pairs = Pairs::open(&options.data)?;
    let found = watched(common, "align", |control| {
        align::align(network, &pairs, options.limit.map(count), common.seed, control)
    })?;
    show(common, &found.rows, || align::table(&found))?;
    if common.json {
        line(&found.summary)?;
    }
    if found.stopped {
        return Err(Error::new(
            Kind::Interrupted,
            format!("stopped after {} people", found.rows.len()),
        ));
    }
    Ok(0)
}

pub(super) fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn edited(
    common: &Common,
    options: &Edits,
    (model, pairs): (&Loaded, &Pairs),
    control: &Control,
) -> Result<Outcome<Row>> {
    let directions = parts::calibrated(model)?;
    let request = bench::Request {
        edits: options.edits.clone(),
        limit: options.limit.map(count),
        steps: options.steps.map(count),
        passes: options.passes.map(count),
        ceiling: !options.no_ceiling,
        seed: common.seed,
    };
    on(model, control, |bench| {
        let mut bench = Bench { directions: &directions, ..bench };
        let setups = bench.setups(&options.methods, &options.spaces, &model.facts)?;
        if setups.iter().any(|w| w.method.encoder) {
            bench.encoder = model.encoder()?;
        }
        let companions = companions(model, setups.iter().map(|w| w.method))?;
        Bench { companions: &companions, ..bench }.run(pairs, &setups, &request)
    })
}

/// The networks that these methods run after the encoder.
fn companions(
    model: &Loaded,
    methods: impl Iterator<Item = &'static Method>,
) -> Result<Vec<(Companion, &dyn Encoder)>> {
    let kinds: BTreeSet<Companion> = methods.filter_map(|m| m.companion).collect();
    let read = |kind| Ok(model.companion(Some(kind))?.map(|network| (kind, network)));
    kinds.into_iter().filter_map(|kind| read(kind).transpose()).collect()
}

/// Gives `work` the parts of a generator that every benchmark of inversion needs; encoder and
/// directions are its own to add.
fn on<T>(
    model: &Loaded,
    control: &Control,
    work: impl FnOnce(Bench<'_>) -> Result<T>,
) -> Result<T> {
    let perceptual = model.features()?.cloned().map(Perceptual::new);
    let reader = parts::reader(model)?;
    // Drawn before any inversion is timed.
    let stats = || model.stats();
    stats()?;
    work(Bench {
        generator: &**model.generator()?,
        perceptual: perceptual.as_ref(),
        encoder: None,
        companions: &[],
        reader: reader.as_ref().map(|r| r as _),
        directions: &[],
        stats: Some(&stats),
        control,
    })
}

/// Runs with progress on the terminal, or as lines on stderr where there is none or rows go to
/// another program.
pub(super) fn watched<T: Send>(
    common: &Common,
    title: &str,
    work: impl FnOnce(&Control) -> Result<T> + Send,
) -> Result<T> {
    if common.quiet {
        run_plain(title, Verbosity::Quiet, work)
    } else if common.json {
        run_plain(title, Verbosity::Normal, work)
    } else {
        run_live(&mut Terminal::acquire()?, title, work)
    }
}

/// One JSON object a row, or the table with its notes.
pub(super) fn show(
    common: &Common,
    rows: &[impl Serialize],
    table: impl FnOnce() -> Table,
) -> Result<()> {
    if common.json {
        return rows.iter().try_for_each(line);
    }
    let table = table();
    let notes = table.notes.join("\n");
    let text = text::shown(&Value::Table(Arc::new(table)));
    out(format!("{text}\n\n{notes}\n").as_bytes())
}

fn line(row: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(row)
        .map_err(|e| Error::runtime(format!("a row cannot be written: {e}")))?;
    out(format!("{text}\n").as_bytes())
}
