//! gannet: a terminal notebook for the latent spaces of GANs.
pub mod control;
pub mod error;
pub mod generator;
pub mod image;
pub mod lang;
pub mod latent;
pub mod limits;
pub mod render;
pub mod rng;
pub mod safe;
pub mod space;
pub mod weights;
pub mod tensor;
