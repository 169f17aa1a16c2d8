//! Pictures side by side on a full screen: zoom and pan in lockstep, error, flicker and wipe.
//!
//! [`Comparison`] holds the pictures and their numbers, `View` says what of them is
//! visible, [`Compare`] draws it. The pictures come from values of a session or from the results of
//! a program.

mod draw;
mod model;
mod numbers;
mod screen;
mod source;
mod view;
mod words;

pub use model::{Candidate, Comparison};
pub use screen::Compare;
pub use source::{captioned, is_compared, measured, of_pictures, of_values, pictures, tabled};
pub use words::read;

#[cfg(test)]
mod tests;
