//! The full-screen notebook: cells of text and code in a plain file, with their results between
//! them.
//!
//! The model knows no terminal: `document` (the file as cells), `editor` (cursor, undo, search),
//! `outputs` and `file` (the disk), `model` (what is stale, and the session that runs cells).
//! `app` takes keys, `layout` and `view` draw; `rooms` are the screens above it.

mod app;
mod beside;
mod checker;
mod document;
mod editor;
mod events;
mod file;
mod headless;
mod keeping;
mod layout;
mod lists;
mod model;
mod modes;
mod open;
mod outputs;
mod play;
mod room;
mod rooms;
mod screen;
mod text;
mod vi;
mod view;

pub use app::NotebookApp;
pub use document::Document;
pub use headless::run_stale;
pub use model::Notebook;
pub use open::{NotebookOptions, folder_of, open};
pub use outputs::{Outputs, Piece, Ran, Status as RanStatus, text_hash};

#[cfg(test)]
mod rooms_tests;
#[cfg(test)]
mod tests;
