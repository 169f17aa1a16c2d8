//! What a person sees: the prompt, the live view while something runs, and plain lines where there
//! is no terminal.
//!
//! One owner of the terminal at a time, as a type: [`Terminal<Line>`](terminal::Terminal) reads and
//! prints; a [`Terminal<Live>`](terminal::Live) borrows it, draws, and gives it back as it was.
//! Everything goes out through one [`Screen`].

pub mod assist;
mod commands;
mod complete;
mod context;
mod docs;
pub mod doctor;
mod format;
mod help;
mod history;
mod inline;
pub mod line;
pub mod live;
mod pace;
pub mod plain;
mod preview;
pub mod repl;
pub mod restore;
pub mod runner;
pub mod screen;
pub mod signals;
pub mod terminal;
mod view;
pub mod words;

pub use line::{Assist, Candidate, Editor, Input, Keys};
pub use live::run_live;
pub use plain::{Verbosity, run_plain};
pub use repl::{ReplOptions, Resume};
pub use runner::{Runner, Style};
pub use screen::{Colour, Screen};
pub use terminal::{Line, Live, Terminal};
