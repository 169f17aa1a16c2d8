//! A session that is never lost: an append-only journal of what was acknowledged, and its replay.

mod effect;
mod journal;
mod kept;
mod record;
mod replay;
mod session;
mod values;

pub use journal::{Journal, Reading, read_journal};
pub use kept::Kept;
pub use record::{Cell, Header, Picture, Record, Status};
pub use replay::{Session, replay};
pub use session::{Opened, SessionInfo, create, latest, open, sessions};
pub use values::{Plan, Rebuilt, Run, Values, in_force, stopped};
