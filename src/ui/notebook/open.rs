//! Opens a notebook on the terminal.

use super::app::NotebookApp;
use super::model::Notebook;
use crate::error::{Error, Kind, Result};
use crate::eval::State;
use crate::render;
use crate::safe::Safe;
use crate::session::{Session, Start};
use crate::ui::full::run;
use crate::ui::{Keys, Line, Terminal};
use std::path::{Path, PathBuf};

/// The beginning of a notebook.
pub struct NotebookOptions {
    /// Its file, which need not exist yet.
    pub file: PathBuf,
    /// Generator and options.
    pub state: State,
    /// Name or path of the generator, as the user gave it.
    pub model: String,
    /// The terminal.
    pub terminal: Terminal<Line>,
    /// What the probe found about it.
    pub probed: render::Terminal,
    /// Keys that were typed during the probe.
    pub typed: Vec<u8>,
    /// The folder of the sessions' journals; `None` keeps no journal.
    pub sessions: Option<PathBuf>,
    /// The key bindings.
    pub keys: Keys,
}

/// Shows a notebook until the user quits. Returns the exit code: 0; 75 when a signal ended it.
///
/// # Errors
/// Without an interactive terminal; when the file cannot be read or the terminal fails.
pub fn open(options: NotebookOptions) -> Result<u8> {
    let NotebookOptions { file, mut state, model, mut terminal, probed, typed, sessions, keys } =
        options;
    if !terminal.interactive() {
        let shown = Safe(&file.to_string_lossy()).to_string();
        return Err(Error::new(Kind::Usage, "a notebook needs a terminal")
            .hint(format!("gannet run {shown}")));
    }
    state.options.echo = true;
    let (base, about) = (basis(&state), about(&state));
    let before = state.clone();
    let session = Session::start(Start { state, model, folder: sessions, lists: false })?;
    let unkept = session.unkept().cloned();
    // A link stays a link when the file is written.
    let path = std::fs::canonicalize(&file).unwrap_or(file);
    let mut notebook = Notebook::open(&path, session, &base)?;
    if let Some(e) = unkept {
        notebook.say(e.message());
    }
    let colour = terminal.colour();
    terminal.type_ahead(&String::from_utf8_lossy(&typed));
    let mut app = NotebookApp::new(notebook, before, (colour, keys == Keys::Vi), about);
    app.heed(terminal.line().signals());
    let ran = {
        let mut full = terminal.full(&probed)?;
        run(&mut app, &mut full)
    };
    let lost = app.finish();
    let ended = terminal.line().signals().ended();
    match ran {
        // The terminal is gone; the text and the outputs are on the disk.
        Err(e) if e.kind() == Kind::Closed || ended => Ok(Kind::Resumable.exit_code()),
        Err(e) => Err(e),
        Ok(()) if ended => Ok(Kind::Resumable.exit_code()),
        Ok(()) => lost.map_or(Ok(0), Err),
    }
}

/// What all cells of a notebook depend on.
pub(super) fn basis(state: &State) -> String {
    let fingerprint = state.model.as_ref().map_or("", |m| &m.facts.fingerprint);
    format!("{} {fingerprint} {}", env!("CARGO_PKG_VERSION"), state.options.seed)
}

/// Generator and device in a few words.
fn about(state: &State) -> String {
    let device = if state.models().device().is_cuda() { "cuda" } else { "cpu" };
    let model = state.model.as_ref().map_or_else(
        || "no generator".to_owned(),
        |m| format!("{} {}", Safe(&m.facts.name), m.facts.size()),
    );
    format!("{model} · {device}")
}

/// The folder in which a notebook's programs may save.
pub fn folder_of(file: &Path) -> PathBuf {
    file.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
