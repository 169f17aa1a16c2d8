//! A plain generator out of a file that holds other things as well: discriminators, optimizers,
//! averaged copies.

use super::class::{self, Numbers};
use super::config::{Config, Shapes};
use super::infer::{self, Candidate};
use super::modules::Modules;
use crate::error::Result;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What a file holds, without its numbers.
pub struct File<'a> {
    /// The names of its tensors here, each with its name in the file.
    pub names: &'a BTreeMap<String, String>,
    /// The shape of a tensor by its name here.
    pub shape: &'a Shapes<'a>,
    /// What it holds beside the tensors.
    pub attributes: &'a Json,
    /// The names of the classes in it.
    pub classes: &'a [String],
}

/// The names of a file's tensors: those of a pickled module lose the attributes that it keeps its
/// children and tensors in.
pub fn names<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    const KEEPERS: [&str; 3] = ["_modules", "_parameters", "_buffers"];
    let plain = |name: &str| {
        name.split('.').filter(|word| !KEEPERS.contains(word)).collect::<Vec<_>>().join(".")
    };
    names.map(|name| (plain(name), name.to_owned())).collect()
}

impl File<'_> {
    /// The generators that it holds.
    fn candidates(&self) -> Vec<Candidate> {
        let names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        infer::candidates(&names, self.shape)
    }

    /// Whether it holds a plain generator.
    pub fn detect(&self) -> bool {
        !self.candidates().is_empty()
    }

    /// The settings of its generator, what it does not say inferred; `None` when it holds none.
    /// `numbers` reads a tensor by its name here.
    ///
    /// # Errors
    /// When there are several, when something may be read in two ways, and when a tensor cannot be
    /// read.
    pub fn settings(&self, numbers: &mut Numbers<'_>) -> Result<Option<Config>> {
        let Some(found) = infer::choose(self.candidates())? else { return Ok(None) };
        let mut config = infer::settings(&found, &Modules::new(self.attributes, self.classes))?;
        class::tell(&found, &mut config, numbers)?;
        Ok(Some(config))
    }
}

impl Config {
    /// Whether a tensor is the generator's; all others in its file are not read.
    pub fn owns(&self, name: &str) -> bool {
        let module = name.rsplit_once('.').map_or("", |(module, _)| module);
        self.layers.iter().any(|op| op.module() == Some(module))
            || self.class.table() == Some(module)
    }
}
