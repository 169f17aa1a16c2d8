//! Optimizers: from what a point is worth to the next point, one file each.
//!
//! An optimizer requests one evaluation at a time and receives its result (ask and tell). The loop
//! in `run` makes the evaluations, so the pictures of a batch share a pass through the generator
//! although each has its own optimizer. Every evaluation can be the last before a stop or a
//! checkpoint, even within a line search. A step may take one evaluation (Adam) or several (a line
//! search); some methods need no gradients.

mod adam;
mod adamax;
mod ball;
mod basincma;
mod cma;
#[cfg(test)]
pub(super) mod dummy_optimizer;
mod first_order;
mod hmc;
mod lbfgs;
mod lookahead;
mod ranger;
mod rmsprop;
mod sgd;
mod sphere;
pub(super) mod vectors;
mod wolfe;

pub use adam::Adam;
pub use adamax::Adamax;
pub use ball::Ball;
pub use basincma::BasinCma;
pub use cma::{Cma, Settings as CmaSettings, population};
pub use hmc::{Hmc, Settings as HmcSettings};
pub use lbfgs::{Lbfgs, Settings as LbfgsSettings};
pub use ranger::ranger;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use sphere::Sphere;

use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Result of the evaluation of the requested point.
#[derive(Clone, Copy, Debug)]
pub struct Worth<'e> {
    /// The loss, finite.
    pub loss: f64,
    /// Its gradients in the parameters' order; empty for an optimizer that reads none.
    pub gradients: &'e [Tensor],
    /// The learning rate of the schedule, for optimizers that have one.
    pub rate: f64,
    /// Seed of the random numbers of this image and phase: the same at every step. An optimizer
    /// derives a stream of its own for each draw, so a resumed run draws the same.
    pub seed: u64,
}

/// One part of an optimizer's state.
#[derive(Clone, Debug)]
pub enum Stored {
    /// In single precision, like the parameters.
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

    /// Takes the result `worth` of the point `at` and returns the point to evaluate next. `at` is
    /// the start at first, then always the point requested last. `None` once the optimizer cannot
    /// improve further.
    ///
    /// # Errors
    /// When the parameters change their number or shape on the way.
    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>>;

    /// One line about how it went, for the report of an inversion.
    fn report(&self) -> Option<String> {
        None
    }

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

/// Prefix of the parts of an optimizer within another.
const INNER: &str = "inner.";

/// The state of an optimizer within another.
fn nested(inner: &dyn Optimizer) -> Saved {
    inner.save().into_iter().map(|(name, part)| (format!("{INNER}{name}"), part)).collect()
}

/// The part of a saved state that [`nested`] made.
fn unnested(saved: &Saved) -> Saved {
    let own = |(name, part): (&String, &Stored)| {
        Some((name.strip_prefix(INNER)?.to_owned(), part.clone()))
    };
    saved.iter().filter_map(own).collect()
}

#[cfg(test)]
mod tests;
