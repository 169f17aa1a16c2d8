//! gannet: a terminal notebook for the latent spaces of GANs.
pub mod control;
pub mod error;
pub mod generator;
pub mod lang;
pub mod latent;
pub mod limits;
pub mod rng;
pub mod safe;
pub mod space;
pub mod tensor;
pub mod weights;
