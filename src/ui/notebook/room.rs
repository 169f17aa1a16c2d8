//! A screen above the notebook.

use crate::builtin::Exploration;
use crate::session::Chosen;
use crate::ui::compare::Compare;
use crate::ui::explore::Explorer;
use crate::ui::full::App;
use std::sync::mpsc::Sender;

/// A call of `explore` that waits for its answer.
pub struct Asked {
    /// What is explored.
    pub what: Box<Exploration>,
    /// Takes the code that was chosen. Dropped, the code stays as it is.
    pub answer: Sender<Chosen>,
}

/// A screen above the notebook.
pub(super) enum Room {
    Explore(Box<Explorer>, Asked),
    Compare(Box<Compare>),
}

impl Room {
    pub(super) fn app(&self) -> &dyn App {
        match self {
            Self::Explore(app, _) => &**app,
            Self::Compare(app) => &**app,
        }
    }

    pub(super) fn app_mut(&mut self) -> &mut dyn App {
        match self {
            Self::Explore(app, _) => &mut **app,
            Self::Compare(app) => &mut **app,
        }
    }
}
