//! Model files from outside, read without executing anything.
//!
//! [`open`] tells a file's format from its content and reads its tensors into plain [`Array`]s;
//! [`inspect`] reads all but the numbers; [`convert`] turns a checkpoint into our own format,
//! safetensors with a [`Manifest`].
//!
//! # Threat model
//! A file may be made by an attacker. It can be refused, with one line that names file, offset and
//! rule; it cannot run code, abort the process, use more memory than a small multiple of its size,
//! or put control characters on a terminal. Not promised: that the weights are those their author
//! meant. The sha256 tells whether two files are the same.
//!
//! ```no_run
//! use gannet::{limits::LIMITS, weights};
//! let checkpoint = weights::open("ffhq.pkl".as_ref(), &LIMITS)?;
//! let bytes = weights::convert(&checkpoint)?;
//! # Ok::<(), gannet::error::Error>(())
//! ```

mod archive;
pub mod array;
mod lazy;
pub mod npy;
mod nvidia;
mod pickle;
pub mod remap;
pub mod safetensors;
mod source;
mod torch;

pub use archive::write as write_zip;
pub use array::{Array, DType, Data};
pub use remap::Weights;
pub use safetensors::Manifest;

use crate::error::Result;
use crate::limits::Limits;
use archive::Archive;
use lazy::{Lazy, Spend};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use source::Source;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors, ours or another's.
    Safetensors,
    /// A network pickle of stylegan2-ada-pytorch or stylegan3.
    NvidiaPickle,
    /// Another pickle that holds arrays.
    Pickle,
    /// `torch.save` since 1.6.
    TorchZip,
    /// `torch.save` before 1.6.
    TorchLegacy,
    /// One NumPy array.
    Npy,
    /// A zip of NumPy arrays.
    Npz,
}

impl Format {
    /// Its name in reports and provenance.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::NvidiaPickle => "nvidia-pickle",
            Self::Pickle => "pickle",
            Self::TorchZip => "torch-zip",
            Self::TorchLegacy => "torch-legacy",
            Self::Npy => "npy",
            Self::Npz => "npz",
        }
    }
}

/// What is known of a tensor before its numbers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The type of its elements in the file.
    pub dtype: DType,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
}

/// A file's content: what it says of itself, and its tensors.
#[derive(Clone, Debug)]
pub struct Checkpoint<T = Array> {
    /// The file's name, safe to print.
    pub file: String,
    /// Its format.
    pub format: Format,
    /// Family of the generator, when it is known: `stylegan2`.
    pub family: Option<String>,
    /// The generator's settings; null when the file has none.
    pub config: Json,
    /// Where the weights come from, as far as the file says.
    pub provenance: Json,
    /// Sha256 of the file, hexadecimal.
    pub sha256: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// By name.
    pub tensors: BTreeMap<String, T>,
}

/// A checkpoint whose numbers were not read.
pub type Info = Checkpoint<Shape>;

impl<T> Checkpoint<T> {
    /// How many tensors there are of each type, as `f32 ×48, f16 ×2`.
    fn summary(&self, dtype: impl Fn(&T) -> DType) -> String {
        let mut counts: BTreeMap<DType, usize> = BTreeMap::new();
        self.tensors.values().for_each(|t| *counts.entry(dtype(t)).or_default() += 1);
        let parts: Vec<String> = counts.iter().map(|(d, n)| format!("{} ×{n}", d.name())).collect();
        parts.join(", ")
    }
}

impl Checkpoint {
    /// How many tensors there are of each type, as `f16 ×2, f32 ×48`.
    pub fn dtypes(&self) -> String {
        self.summary(Array::dtype)
    }

    /// Moves the tensors out, to be taken one by one.
    pub fn into_weights(self) -> Weights {
        Weights::new(self.file, self.tensors)
    }
}

impl Info {
    /// How many tensors there are of each type, as `f16 ×2, f32 ×48`.
    pub fn dtypes(&self) -> String {
        self.summary(|s| s.dtype)
    }

