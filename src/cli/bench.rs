//! `bench`: measurements of what gannet does.

use super::{Common, out, prepare};
use crate::bench::align;
use crate::bench::edits::Bench;
use crate::bench::{Outcome, Pairs, Request, model as parts, table};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metric::Perceptual;
use crate::ui::{Terminal, Verbosity, run_live, run_plain};
use crate::value::{Loaded, Value, display, model};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Which {
    /// Edits of held-out people against the true pictures of those edits.
    #[command(
        after_help = "Each person's base picture is inverted, the code moved along the calibrated direction by the \
        true difference of the label, and the result compared with the true picture. Ctrl-C ends with the people who are whole \
        (exit code 130). What the columns mean stands under the table; --json gives one object a row."
    )]
    Edits(Edits),
    /// Faces of held-out people pasted at any place, size and turn, found again by the attribute network.
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
    /// optimize, projector, encoder or hybrid, each alone or with :conditional.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
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

/// `gannet bench`
pub fn bench(common: &Common, which: &Which) -> Result<u8> {
    match which {
        Which::Edits(options) => edits(common, options),
        Which::Align(options) => find_faces(common, options),
    }
}

fn edits(common: &Common, options: &Edits) -> Result<u8> {
    prepare(common)?;
    let model = model::load(&common.model)?;
    let pairs = Pairs::open(&options.data)?;
    let outcome = watched(common, "edits", |control| run(common, options, (&model, &pairs), control))?;
    show(common, &outcome)?;
    if outcome.stopped {
        let all = pairs.people.len().min(limit(options).unwrap_or(usize::MAX));
        return Err(Error::new(Kind::Interrupted, format!("stopped after {} of {all} people", outcome.people))
            .note("the rows are of these"));
    }
    Ok(0)
}

fn find_faces(common: &Common, options: &Align) -> Result<u8> {
    prepare(common)?;
    let model = model::load(&common.model)?;
    let network = model.features.as_deref().filter(|f| f.config().finds_faces()).ok_or_else(|| {
        Error::runtime(format!("{} brings no network that finds faces", crate::safe::Safe(&model.facts.name)))
            .hint("put an attributes.safetensors with landmarks, `face` and `framing` beside the generator")
    })?;
    let pairs = Pairs::open(&options.data)?;
    let found = watched(common, "align", |control| {
        align::align(network, &pairs, options.limit.map(count), common.seed, control)
    })?;
    if common.json {
        let lines = found.rows.iter().map(serde_json::to_value).chain([serde_json::to_value(&found.summary)]);
        for line in lines {
            let line = line.map_err(|e| Error::runtime(format!("a row cannot be written: {e}")))?;
            out(format!("{line}\n").as_bytes())?;
        }
    } else {
        let table = align::table(&found);
        let notes = table.notes.join("\n");
        out(format!("{}\n\n{notes}\n", display::plain(&Value::Table(std::sync::Arc::new(table)))).as_bytes())?;
    }
    if found.stopped {
        return Err(Error::new(Kind::Interrupted, format!("stopped after {} people", found.rows.len())));
    }
    Ok(0)
}

fn limit(options: &Edits) -> Option<usize> {
    options.limit.map(count)
}

fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn run(common: &Common, options: &Edits, (model, pairs): (&Loaded, &Pairs), control: &Control) -> Result<Outcome> {
    let perceptual = model.features.clone().map(Perceptual::new);
    let reader = parts::reader(model);
    let directions = parts::calibrated(model);
    let mut bench = Bench {
        generator: &*model.generator,
        perceptual: perceptual.as_ref(),
        encoder: None,
        reader: reader.as_ref().map(|r| r as _),
        directions: &directions,
        stats: model.stats()?,
        control,
    };
    let ways = bench.ways(&options.methods, &options.spaces, &model.facts)?;
    if ways.iter().any(|w| w.method.encodes()) {
        bench.encoder = model.encoder()?;
    }
    let request = Request {
        edits: options.edits.clone(),
        limit: limit(options),
        steps: options.steps.map(count),
        passes: options.passes.map(count),
        ceiling: !options.no_ceiling,
        seed: common.seed,
    };
    bench.run(pairs, &ways, &request)
}

/// Runs with progress on the terminal, or as lines on stderr where there is none or rows go to another program.
fn watched<T: Send>(common: &Common, title: &str, work: impl FnOnce(&Control) -> Result<T> + Send) -> Result<T> {
    if common.quiet {
        run_plain(title, Verbosity::Quiet, work)
    } else if common.json {
        run_plain(title, Verbosity::Normal, work)
    } else {
        run_live(&mut Terminal::acquire()?, title, work)
    }
}

fn show(common: &Common, outcome: &Outcome) -> Result<()> {
    if common.json {
        for row in &outcome.rows {
            let line =
                serde_json::to_string(row).map_err(|e| Error::runtime(format!("a row cannot be written: {e}")))?;
            out(format!("{line}\n").as_bytes())?;
        }
        return Ok(());
    }
    let table = table(&outcome.rows, &outcome.notes);
    let notes = table.notes.join("\n");
    let text = display::plain(&Value::Table(std::sync::Arc::new(table)));
    out(format!("{text}\n\n{notes}\n").as_bytes())
}
