//! What the commands begin with: the machine, the terminal, the generator, the options.

use super::{Common, Progress, Reporting};
use crate::cache::Cache;
use crate::error::{Error, Kind, Result};
use crate::eval::{Options, State};
use crate::lang::import::Imports;
use crate::render::file::Files;
use crate::render::{Painter, Protocol, probe};
use crate::session::{Session, Start};
use crate::ui::runner::{Runner, Style};
use crate::ui::{Colour, Line, Terminal, Verbosity, run_plain};
use crate::value::Models;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Folder for pictures when there is neither a terminal nor `--out`.
const PICTURES: &str = "gannet-out";

/// Sets threads and kernels, before the first tensor; the store loads generators to the device that
/// is asked for.
pub(super) fn prepare(common: &Common) -> Result<Arc<Models>> {
    if let Some(n) = common.threads {
        crate::device::threads(n)?;
    }
    let device = crate::device::device(&common.device)?;
    crate::device::kernels(&common.kernels, &device)?;
    let note = match crate::tensor::reduced() {
        Some("f16") => "the four highest resolutions are computed in f16, in inversions too",
        Some(_) => "pictures are previews, computed in bf16; inversions stay in f32",
        None => "",
    };
    if !note.is_empty() {
        // If stderr is closed, the note cannot be shown.
        let _ = writeln!(std::io::stderr(), "note: {note}");
    }
    Ok(Models::new(device))
}

/// Options for querying the terminal.
pub(super) fn asking(common: &Common) -> Result<crate::render::Options> {
    let symbols = crate::render::Symbols::choice(&common.symbols)?;
    Ok(crate::render::Options { graphics: common.graphics.parse()?, symbols, ..Default::default() })
}

/// What a front end begins with.
pub(super) struct Opened {
    pub(super) state: State,
    pub(super) terminal: Terminal<Line>,
    pub(super) painter: Painter,
    pub(super) style: Style,
    /// What was typed while the terminal was probed.
    pub(super) typed: Vec<u8>,
}

/// Prepares the machine, probes the terminal and loads the generator.
pub(super) fn open(common: &Common, options: Options) -> Result<Opened> {
    let models = prepare(common)?;
    crate::ui::screen::set_theme(common.theme.parse()?);
    let mut found = probe(&asking(common)?);
    found.terminal.picture_width = common.picture_width;
    let mut terminal = Terminal::acquire()?;
    terminal.set_colour(match found.terminal.colours {
        crate::render::Colours::None => Colour::None,
        crate::render::Colours::Indexed => Colour::Indexed,
        crate::render::Colours::True => Colour::True,
    });
    let describe = found.terminal.protocol == Protocol::Words;
    let options = Options { describe, ..options };
    // A large generator takes seconds to read: Ctrl-C ends that too.
    let state = run_plain("load", Verbosity::Quiet, |control| {
        let _entered = control.enter();
        State::new(models, &common.model, options)
    })?;
    let hidden = found.terminal.protocol == Protocol::None && common.graphics == "auto";
    let asked = common.json && common.out.is_some();
    let painter = if asked || hidden && !common.json {
        // A folder that the user names may be a link; one that we name must be none.
        let files = common.out.as_ref().map_or_else(
            || Files::below(Path::new(""), Path::new(PICTURES)),
            |out| Files::new(out),
        );
        Painter::with_sink(found.terminal.clone(), Box::new(files))
    } else {
        Painter::printing(found.terminal.clone())
    };
    let style = Style { json: common.json, quiet: common.quiet, reports: false };
    Ok(Opened { state, terminal, painter, style, typed: found.typed })
}

/// A session without a journal, for programs.
pub(super) fn runner(common: &Common, options: Options, reporting: Reporting) -> Result<Runner> {
    let reports = reporting.progress == Progress::Json;
    if reports && common.quiet {
        return Err(Error::new(Kind::Usage, "--quiet leaves no progress to report")
            .hint("leave out --quiet or --progress json"));
    }
    let Opened { state, terminal, painter, style, .. } = open(common, options)?;
    let style = Style { reports, ..style };
    let start = Start { state, model: common.model.clone(), folder: None, lists: style.json };
    Ok(Runner::new(Session::start(start)?, terminal, painter, style))
}

/// Options of a session: script files are confined, typed input is not.
pub(super) fn options(common: &Common, confined: bool) -> Options {
    Options {
        seed: common.seed,
        out: common.out.clone().unwrap_or_default(),
        confined,
        echo: false,
        describe: false,
        checkpoints: crate::store::state_folder().map(|f| f.join("checkpoints")),
        replaying: false,
        cache: cache(common),
        imports: Imports::default(),
    }
}

/// The cache of results, unless it is not wanted.
pub(super) fn cache(common: &Common) -> Cache {
    let folder = crate::store::cache_folder().filter(|_| !common.no_cache);
    folder.map_or_else(Cache::default, |folder| Cache::at(&folder, common.cache_limit))
}
