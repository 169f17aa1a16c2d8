//! Networks that are not generators: what looks at pictures.

mod backbone;
pub mod discriminator;
mod encoder;
mod pool;
mod regressor;
mod resize;
mod trunk;

pub use backbone::{Backbone, SMALLEST};
pub use discriminator::{Discriminator, Judged};
pub use encoder::{Encoder, EncoderConfig, PassNet};
pub use regressor::{Places, REGRESSION, Regressor, RegressorConfig};
pub use resize::{along, area_matrix, resize_to};
pub use trunk::Trunk;

#[cfg(test)]
pub(crate) use encoder::tests as encoder_tests;
