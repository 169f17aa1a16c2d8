//! gannet: a terminal notebook for the latent spaces of GANs.

pub mod bench;
pub mod builtin;
pub mod builtins;
pub mod cli;
pub mod control;
pub mod device;
pub mod direction;
#[cfg(test)]
mod dummies;
pub mod error;
pub mod eval;
pub mod face;
pub mod generator;
pub mod image;
pub mod invert;
pub mod lang;
pub mod latent;
pub mod limits;
pub mod metric;
pub mod network;
pub mod render;
pub mod rng;
pub mod safe;
pub mod session;
pub mod space;
pub mod store;
pub mod ui;
pub mod value;
pub mod weights;
pub mod words;

pub use gannet_tensor as tensor;
