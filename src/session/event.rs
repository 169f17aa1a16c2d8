//! Requests from a front end to a session, and events back.

use super::Cell;
use crate::builtin::Exploration;
use crate::control::Progress;
use crate::error::{Error, Result};
use crate::lang::span::Source;
use crate::latent::Code;
use crate::render::Block;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// A result of a statement.
#[derive(Clone, Debug)]
pub enum Given {
    /// A value: as blocks, and as JSON.
    Value(Vec<Block>, Json),
    /// A line for other programs.
    Print(String),
    /// A remark, for example about something that was left out.
    Note(String),
}

/// A request of a front end.
#[derive(Clone, Debug)]
pub enum Request {
    /// Checks a text as a whole, then runs each of its statements as a cell of the journal.
    Cells(String),
    /// Checks a program and runs it without a journal; `sets` overrides its parameters.
    Program {
        /// The program.
        source: Source,
        /// Values of parameters, by name.
        sets: BTreeMap<String, String>,
    },
    /// Undoes the last cell.
    Undo,
    /// Redoes the cell that was undone last.
    Redo,
    /// Gets the values of all names that have none yet, after a resume.
    Fetch,
    /// Continues the session of this name or path, or the latest one.
    Resume(Option<String>),
    /// The details of a value: of the one of this name, or of the last result that has any.
    Details(Option<String>),
    /// Changes an option.
    Set(Setting),
}

/// An option that can change while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The seed of random functions that are not given one.
    Seed(u64),
    /// Whether `name = value` shows the value.
    Echo(bool),
    /// Whether pictures are described in words.
    Describe(bool),
}

/// The place of a statement in the text that is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 1.
    pub number: usize,
    /// Number of statements.
    pub of: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Kind of the statement: `binding`, `show`, ….
    pub kind: &'static str,
}

/// A report about the running request.
///
/// After every event except [`Event::Begins`], [`Event::Progress`], [`Event::Explore`] and
/// [`Event::Done`] the session waits until the front end has handled it. A statement therefore
/// begins only after the results of the previous one were shown.
#[derive(Debug)]
pub enum Event {
    /// A statement begins.
    Begins {
        /// Its first line, shortened.
        title: String,
        /// Its place in its program; `None` for a cell that runs again.
        place: Option<Place>,
        /// Its cell, unless it is the first of its text.
        further: Option<Cell>,
    },
    /// The statement's progress.
    Progress(Progress),
    /// The results of a statement. Results of a cell are already on the disk.
    Given(Vec<Given>),
    /// The error of a cell, after its results.
    Failed(Source, Error),
    /// A line for the user.
    Line(String),
    /// A less important line.
    Quiet(String),
    /// Values are computed again, before the cell that uses them runs.
    Again {
        /// Their names.
        names: BTreeSet<String>,
        /// A line about them, with the numbers of the session's cells.
        line: String,
    },
    /// An error that does not belong to a cell.
    Trouble(Error),
    /// A statement explores a code. The session waits for the answer; without a screen the sender
    /// is dropped, and the code stays as it is.
    Explore {
        /// The subject.
        what: Box<Exploration>,
        /// Takes the code that was chosen.
        answer: Sender<Chosen>,
    },
    /// The text of [`Request::Cells`] with its explored calls replaced by the chosen edits.
    Rewritten(String),
    /// The request is done.
    Done(Result<Reply>),
}

/// The answer to [`Event::Explore`].
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The code.
    pub code: Code,
    /// The code as an expression of the program. It takes the place of the call in the journal.
    pub written: String,
}

impl Chosen {
    /// The code as it was given: the user left the screen without taking another one.
    pub fn unchanged(what: &Exploration) -> Self {
        Self { code: what.code.clone(), written: what.written.clone() }
    }
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Whether all statements ran to the end.
    Ran(bool),
    /// The cell that was undone or redone; `None` when there was nothing to undo or redo.
    Moved(Option<Arc<Cell>>),
    /// A session was resumed; `None` when none was found, or it is the current one.
    Resumed(Option<Resumed>),
    /// The details of a value; `None` when no result has any yet.
    Details(Option<Vec<Block>>),
    /// The setting is in force.
    Set,
}

/// State of a session that was resumed.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The names whose values are recomputed when they are used, as text.
    pub computes: Option<String>,
}
