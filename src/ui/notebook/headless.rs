//! Runs a notebook without a screen.

use super::model::{Mark, Notebook};
use super::open::basis;
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::eval::State;
use crate::session::{Session, Start};
use std::path::Path;

/// Runs the cells that are stale or have failed, as the screen's key does, and keeps the results
/// beside the file. Returns the number of each cell that is not fresh afterwards, from 1.
///
/// # Errors
/// When the file cannot be read, or its results cannot be kept.
pub fn run_stale(
    file: &Path,
    mut state: State,
    model: &str,
    control: &Control,
) -> Result<Vec<usize>> {
    state.options.echo = true;
    let base = basis(&state);
    let start = Start { state, model: model.to_owned(), folder: None, lists: false };
    let mut notebook = Notebook::open(file, Session::start(start)?, &base)?;
    notebook.run_stale();
    let (mut seen, mut asked) = (0, Stop::No);
    while notebook.busy() {
        if control.stop() != asked {
            asked = control.stop();
            stop(&mut notebook, asked);
        }
        notebook.wait();
        let Some(running) = notebook.running() else { continue };
        if let Some(progress) = running.progress.clone().filter(|_| running.reports != seen) {
            seen = running.reports;
            control.report(progress);
        }
    }
    let count = notebook.editor.document().cells().len();
    let stale = |k: &usize| matches!(notebook.mark(*k), Mark::Stale | Mark::Failed);
    let left = (0..count).filter(stale).map(|k| k + 1).collect();
    if notebook.close() {
        return Ok(left);
    }
    let why = notebook.message().map_or("another program changed the file", |m| &m.text);
    Err(Error::new(Kind::Io, format!("the results were not kept: {why}")))
}

fn stop(notebook: &mut Notebook, asked: Stop) {
    match asked {
        Stop::No => {}
        Stop::Checkpoint => notebook.checkpoint(),
        Stop::Keep | Stop::Abort => drop(notebook.interrupt()),
    }
}
