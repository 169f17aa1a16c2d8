//! Full screens: the alternate screen with text and pictures in one frame, keys and the mouse.
//!
//! [`Terminal::full`](crate::ui::Terminal::full) opens one; [`run()`] runs an [`App`] on it. An app
//! draws whole frames on a [`Canvas`]; a [`Compositor`] sends what changed. It needs no terminal,
//! and an app runs on any [`Stage`], so that both are tested without one.

mod cache;
mod canvas;
mod compositor;
mod keys;
mod owner;
mod pictures;
mod pixels;
mod run;

pub use canvas::{Canvas, Image};
pub use compositor::{Compositor, Frame};
pub use keys::{Input, Keys};
pub use owner::Full;
pub use run::{App, Change, Stage, control, run};

#[cfg(test)]
mod tests;
