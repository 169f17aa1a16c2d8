//! A plain generator out of a file that holds other things as well: discriminators, optimizers,
//! averaged copies.

use super::class;
use super::config::{Config, wrong};
use super::infer::{self, Candidate};
use super::modules::Modules;
use crate::error::Result;
use crate::weights::{Listing, Weights};
use serde_json::Value as Json;

/// Tensors of a file that is looked through at most.
const TENSORS: usize = 4000;

/// The generators that a file holds.
fn candidates(listing: &Listing) -> Vec<Candidate> {
    if listing.tensors.len() > TENSORS {
        return Vec::new();
    }
    let names: Vec<&str> = listing.tensors.keys().map(String::as_str).collect();
    infer::candidates(&names, &|name| listing.shape(name).map(<[usize]>::to_vec))
}

/// Whether a file holds a plain generator.
pub(super) fn detect(listing: &Listing) -> bool {
    !candidates(listing).is_empty()
}

/// The generator's tensors and its settings, what the file does not say inferred.
///
/// # Errors
/// When there are several generators, when something may be read in two ways, and when a tensor
/// cannot be read.
pub(super) fn open(weights: Weights) -> Result<(Weights, Json)> {
    let listing = weights.list();
    let Some(found) = infer::choose(candidates(listing))? else {
        return Err(wrong("the file does not contain a plain generator".into()));
    };
    let mut config = infer::settings(&found, &Modules::new(&listing.config))?;
    let mut numbers = |name: &str| -> Result<Vec<f32>> {
        if !weights.has(name) {
            return Ok(Vec::new());
        }
        // From a copy, because the layers take each tensor once themselves.
        Ok(weights.clone().take_any(name)?.flatten_all()?.to_vec1::<f32>()?)
    };
    class::tell(&found, &mut config, &mut numbers)?;
    let settings = serde_json::to_value(&config)
        .map_err(|e| wrong(format!("its settings cannot be written: {e}")))?;
    let own = |name: &str| config.owns(name).then(|| name.to_owned());
    Ok((weights.chosen(own)?, settings))
}

impl Config {
    /// Whether a tensor is the generator's. The count of batches that a norm keeps is not.
    fn owns(&self, name: &str) -> bool {
        let Some((module, tensor)) = name.rsplit_once('.') else { return false };
        let mine = |op: &super::Op| op.module() == Some(module);
        tensor != "num_batches_tracked"
            && (self.layers.iter().any(mine) || self.class.table() == Some(module))
    }
}
