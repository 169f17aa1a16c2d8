//! The user interface: the prompt, the live view of running work, full screens, and plain lines
//! without a terminal.
//!
//! The terminal has one owner at a time, as a type: [`Terminal<Line>`](terminal::Terminal) reads
//! and prints; a [`Terminal<Live>`](terminal::Live) or a [`Terminal<Full>`](full::Full) borrows it,
//! draws, and returns it in its previous state. All output goes through one [`Screen`].

mod ascii;
pub mod assist;
mod chart;
pub mod commands;
pub mod compare;
pub mod complete;
pub mod context;
pub mod docs;
pub mod doctor;
pub mod explore;
mod format;
pub mod full;
mod glossary;
pub mod help;
mod history;
mod inline;
pub mod line;
mod line_keys;
mod listing;
pub mod live;
pub mod notebook;
mod pace;
mod pager;
mod pen;
pub mod plain;
mod preview;
pub mod repl;
mod report;
pub mod restore;
pub mod runner;
pub mod screen;
pub mod signals;
pub mod terminal;
mod view;
pub mod words;

pub use line::{Assist, Editor, Input, Keys};
pub use listing::Candidate;
pub use live::run_live;
pub use plain::{Verbosity, run_plain};
pub use repl::{ReplOptions, Resume};
pub use runner::{Runner, Style};
pub use screen::{Colour, Screen};
pub use terminal::{Line, Live, Terminal};