    /// Number of values in all tensors.
    pub fn values(&self) -> u64 {
        self.tensors.values().map(|s| s.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }
}

/// What a format's reader finds.
struct Draft {
    format: Format,
    family: Option<String>,
    config: Json,
    provenance: Json,
    notes: Vec<String>,
    tensors: BTreeMap<String, Lazy>,
    /// Bytes of a zip's entries.
    unpacked: u64,
}

impl Draft {
    fn new(format: Format) -> Self {
        let (config, provenance, notes) = (Json::Null, Json::Null, Vec::new());
        Self {
            format,
            family: None,
            config,
            provenance,
            notes,
            tensors: BTreeMap::new(),
            unpacked: 0,
        }
    }
}

/// Reads a file: any format of [`Format`], told by its content.
///
/// # Errors
/// One line with file, offset and rule when the file breaks its format's rules or a budget of
/// `limits`; `Io` when it cannot be read or is not a regular file.
pub fn open(path: &Path, limits: &Limits) -> Result<Checkpoint> {
    load(&Source::open(path, limits)?, limits)
}

/// As [`open`], for bytes in memory (the embedded model): `name` stands for the file in errors.
pub fn open_bytes(
    name: &str,
    bytes: impl Into<Cow<'static, [u8]>>,
    limits: &Limits,
) -> Result<Checkpoint> {
    load(&Source::bytes(name, bytes), limits)
}

/// Reads everything about a file but the numbers of its tensors.
///
/// # Errors
/// As [`open`], except that values are not checked for being finite.
pub fn inspect(path: &Path, limits: &Limits) -> Result<Info> {
    let source = Source::open(path, limits)?;
    let draft = draft(&source, limits)?;
    finish(&source, draft, |_, lazy, spend| {
        lazy.charge(spend)?;
        Ok(Shape { dtype: lazy.dtype, shape: lazy.shape() })
    })
}

/// What a file in our own format says of itself, read from its head alone: no number is looked at,
/// no hash computed.
///
/// # Errors
/// As [`open`], and when the file has no manifest.
pub fn manifest(path: &Path, limits: &Limits) -> Result<Manifest> {
    manifest_of(&Source::open(path, limits)?, limits)
}

/// As [`manifest`], for bytes in memory.
pub fn manifest_of_bytes(
    name: &str,
    bytes: impl Into<Cow<'static, [u8]>>,
    limits: &Limits,
) -> Result<Manifest> {
    manifest_of(&Source::bytes(name, bytes), limits)
}

fn manifest_of(source: &Source, limits: &Limits) -> Result<Manifest> {
    let Draft { family, config, provenance, .. } = draft(source, limits)?;
    let family = family.ok_or_else(|| {
        source.fail(0, "the file must say what it is (metadata `gannet`), it does not")
    })?;
    Ok(Manifest { format: safetensors::FORMAT, family, config, provenance })
}

/// Reads the arrays of a file of codes or directions: npy, npz, safetensors, torch. A bare array
/// has the name `""`.
///
/// # Errors
/// As [`open`].
pub fn read_arrays(path: &Path, limits: &Limits) -> Result<BTreeMap<String, Array>> {
    let source = Source::open(path, limits)?;
    let draft = draft(&source, limits)?;
    load_all(&source, draft.tensors, draft.unpacked)
}

fn load(source: &Source, limits: &Limits) -> Result<Checkpoint> {
    let draft = draft(source, limits)?;
    finish(source, draft, |name, lazy, spend| lazy.load(name, spend))
}

fn load_all(
    source: &Source,
    tensors: BTreeMap<String, Lazy>,
    unpacked: u64,
) -> Result<BTreeMap<String, Array>> {
    let mut spend = Spend::new(source.len().saturating_add(unpacked));
    tensors
        .into_iter()
        .map(|(name, lazy)| lazy.load(&name, &mut spend).map(|a| (name, a)))
        .collect()
}

/// Turns a draft into a checkpoint; each tensor's storage is let go as soon as the tensor is made.
fn finish<T>(
    source: &Source,
    draft: Draft,
    make: impl Fn(&str, Lazy, &mut Spend) -> Result<T>,
) -> Result<Checkpoint<T>> {
    let mut spend = Spend::new(source.len().saturating_add(draft.unpacked));
    let tensors = draft
        .tensors
        .into_iter()
        .map(|(name, lazy)| make(&name, lazy, &mut spend).map(|t| (name, t)));
    Ok(Checkpoint {
        tensors: tensors.collect::<Result<_>>()?,
        file: source.name().to_string(),
        format: draft.format,
        family: draft.family,
        config: draft.config,
        provenance: draft.provenance,
        notes: draft.notes,
        sha256: sha256(source)?,
        bytes: source.len(),
    })
}

/// Tells the format by its first bytes and reads all but the numbers.
fn draft(source: &Source, limits: &Limits) -> Result<Draft> {
    let head = source.read(0, source.len().min(16))?;
    match &head[..] {
        // Before the pickles: a header of 640 bytes begins like one (0x80 0x02).
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => safetensors::read(source, limits),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => from_zip(source, limits),
        h if h.starts_with(npy::MAGIC) => {
            let mut draft = Draft::new(Format::Npy);
            draft.tensors.insert(String::new(), npy::read(source, limits)?);
            Ok(draft)
        }
        [0x80, 2..=5, ..] => torch::from_pickle(source, limits),
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors::read(source, limits),
        h => {
            let what = match h {
                [0x89, b'H', b'D', b'F', ..] => "this is HDF5, which is not read",
                [0x1f, 0x8b, ..] => "this is a gzip file; unpack it first",
                [b'<', ..] => "this is a web page, not a model: the download failed",
                [b'v', b'e', b'r', b's', b'i', b'o', b'n', ..] => {
                    "this is a Git LFS pointer, not the file itself"
                }
                _ => "this is none of safetensors, a pickle, a torch file, npy or npz",
            };
            Err(source.fail(0, what))
        }
    }
}

fn from_zip(source: &Source, limits: &Limits) -> Result<Draft> {
    let archive = Archive::open(source, limits)?;
    let is_main = |n: &&String| *n == "data.pkl" || n.ends_with("/data.pkl");
    let mains: Vec<&String> = archive.entries.keys().filter(is_main).collect();
    match mains[..] {
        [main] => return torch::from_zip(&archive, main, limits),
        [] => {}
        _ => return Err(source.fail(0, "zip: a torch file has one data.pkl")),
    }
    let mut draft = Draft { unpacked: archive.unpacked, ..Draft::new(Format::Npz) };
    for (name, entry) in &archive.entries {
        let Some(name) = name.strip_suffix(".npy") else {
            return Err(entry.fail(
                0,
                "zip: a torch file has data.pkl, an npz only .npy entries; this is neither",
            ));
        };
        if !entry.read(0, entry.len().min(6))?.starts_with(npy::MAGIC) {
            return Err(entry.fail(0, "the entry is no NumPy array"));
        }
        draft.tensors.insert(name.to_string(), npy::read(entry, limits)?);
    }
    if draft.tensors.is_empty() {
        return Err(source.fail(0, "at least one tensor is needed, the archive is empty"));
    }
    Ok(draft)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(source: &Source) -> Result<String> {
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < source.len() {
        let n = (source.len() - at).min(1 << 20);
        hash.update(source.read(at, n)?);
        at += n;
    }
    Ok(hex(&hash.finalize()))
}

/// Sha256 over the tensors as f32, hexadecimal: the same before and after conversion, whatever the
/// file around them.
///
/// Sorted by name; of each: the name's length and bytes, the rank, the sizes (u64, little endian),
/// the values (f32, little endian). Tensors that follow from the settings ([`remap::derived`]) are
/// left out.
pub fn fingerprint(tensors: &BTreeMap<String, Array>) -> String {
    let mut hash = Sha256::new();
    for (name, array) in tensors.iter().filter(|(n, _)| !remap::derived(n)) {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((array.shape.len() as u64).to_le_bytes());
        array.shape.iter().for_each(|&n| hash.update((n as u64).to_le_bytes()));
        array.each_f32_block(|block| hash.update(block));
    }
    hex(&hash.finalize())
}

/// A checkpoint in our own format: its tensors as f32, its settings, and where it came from.
///
/// # Errors
/// When the checkpoint has no family (it is not known to be a generator) or no tensors.
pub fn convert(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let Some(family) = &checkpoint.family else {
        let e = crate::error::Error::runtime(format!(
            "{}: this is not a known generator",
            checkpoint.file
        ));
        return Err(
            e.hint("convert a StyleGAN2 network pickle or a safetensors file with a manifest")
        );
    };
    let mut source = json!({
        "format": checkpoint.format.name(),
        "sha256": checkpoint.sha256,
        "bytes": checkpoint.bytes,
    });
    if !checkpoint.provenance.is_null() {
        source["said"] = checkpoint.provenance.clone();
    }
    let manifest = Manifest {
        format: safetensors::FORMAT,
        family: family.clone(),
        config: checkpoint.config.clone(),
        provenance: json!({"source": source, "converted_by": concat!("gannet ", env!("CARGO_PKG_VERSION"))}),
    };
    safetensors::write_f32(&checkpoint.tensors, Some(&manifest))
}
