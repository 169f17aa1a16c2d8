//! Networks that are not generators.

mod encoder;

pub use encoder::{Encoder, EncoderConfig, PassNet};

#[cfg(test)]
pub(crate) use encoder::tests as encoder_tests;
