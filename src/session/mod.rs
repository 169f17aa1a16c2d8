//! Sessions: a worker thread runs the cells, an append-only journal keeps them.
//!
//! A front end holds a [`Session`], submits a [`Request`], takes its [`Event`]s and reads a
//! [`Snapshot`] between requests. The prompt, scripts and every screen use it; it does not own a
//! terminal.

mod cells;
mod collect;
mod effect;
mod event;
pub mod explore;
mod handle;
mod inputs;
mod journal;
mod link;
mod log;
mod reactive;
pub mod recall;
mod record;
mod results;
mod rewrite;
pub mod script;
mod sessions;
mod snapshot;
mod values;
mod worker;

pub use event::{Chosen, Event, Given, Place, Reply, Request, Resumed, Setting};
pub use handle::{Session, Start};
pub use journal::{Journal, Reading, read_journal};
pub use log::{Log, replay};
pub use reactive::{Links, Reactive};
pub use record::{Cell, Header, Picture, Record, Status};
pub use results::is_result;
pub use sessions::{Opened, SessionInfo, create, latest, open, sessions};
pub use snapshot::Snapshot;
pub use values::{Plan, Rebuilt, Run, Values, in_force, stopped};

#[cfg(test)]
mod tests;
