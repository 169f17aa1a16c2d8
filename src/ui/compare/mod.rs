//! Pictures side by side on a full screen: zoom and pan in lockstep, error, flicker and wipe.
//!
//! [`Comparison`] holds the pictures and their numbers, `View` says what of them is
//! visible, [`Compare`] draws it. The pictures come from values of a session or from the results of
//! a program.

mod draw;
mod model;
mod screen;
mod source;
mod view;

pub use model::{Candidate, Comparison};
pub use screen::{Compare, shows};
pub use source::{captioned, measured, of_pictures, of_values, pictures};

#[cfg(test)]
mod tests;
