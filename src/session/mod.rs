//! A session that is never lost: cells, an append-only journal of them, and its replay.

pub mod cells;
mod effect;
pub mod event;
mod folder;
mod journal;
mod kept;
mod log;
pub mod recall;
mod record;
pub mod script;
mod values;

pub use folder::{Opened, SessionInfo, create, latest, open, sessions};
pub use journal::{Journal, Reading, read_journal};
pub use kept::Kept;
pub use log::{Log, replay};
pub use record::{Cell, Header, Picture, Record, Status};
pub use values::{Plan, Rebuilt, Run, Values, in_force, stopped};
