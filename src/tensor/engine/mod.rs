//! The CPU engine: convolutions on blocks of sixteen channels, with gradients, for the instruction
//! set of the machine.
//!
//! [`Network`] runs a whole StyleGAN2 synthesis as one operator, [`Stack`] the convolutions of a
//! network that looks at pictures. The planar operators beside this folder compute the same from
//! single steps: they are what unusual filters and other devices use.
#![allow(unsafe_code)]
// Loops over registers count them; and a closure would lose the instruction set of the kernel
// around it.
#![allow(clippy::needless_range_loop, clippy::manual_map)]

mod blur;
mod buffer;
mod ceiling;
mod conv;
mod dense;
mod depthwise;
mod direct;
mod driver;
mod filtered;
mod finish;
mod full;
mod isa;
mod kernels;
mod lanes;
mod network;
#[cfg(test)]
mod network_tests;
mod pass;
mod pointwise;
mod portable;
mod products;
mod schemes;
mod separable;
mod slopes;
mod stack;
mod styled;
#[cfg(test)]
mod tests;
mod unit_distance;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use buffer::release;
pub use ceiling::ceiling;
pub(super) use dense::{times, times_transposed};
pub(super) use depthwise::depthwise_rows;
pub(super) use filtered::Between;
pub(super) use full::FullConv;
pub use isa::{Isa, force};
pub use network::{Network, Stage};
pub(super) use separable::{Band, Finish as FinishRows, PlaneBack, Through, taps_back};
pub use stack::Stack;
pub use styled::{RgbConv, StyledConv, StyledWeight};
