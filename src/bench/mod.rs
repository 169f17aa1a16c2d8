//! Benchmarks against what is known to be true.
//!
//! [`align`]: faces pasted anywhere, found and framed. [`edits`]: edits of held-out people against the true pictures of those edits, for every inversion method and space.

pub mod align;
pub mod edits;
mod labels;
pub mod model;
mod pairs;
mod plan;
mod read;
mod row;
mod tar;
mod way;

pub use edits::{Bench, Outcome};
pub use pairs::{Pairs, Person, Version};
pub use plan::{Calibrated, Edit, Plan, Request, Task};
pub use read::{Attribute, NetworkReader, Reader, Seen, Spread};
pub use row::{DEFINITIONS, Row, table};
pub use way::{Kind, Way};

#[cfg(test)]
mod tests;
