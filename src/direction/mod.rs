//! Directions in latent space: arithmetic, layers, joint conditioning, and reading them from files.
//!
//! A direction is data ([`crate::latent::Direction`], double precision); everything here takes and
//! returns it. W and W+ mix by lifting: a W direction is the same row in every layer.
//! Everything else that differs in space, size or generator is an error that names the repair.

mod apply;
mod arithmetic;
mod conditional;
mod forms;
mod linalg;
mod principal;
mod read;
mod spread;

pub use apply::{apply, difference};
pub use arithmetic::{add, at_layers, cosine, cosines, dot, fit, lift, norm, scale, sub, unit};
pub use conditional::{Conditioned, conditional};
pub use forms::{Forms, cosines_of};
pub use principal::{Component, principal};
pub use read::{
    Arrays, DEVIATIONS, Facts, Form, Source, component_stats, components, equal_rows, form,
    from_array, from_arrays, spaces_for, split,
};
pub use spread::Spread;

#[cfg(test)]
mod tests;
