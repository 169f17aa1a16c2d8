//! Model files from outside, read without executing anything.
//!
//! [`open`] detects a file's container from its content and reads everything but the numbers. The
//! numbers of a tensor are read when [`Weights::take`] takes it. The meaning of the tensors, and
//! their names in other code bases, is defined by a [`layout`] of the family that takes them.
//!
//! # Threat model
//! A file may be made by an attacker. It can be refused, with one line that names file, offset and
//! rule; it cannot run code, abort the process, use more memory than a small multiple of its size,
//! or put control characters on a terminal. It is not verified that the weights are those that
//! their author meant. The sha256 shows whether two files are the same.
//!
//! ```no_run
//! use gannet::{limits::LIMITS, weights};
//! let mut checkpoint = weights::open("ffhq.pkl".as_ref(), &LIMITS)?;
//! println!("{}", checkpoint.weights.list().dtypes());
//! let mean = checkpoint.weights.take("mapping.w_avg", &[512])?;
//! # Ok::<(), gannet::error::Error>(())
//! ```

pub mod array;
mod backwards;
mod beside;
mod container;
mod containers;
#[cfg(test)]
pub(crate) mod dummy_container;
mod hdf5;
pub mod keras;
pub mod kinds;
pub mod layout;
mod lazy;
mod listed;
mod listing;
mod numpy;
mod nvidia;
mod openvino;
mod other;
mod pickle;
pub mod safetensors;
mod source;
mod tar;
mod tensorflow;
mod tensors;
mod torch;
mod zip;

pub use array::{Array, DType, Data};
pub use container::Network;
pub use listing::{Listing, OUTSIDE, Shape};
pub use numpy::npy;
pub use other::{Other, what_else};
pub use safetensors::Manifest;
pub use tensorflow::NAME as TENSORFLOW;
pub use tensors::Weights;
pub use torch::write::{Saved, write as write_torch};
pub use zip::write as write_zip;

use crate::error::Result;
use crate::limits::Limits;
use crate::words::hex;
use container::Draft;
use lazy::Spend;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use source::Source;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file's content: its metadata, and its tensors, unread.
#[derive(Clone)]
pub struct Checkpoint {
    /// The file's name, safe to print.
    pub file: String,
    /// The name of its container: `safetensors`, `nvidia-pickle`, `torch-zip`, ….
    pub format: &'static str,
    /// Origin of the weights, as far as the file states it.
    pub provenance: Json,
    /// Bytes of the file.
    pub bytes: u64,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// Its tensors, and what it says beside them.
    pub weights: Weights,
    source: Source,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("file", &self.file)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Checkpoint {
    /// Family named by the file's manifest: `stylegan2`, `encoder`, …; `None` without a manifest.
    pub fn family(&self) -> Option<&str> {
        self.weights.list().family.as_deref()
    }

    /// The settings that it holds beside the tensors; null for none.
    pub fn config(&self) -> &Json {
        &self.weights.list().config
    }

    /// Sha256 of the file, hexadecimal; reads all of it.
    ///
    /// # Errors
    /// When the file cannot be read to its end.
    pub fn sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut at = 0;
        while at < self.source.len() {
            let n = (self.source.len() - at).min(1 << 20);
            hash.update(self.source.read(at, n)?);
            at += n;
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Opens a file of any container, detected by its content, without reading tensor data.
///
/// A JSON configuration that lies beside the file comes with it ([`Listing::beside`]). A folder is
/// opened where its files make up one model ([`in_folder`]).
///
/// # Errors
/// One line with file, offset and rule when the file breaks its container's rules or a budget of
/// `limits`; `Io` when it cannot be read or is not a regular file.
pub fn open(path: &Path, limits: &Limits) -> Result<Checkpoint> {
    open_network(path, limits, Network::Generator)
}

/// As [`open`], for that network of a pickle of NVIDIA's that holds several; other files come with
/// all that they hold.
///
/// # Errors
/// As [`open`].
pub fn open_network(path: &Path, limits: &Limits, network: Network) -> Result<Checkpoint> {
    if path.is_dir()
        && let Some(file) = in_folder(path)?
    {
        return open_network(&file, limits, network);
    }
    let mut opened = checkpoint(Source::open(path, limits)?, limits, network)?;
    if opened.family().is_none() {
        let (settings, shared, note) = beside::read(path);
        opened.notes.extend(note);
        opened.weights.set_beside(settings, shared);
    }
    Ok(opened)
}

/// The file to open in a folder whose files make up one model; `None` for any other folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn in_folder(path: &Path) -> Result<Option<PathBuf>> {
    openvino::in_this(path)
}

/// As [`open`], for bytes in memory (the embedded model): errors call the file `name`.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(
    name: &str,
    bytes: impl Into<Cow<'static, [u8]>>,
    limits: &Limits,
) -> Result<Checkpoint> {
    checkpoint(Source::bytes(name, bytes), limits, Network::Generator)
}

/// Reads the arrays of a file of codes or directions: npy, npz, safetensors, torch. A bare array
/// has the name `""`.
///
/// # Errors
/// As [`open`], and when a number is not finite.
#[cfg(any(test, feature = "internals"))]
pub fn read_arrays(path: &Path, limits: &Limits) -> Result<BTreeMap<String, Array>> {
    open(path, limits)?.weights.arrays()
}

fn checkpoint(source: Source, limits: &Limits, network: Network) -> Result<Checkpoint> {
    let (format, draft, bytes) = containers::read(&source, limits, network)?;
    // The cost of reading every tensor once is bounded here, so taking needs no budget.
    let mut spend = Spend::new(bytes);
    draft.tensors.values().try_for_each(|t| t.charge(&mut spend))?;
    let Draft { family, classes, config, provenance, notes, tensors, order, whole } = draft;
    // The zip itself, rather than the networks in it, is what its sha256 identifies.
    let source = if format == openvino::FILES.name { whole.unwrap_or(source) } else { source };
    let listing = Listing { classes, family, config, order, ..Listing::default() };
    Ok(Checkpoint {
        file: source.name().to_string(),
        format,
        provenance,
        bytes: source.len(),
        notes,
        weights: Weights::of_file(source.name(), tensors, listing),
        source,
    })
}
