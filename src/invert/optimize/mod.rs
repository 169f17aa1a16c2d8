//! Optimizers: from what a point is worth to the next point, one file each.
//!
//! An optimizer asks for one evaluation at a time and is told its result (ask and tell). The loop
//! in `run` makes the evaluations, so the pictures of a batch share a pass through the generator
//! although each has an optimizer of its own, and every evaluation can be the last before a stop or
//! a checkpoint, also one within a line search. A step of a method may take one evaluation (Adam),
//! several (a line search) or no gradients at all.

mod adam;
mod lbfgs;
mod wolfe;

pub use adam::Adam;
pub use lbfgs::{Lbfgs, Settings as LbfgsSettings};

use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// What is told about the point that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Worth<'e> {
    /// The loss, finite.
    pub loss: f64,
    /// Its gradients in the parameters' order; empty for an optimizer that reads none.
    pub gradients: &'e [Tensor],
    /// The learning rate of the schedule, for optimizers that have one.
    pub rate: f64,
}

/// One part of an optimizer's state.
#[derive(Clone, Debug)]
pub enum Stored {
    /// In single precision, as the parameters are.
    Tensor(Tensor),
    /// In double precision.
    Numbers(Vec<f64>),
}

/// The state of an optimizer, by the names that it gives to its parts.
pub type Saved = BTreeMap<String, Stored>;

/// Finds better parameters, step by step.
pub trait Optimizer: Send {
    /// Its name: a saved state is only restored into an optimizer of the same name.
    fn name(&self) -> &'static str;

    /// Whether it reads gradients.
    fn gradients(&self) -> bool {
        true
    }

    /// The point to evaluate next, told what `at` is worth: the start at first, then always the
    /// point that was asked for last. `None` when nothing is left to gain.
    ///
    /// # Errors
    /// When the parameters change their number or shape on the way.
    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>>;

    /// Everything that the next call depends on.
    fn save(&self) -> Saved;

    /// Takes a saved state; the calls that follow give the same bits as if it had never been saved.
    ///
    /// # Errors
    /// When a part is missing or does not fit.
    fn restore(&mut self, saved: &Saved) -> Result<()>;
}

/// The numbers of that name.
///
/// # Errors
/// When there are none.
fn numbers<'s>(saved: &'s Saved, name: &str) -> Result<&'s [f64]> {
    match saved.get(name) {
        Some(Stored::Numbers(v)) => Ok(v),
        _ => Err(Error::runtime(format!("the saved optimizer lacks `{name}`"))),
    }
}

/// The tensors `name.0`, `name.1`, … as far as they go.
fn tensors(saved: &Saved, name: &str) -> Vec<Tensor> {
    let one = |i: usize| match saved.get(&format!("{name}.{i}")) {
        Some(Stored::Tensor(t)) => Some(t.clone()),
        _ => None,
    };
    (0..).map_while(one).collect()
}
