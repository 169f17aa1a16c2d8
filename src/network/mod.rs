//! Networks that are not generators: what looks at pictures.

mod encoder;
mod trunk;

pub use encoder::{Encoder, EncoderConfig, PassNet};
pub use trunk::Trunk;

#[cfg(test)]
pub(crate) use encoder::tests as encoder_tests;
