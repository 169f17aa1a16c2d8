//! Benchmarks against what is known to be true, and of speed.
//!
//! [`align`]: faces pasted anywhere, found and framed. [`edits`]: edits of held-out people against
//! the true pictures of those edits, for every inversion method and space. [`inversions`]: how
//! close every method, space and number of steps comes to their pictures. [`speed`]: how long
//! synthesis, its gradient and an inversion take, and how much memory.

pub mod align;
pub mod edits;
pub mod inversions;
mod labels;
mod memory;
pub mod model;
mod pairs;
mod plan;
mod read;
mod row;
mod setting;
mod setup;
mod shared;
pub mod speed;
mod tar;

pub use pairs::{Pairs, Person, Version};
pub use plan::{Calibrated, Edit, Plan, Request, Task};
pub use read::{Attribute, NetworkReader, Reader, Seen, Spread};
pub use row::{DEFINITIONS, Row, table};
pub use setting::{Setting, settings};
pub use setup::{EditSetup, Kind};
pub use shared::{Bench, Outcome};

#[cfg(test)]
mod tests;
