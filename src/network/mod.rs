//! Networks that are not generators: what looks at pictures.

mod backbone;
mod body;
pub mod discriminator;
mod encoder;
mod foreign;
#[cfg(test)]
pub(crate) mod formula;
mod hyper;
mod irse;
mod layers;
mod pair;
mod parts;
mod pool;
mod recogniser;
mod regressor;
mod residual;
mod resize;
mod resnet;
mod roots;
mod trunk;

pub use backbone::{Backbone, SMALLEST};
pub use discriminator::{Discriminator, Judged};
pub use encoder::{Encoder, EncoderConfig, Move, PassNet, Seen};
pub use foreign::{Foreign, Found, Host, MapOf, Place, find as find_foreign};
pub use hyper::{HyperConfig, HyperNet};
pub use pair::{PAIR, PairConfig, PairNet};
pub use parts::{PartsConfig, PartsHead};
pub use recogniser::Recogniser;
pub use regressor::{Places, REGRESSION, Regressor, RegressorConfig};
pub use residual::{ResidualConfig, ResidualNet};
pub use resize::{along, area_matrix, pool_to, resize_to};
pub use trunk::Trunk;

#[cfg(test)]
pub(crate) use encoder::tests as encoder_tests;
#[cfg(test)]
pub(crate) use hyper::tests as hyper_tests;
#[cfg(test)]
pub(crate) use residual::tests as residual_tests;
