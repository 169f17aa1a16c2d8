//! What a family of generators gives: its layouts, its detection, its readers.

use super::{Generator, Spec};
use crate::error::{Error, Kind, Result};
use crate::weights::layout::Layout;
use crate::weights::{Listing, Weights};
use candle_core::Device;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::sync::Arc;

/// A family of generators.
pub struct Family {
    /// Its name, as in manifests: `stylegan2`.
    pub name: &'static str,
    /// One-line description.
    pub about: &'static str,
    /// The layouts in which its checkpoints come, our own first.
    pub layouts: &'static [&'static Layout],
    /// The layout of a file of this family; `None` for a file of another family. Not called
    /// for a file whose manifest names another family.
    pub detect: fn(&Listing) -> Option<&'static Layout>,
    /// Whether `detect` looks for a generator anywhere in a file, going by shapes. It is called
    /// once, for the whole file, when no other family knows any part of it. Else `detect` is called
    /// for the file and below the prefixes of its names (`generator/roots.rs`).
    pub anywhere: bool,
    /// Picks the generator's own tensors out of a file and completes the layout's settings from
    /// its tensors; `None` where rules and names suffice.
    pub prepare: Option<Prepare>,
    /// Describes the generator with these tensors and settings, without reading numbers.
    ///
    /// Fails when settings and shapes contradict each other, and on what is not supported.
    pub describe: fn(&Listing, &Config) -> Result<Spec>,
    /// Builds a generator; takes every tensor that it understands, each once.
    ///
    /// Fails as `describe`, and when a tensor is missing, of another shape or not finite.
    pub read: fn(&mut Weights, &Config, &Device) -> Result<Arc<dyn Generator>>,
}

/// See [`Family::prepare`].
pub type Prepare = fn(Weights, Json) -> Result<(Weights, Json)>;

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Settings of a generator, besides its tensors.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Fallback name where the settings give none: the file's stem.
    pub name: String,
    /// The family's settings, as the layout gives them; null for none.
    pub settings: Json,
    /// Sha256 over its tensors, hexadecimal; empty where they were not read.
    pub fingerprint: String,
}

impl Config {
    /// The settings as JSON. A nameless generator is called after its file.
    pub fn named(&self) -> Json {
        let mut settings =
            if self.settings.is_null() { serde_json::json!({}) } else { self.settings.clone() };
        if let Some(keys) = settings.as_object_mut()
            && !self.name.is_empty()
            && keys.get("name").is_none_or(Json::is_null)
        {
            keys.insert("name".into(), self.name.clone().into());
        }
        settings
    }
}

/// The setting that the tensors show, if a setting that is given is the same; `refuse` makes the
/// error of the family.
///
/// # Errors
/// When both are there and differ.
pub(super) fn agree<T: PartialEq + std::fmt::Debug>(
    refuse: fn(String) -> Error,
    key: &str,
    said: Option<T>,
    seen: T,
) -> Result<T> {
    match said {
        Some(said) if said != seen => {
            Err(refuse(format!("`{key}` is given as {said:?}, but the tensors say {seen:?}")).hint(
                "its configuration and its tensors do not belong together; leave the key out to \
                 trust the tensors",
            ))
        }
        _ => Ok(seen),
    }
}

/// Number of parameters: the numbers of all tensors but those whose names end with one of
/// `buffers`, which training does not change by gradients.
pub(super) fn parameters(listing: &Listing, buffers: &[&str]) -> usize {
    let trained = |name: &str| !buffers.iter().any(|end| name.ends_with(end));
    let trained = listing.tensors.iter().filter(|(name, _)| trained(name));
    trained.map(|(_, t)| t.shape.iter().product::<usize>()).sum()
}

/// Reads the settings of a manifest; unknown keys are ignored. `architecture` names the generator
/// in errors: `StyleGAN2`.
///
/// # Errors
/// For a value of another kind.
pub fn parse<T: DeserializeOwned>(settings: &Json, architecture: &str) -> Result<T> {
    T::deserialize(settings).map_err(|e| {
        Error::new(Kind::Format, format!("the model's configuration cannot be read: {e}")).hint(
            format!(
                "`config` of a {architecture} manifest may be left out: the shapes say the rest"
            ),
        )
    })
}
