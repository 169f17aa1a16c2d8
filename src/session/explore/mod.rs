//! Exploring a code: sliders, walks, style mixing and a map, as programs of the language.
//!
//! A [`Point`] holds all settings at one moment. [`Subject`] turns it into a program, and a
//! [`Renderer`] runs programs in a session of its own. An exported script therefore shows the same
//! picture as the exploration. [`Model`] adds the history, bookmarks and a state to compare with. No
//! part of it needs a terminal.

mod map;
mod model;
mod point;
mod program;
mod renderer;
mod rows;
mod subject;

pub use map::Map;
pub use model::{Model, Move, Part};
pub use point::{Noise, Pin, Point, Walk};
pub use program::Words;
pub use renderer::{Answer, Renderer};
pub use rows::Row;
pub use subject::{Axis, Subject, Term};

#[cfg(test)]
mod tests;
