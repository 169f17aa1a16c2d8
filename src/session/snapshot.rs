//! State that both sides of a session share.

use super::Log;
use super::values::in_force;
use crate::error::{Error, Kind};
use crate::eval::State;
use crate::value::Value;
use crate::value::kept::Kept;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A session between two requests. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    /// Names, functions, the generator and the options.
    pub state: State,
    /// The cells in force and the undone ones.
    pub log: Log,
    /// Names of cells in force that have no value yet.
    pub missing: BTreeSet<String>,
    /// Name or path of the generator that the session began with.
    pub model: String,
    /// The journal, once there is one.
    pub journal: Option<PathBuf>,
}

impl Snapshot {
    /// The name of the latest result of `invert` or `ladder`.
    pub fn last_inversion(&self) -> Option<String> {
        let inverted = |name: &String, kept: &Kept| match self.state.names.get(name) {
            Some(Value::Table(table)) => !table.found.is_empty(),
            _ => kept.is_inversion(),
        };
        latest(&self.log, inverted)
    }
}

/// The name of the latest result of `invert` in the journal.
pub(super) fn last_inversion(log: &Log) -> Option<String> {
    latest(log, |_, kept| kept.is_inversion())
}

/// The name of the latest value in force that is so.
fn latest(log: &Log, is_so: impl Fn(&String, &Kept) -> bool) -> Option<String> {
    let cells = log.cells().iter().rev().filter(|c| in_force(c));
    let mut names = cells.flat_map(|c| c.values.iter());
    names.find(|(name, kept)| is_so(name, kept)).map(|(name, _)| name.clone())
}

/// The error when the other side of the session has ended.
pub(super) fn gone() -> Error {
    Error::new(Kind::Closed, "the session has ended")
}
