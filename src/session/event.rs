//! What a front end asks of a session, and what the session reports.

use super::Cell;
use crate::control::Progress;
use crate::error::{Error, Result};
use crate::lang::span::Source;
use crate::render::Block;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A result of a statement.
#[derive(Clone, Debug)]
pub enum Given {
    /// A value: as blocks, and as JSON.
    Value(Vec<Block>, Json),
    /// A line for other programs.
    Print(String),
    /// A remark about something that was left out.
    Note(String),
}

/// A request of a front end.
#[derive(Clone, Debug)]
pub enum Request {
    /// Checks a text as a whole, then runs its statements, each as a cell of the journal.
    Cells(String),
    /// Checks a program and runs it without a journal; `sets` override its parameters.
    Program {
        /// The program.
        source: Source,
        /// Values of parameters, by name.
        sets: BTreeMap<String, String>,
    },
    /// Takes the last cell back.
    Undo,
    /// Brings back the cell that was taken back last.
    Redo,
    /// Gets values for these names of a resumed session, or for all that have none.
    Fetch(Option<BTreeSet<String>>),
    /// Continues the session of this name or path, or the latest one.
    Resume(Option<String>),
    /// The details of an inversion: the one of this name, or the last one.
    Details(Option<String>),
    /// Changes an option.
    Set(Setting),
}

/// An option that can change while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The seed of everything random that is not given one.
    Seed(u64),
    /// Whether `name = value` shows the value.
    Echo(bool),
}

/// A report about the running request.
///
/// The session waits until a front end has taken the next event before it goes on after
/// [`Event::Given`], [`Event::Failed`] and the remarks: a statement begins only when the results
/// of the one before are shown.
#[derive(Debug)]
pub enum Event {
    /// A statement begins.
    Begins {
        /// Its first line, shortened.
        title: String,
        /// Its cell, when it is not the first one of its text.
        further: Option<Cell>,
    },
    /// The statement's progress.
    Progress(Progress),
    /// The results of a statement. Those of a cell are on the disk.
    Given(Vec<Given>),
    /// The error of a cell, after its results.
    Failed(Source, Error),
    /// A line for the user.
    Line(String),
    /// A line that matters less.
    Quiet(String),
    /// An error that belongs to no cell.
    Trouble(Error),
    /// The request is done.
    Done(Result<Reply>),
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Whether all statements ran to their end.
    Ran(bool),
    /// The cell that was taken back or brought back; `None` when there is none.
    Moved(Option<Arc<Cell>>),
    /// A session was taken up; `None` when there is none, or it is the current one.
    Resumed(Option<Resumed>),
    /// The details of an inversion; `None` when there is none yet.
    Details(Option<Vec<Block>>),
    /// The setting is in force.
    Set,
}

/// State of a session that was taken up.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The names whose values are computed again when they are used, in words.
    pub computes: Option<String>,
}
