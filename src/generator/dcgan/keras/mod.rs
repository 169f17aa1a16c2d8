//! Generators that Keras wrote: whole models, weights with the model as JSON beside them, and the
//! weights of a few published recipes alone.
//!
//! A whole model states all its layers, so nothing is inferred. Weights do not show strides,
//! activations and layers without weights: those of a recipe are recognised ([`recipes`]), all
//! others are refused.

mod graph;
mod maker;
mod names;
mod recipes;
mod settings;
#[cfg(test)]
mod tests;

use super::config::wrong;
use crate::error::Result;
use crate::weights::keras::{self, Sort};
use crate::weights::{Listing, Weights};
use serde_json::{Value as Json, json};

/// Key of the layout's settings, by which [`open`] is called.
pub(super) const KEY: &str = "keras";

/// Whether Keras wrote a file, and it holds a generator.
pub(super) fn detect(listing: &Listing) -> bool {
    keras::sort(listing) == Some(Sort::Generator)
}

/// A mark in place of settings: they need the tensors' names.
pub(super) fn marked(_: &Listing) -> Result<Json> {
    Ok(json!({ KEY: true }))
}

/// The generator's tensors by our names, and its settings.
///
/// # Errors
/// For a layer that is not run, a layer whose tensors are missing, and weights of which nothing
/// says what lies between them.
pub(super) fn open(weights: Weights) -> Result<(Weights, Json)> {
    let listing = weights.list();
    let (chain, assumed) = match keras::model(listing).and_then(keras::generator) {
        Some(models) => (graph::chain(&models)?, Vec::new()),
        None => recipes::chain(listing)?,
    };
    let backend = keras::said(listing).and_then(|said| said.get("backend")?.as_str());
    let made = maker::make(&chain, listing, backend, assumed)?;
    let settings = serde_json::to_value(&made.config)
        .map_err(|e| wrong(format!("its settings cannot be written: {e}")))?;
    Ok((weights.placed(|name| made.tensors.get(name).cloned())?, settings))
}
