//! Pictures on a terminal: finds out what the terminal can do, and produces the bytes that show
//! them.
//!
//! Results in half blocks and for iTerm2 are printed by viuer (`viuer.rs`). Previews, which are
//! redrawn in place, and the other protocols have their own sinks.
//!
//! [`probe()`] queries the terminal once, with a deadline and without losing a key. A [`Painter`]
//! then turns a result, a list of [`Block`]s, into bytes: pictures side by side with captions, and
//! lines of text. Callers write the bytes.

pub mod answers;
pub mod block;
pub mod blocks;
pub mod chart;
pub mod detect;
pub mod environment;
pub mod file;
pub mod indexed;
pub mod iterm;
pub mod json;
pub mod kitty;
mod kitty_marks;
mod painter;
pub mod plot;
pub mod probe;
pub mod sink;
pub mod sinks;
pub mod sixel;
mod terminal;
pub mod text;
pub mod tmux;
mod viuer;

pub use block::{Block, Cell, Diagnostic, Number, Numbers, Picture, Table, words};
pub use chart::{Chart, Curve, Histogram, Plot};
pub use environment::Options;
pub use painter::{Painter, in_a_row};
pub use probe::{Probe, probe};
pub use sink::ImageSink;
pub use terminal::{Colours, Graphics, Protocol, Symbols, Terminal};
