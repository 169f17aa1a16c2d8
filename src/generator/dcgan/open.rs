//! A plain generator out of a file that holds other things as well: discriminators, optimizers,
//! averaged copies.

use super::class;
use super::config::Config;
use super::infer::{self, Candidate};
use super::modules::Modules;
use crate::error::Result;
use crate::weights::{Listing, Weights};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Tensors of a file that is looked through at most.
const TENSORS: usize = 4000;

/// The names of a file's tensors here, each with its name there: those of a pickled module lose
/// the attributes that it keeps its children and tensors in.
fn names(listing: &Listing) -> BTreeMap<String, String> {
    const KEEPERS: [&str; 3] = ["_modules", "_parameters", "_buffers"];
    let plain = |name: &str| {
        name.split('.').filter(|word| !KEEPERS.contains(word)).collect::<Vec<_>>().join(".")
    };
    listing.tensors.keys().map(|name| (plain(name), name.clone())).collect()
}

/// The generators that a file holds.
fn candidates(listing: &Listing, names: &BTreeMap<String, String>) -> Vec<Candidate> {
    if names.len() > TENSORS {
        return Vec::new();
    }
    let here: Vec<&str> = names.keys().map(String::as_str).collect();
    infer::candidates(&here, &|name| Some(listing.shape(names.get(name)?)?.to_vec()))
}

/// Whether a file holds a plain generator.
pub(super) fn detect(listing: &Listing) -> bool {
    !candidates(listing, &names(listing)).is_empty()
}

/// The generator's tensors and its settings, what the file does not say inferred.
///
/// # Errors
/// When there are several generators, when something may be read in two ways, and when a tensor
/// cannot be read.
pub(super) fn open(weights: Weights) -> Result<(Weights, Json)> {
    let names = names(weights.list());
    let Some(found) = infer::choose(candidates(weights.list(), &names))? else {
        return Err(super::config::wrong("the file holds no plain generator".into()));
    };
    let listing = weights.list();
    let mut config = infer::settings(&found, &Modules::new(&listing.config, &listing.classes))?;
    let mut numbers = |name: &str| -> Result<Vec<f32>> {
        match names.get(name) {
            // A copy, because the layers take each tensor once themselves.
            Some(name) => Ok(weights.clone().take_any(name)?.flatten_all()?.to_vec1::<f32>()?),
            None => Ok(Vec::new()),
        }
    };
    class::tell(&found, &mut config, &mut numbers)?;
    let here: BTreeMap<&String, &String> = names.iter().map(|(new, old)| (old, new)).collect();
    let own = |old: &str| {
        here.get(&old.to_owned()).filter(|new| config.owns(new)).map(|new| (*new).clone())
    };
    let settings = serde_json::to_value(&config)
        .map_err(|e| super::config::wrong(format!("its settings cannot be written: {e}")))?;
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
