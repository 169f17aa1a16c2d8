//! Result of an inversion, its quality and its diagnosis.

mod assemble;
mod diagnosis;
mod inversion;
mod number;

pub(super) use assemble::assemble;
pub use diagnosis::{Diagnosis, Warning};
pub use inversion::Inversion;
pub use number::Number;
