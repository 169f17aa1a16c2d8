//! Networks that are not generators: what looks at pictures.

mod trunk;

pub use trunk::{Parts, Trunk, all_taken, take, take_shaped};
