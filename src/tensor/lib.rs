//! Tensors: the device, and the operators that the generators are made of, each with its gradient.
//!
//! Operators take and return candle tensors, `[N, C, H, W]` in single precision, of any batch, size
//! and number of channels. Each computes only the requested gradients, so frozen weights cost
//! nothing. First derivatives only: a gradient is not differentiated again. Results have the same
//! bits for any number of threads.
//!
//! This is the only crate of gannet with `unsafe` code: measured kernels, an allocator, and one call
//! at start.
//!
//! No gradient is lost silently. Every function here gives one to each tensor argument. [`Network`]
//! and [`Stack`], which hold their weights in a form of their own, give gradients to what they read
//! alone, and return `None` for tracked weights; callers fall back to the functions, or give the
//! weights of a network beside it to [`Network::trained`].

mod act;
mod alloc;
mod chain;
mod conv;
#[cfg(feature = "cuda")]
mod cuda;
mod depthwise;
mod device;
mod engine;
mod filtered;
mod filtered_conv;
mod fir;
mod grouped;
mod haar;
mod halves;
mod matmul;
mod modulated;
mod nearest;
mod norm;
mod parts;
mod planes;
mod raw;
#[cfg(test)]
mod reference;
#[cfg(test)]
#[path = "../rng.rs"]
#[allow(dead_code)]
mod rng;
mod separable;
mod smooth;
#[cfg(test)]
mod tests;

pub use act::{Activation, add_noise, bias_act, noise_bias_act, scale};
pub use alloc::{Reusing, release};
pub use chain::{Link, chain};
pub use conv::{conv_transpose2d, conv_transpose2d_to, conv2d};
#[cfg(feature = "cuda")]
pub use cuda::{allow_tf32, open as open_gpu};
pub use depthwise::depthwise;
pub use device::{computing, halves, own_threads_only, reduced, use_halves};
pub use engine::{Isa, Network, RgbConv, Stack, Stage, StyledConv, StyledWeight, ceiling, force};
pub use filtered::{FilteredLrelu, filtered_lrelu};
pub use filtered_conv::FilteredConv;
pub use fir::{Filter, Resample, down2, fir, up2};
pub use grouped::grouped_conv2d;
pub use haar::haar_up2;
pub use halves::{HalfWeight, half_conv, half_rgb};
pub use matmul::linear;
pub use modulated::{Weight, conv_up2, modulated_conv, modulated_conv_up2};
pub use nearest::{conv_nearest2, nearest2_kernel};
pub use norm::{Affine, FixedNorm};
pub use parts::in_parts;
pub use planes::sample_planes;
pub use separable::Separable;
pub use smooth::softplus;
