//! A kind of file that holds tensors.
//!
//! A container is a folder with a [`Container`], and one line in `CONTAINERS`. It gives the
//! location of a file's tensors and the settings stored beside them; it does not interpret the
//! tensors.

use super::lazy::Lazy;
use super::pickle::Loaded;
use super::source::Source;
use super::zip::Archive;
use crate::error::Result;
use crate::limits::Limits;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A kind of file.
pub(super) struct Container {
    /// Its name in reports and provenance.
    pub(super) name: &'static str,
    /// Whether a file with these first bytes, 16 at most, can be of that kind.
    pub(super) begins: fn(&[u8]) -> bool,
    /// Whether a file that begins so is of that kind.
    pub(super) holds: fn(&Probe<'_>) -> bool,
    /// Everything but the numbers.
    pub(super) read: fn(&Probe<'_>) -> Result<Draft>,
}

/// Findings of a container's reader.
#[derive(Default)]
pub(super) struct Draft {
    /// Family named by the file's manifest.
    pub(super) family: Option<String>,
    /// Class names of its modules.
    pub(super) classes: Vec<String>,
    /// The settings beside its tensors.
    pub(super) config: Json,
    /// Origin of the weights, as far as the file states it.
    pub(super) provenance: Json,
    /// Notes for the user.
    pub(super) notes: Vec<String>,
    /// Its tensors, unread.
    pub(super) tensors: BTreeMap<String, Lazy>,
    /// Their names in the order in which the file holds them, where its format has one.
    pub(super) order: Vec<String>,
    /// All bytes of a model of several files; `None` when it is the file that was opened.
    pub(super) whole: Option<Source>,
}

/// The network that is read of a file that holds several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The generator: its averaged copy where there is one.
    #[default]
    Generator,
    /// The discriminator.
    Discriminator,
    /// The encoder, where the file has one; else as the generator.
    Encoder,
}

/// A file as the containers look at it: its first bytes, and what is inside a zip or a pickle, read
/// once for all of them.
pub(super) struct Probe<'a> {
    pub(super) source: &'a Source,
    pub(super) limits: &'a Limits,
    /// The network that is wanted.
    pub(super) network: Network,
    /// The first 16 bytes.
    pub(super) head: Vec<u8>,
    /// The entries of a zip.
    pub(super) archive: Option<Archive>,
    /// The value of a pickle, that of a torch zip included.
    pub(super) pickle: Option<Loaded>,
}
