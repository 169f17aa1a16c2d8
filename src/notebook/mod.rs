//! A session that is never lost: an append-only journal of what was acknowledged, and its replay.

mod journal;
mod record;
mod replay;
mod session;

pub use journal::{Journal, Reading, read_journal};
pub use record::{Cell, Header, Picture, Record, Status};
pub use replay::{Session, replay};
pub use session::{Opened, SessionInfo, create, latest, open, sessions};
