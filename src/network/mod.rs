//! Networks that are not generators: what looks at pictures.

mod trunk;

pub use trunk::Trunk;
