//! State that both sides of a session share.

use super::Log;
use crate::error::{Error, Kind};
use crate::eval::State;
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

/// The error when the other side of the session has ended.
pub(super) fn gone() -> Error {
    Error::new(Kind::Closed, "the session has ended")
}
