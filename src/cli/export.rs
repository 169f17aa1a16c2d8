//! `gannet export`

use super::Common;
use crate::error::{Error, Kind, Result};
use crate::eval::State;
use crate::export::{Format, Page, export as write};
use crate::safe::Safe;
use crate::session::{latest, sessions};
use crate::store::{Disk, Files, session_folder};
use crate::ui::notebook::run_stale;
use crate::ui::runner::remark;
use crate::ui::{Verbosity, run_plain};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes the report of a notebook or a session, and says where. With `run`, the cells of a
/// notebook that have no result of their text run first. Returns the exit code.
pub fn export(common: &Common, from: &Path, to: &Path, run: bool) -> Result<u8> {
    Format::of(to)?;
    let from = found(from)?;
    let (mut page, mut left) = (Page::read(&from)?, Vec::new());
    if run {
        if !page.notebook {
            let shown = Safe(&from.to_string_lossy()).to_string();
            return Err(Error::new(Kind::Usage, format!("{shown} is a session: it does not run"))
                .hint("--run goes with a notebook, FILE.gnt"));
        }
        left = run_cells(common, &from)?;
        page = Page::read(&from)?;
    }
    write(&page, to)?;
    if !common.quiet {
        page.warnings.iter().for_each(|line| remark(&format!("note: {line}")));
    }
    super::out(format!("{}\n", Safe(&to.to_string_lossy())).as_bytes())?;
    if !left.is_empty() {
        let cells: Vec<String> = left.iter().map(usize::to_string).collect();
        let text = format!("the report is written, but not all ran: cell {}", cells.join(", "));
        return Err(Error::runtime(text).hint("its output in the report says why"));
    }
    if page.lacks_results() && !common.quiet {
        // A closed stderr loses only the remark.
        let _ = writeln!(std::io::stderr(), "no cell has a result: --run runs them first");
    }
    Ok(0)
}

/// Runs what is missing of a notebook; returns the cells that failed.
fn run_cells(common: &Common, file: &Path) -> Result<Vec<usize>> {
    let models = super::prepare(common)?;
    let options = super::programs::notebook_options(common, file);
    let verbosity = if common.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    run_plain("export", verbosity, |control| {
        let state = State::new(models, &common.model, options)?;
        run_stale(file, state, &common.model, control)
    })
}

/// A file as it is; otherwise the journal of the session of that name.
fn found(from: &Path) -> Result<PathBuf> {
    if from.is_file() {
        return Ok(from.to_path_buf());
    }
    let files: Arc<dyn Files> = Arc::new(Disk);
    let name = from.to_string_lossy();
    let one = match session_folder() {
        None => None,
        Some(folder) if name == "latest" => latest(&files, &folder)?,
        Some(folder) => sessions(&files, &folder)?.into_iter().find(|s| s.header.session == name),
    };
    one.map(|s| s.path).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no notebook or session {}", Safe(&name)))
            .hint("a file FILE.gnt, a name that :sessions shows, or latest")
    })
}
