//! What is collected from a pickle: tensors under dotted names with settings beside them, within
//! the limits of a file.

use super::super::array::{DType, Layout};
use super::super::beside;
use super::super::container::{Draft, Probe};
use super::super::hex;
use super::super::lazy::Lazy;
use super::super::numpy::npy;
use super::super::pickle::Loaded;
use super::super::pickle::value::{Heap, Ndarray, Node, Place, Storage, Tensor, Value};
use super::super::source::{Source, one_line, quoted};
use crate::error::{Error, Result};
use crate::limits::Limits;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// Settings kept from one file.
const SETTINGS: usize = 20_000;

/// Attributes of modules that are looked at in one file: those that are no settings count here, and
/// what several names share counts for each.
const LOOKED: usize = 1 << 20;

/// Keys that are named of a file without tensors.
const KEYS: usize = 6;

/// Names of classes kept from one file.
const CLASSES: usize = 256;

/// Bytes of the source code of a network.
const CODE: u64 = 1 << 20;

/// Bytes of a tensor's dotted name.
const NAME: usize = 1024;

/// A loaded pickle on its way to a draft.
pub(in crate::weights) struct Tree<'a> {
    pub(in crate::weights) source: &'a Source,
    limits: &'a Limits,
    loaded: &'a Loaded,
    pub(in crate::weights) draft: Draft,
    settings: usize,
    looked: usize,
    modules: usize,
}

impl<'a> Tree<'a> {
    /// The value of a file's pickle, before collection.
    pub(in crate::weights) fn new(probe: &'a Probe<'_>, loaded: &'a Loaded) -> Self {
        let Probe { source, limits, .. } = *probe;
        Self { source, limits, loaded, draft: Draft::default(), settings: 0, looked: 0, modules: 0 }
    }

    pub(in crate::weights) fn heap(&self) -> &'a Heap {
        &self.loaded.heap
    }

    /// Counts a module of that class, which may hold others; a shared one counts at each use.
    pub(super) fn enter(&mut self, class: &str, at: u64) -> Result<()> {
        self.modules += 1;
        if self.modules > self.limits.tensors {
            return Err(self
                .source
                .fail(at, format_args!("at most {} modules", self.limits.tensors)));
        }
        let classes = &mut self.draft.classes;
        if classes.len() < CLASSES && !classes.iter().any(|c| c == class) {
            classes.push(class.to_owned());
        }
        Ok(())
    }

    /// The draft, if anything was found.
    pub(in crate::weights) fn finish(self) -> Result<Draft> {
        if self.draft.tensors.is_empty() {
            let e = self.source.fail(0, "at least one tensor is needed, none was found");
            return Err(self.settings_alone(e));
        }
        Ok(self.draft)
    }

    /// Adds to the error of a file without tensors what it holds, and which files beside it may
    /// hold the weights.
    fn settings_alone(&self, e: Error) -> Error {
        let keys = self.draft.config.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let keys: Vec<&str> = keys.take(KEYS).collect();
        if keys.is_empty() {
            return e;
        }
        let e = e.note(format!("it holds settings alone: {}", one_line(&keys.join(", "))));
        match &self.source.path().map(beside::models).unwrap_or_default()[..] {
            [] => e.hint("give the file that holds the weights"),
            files => e.hint(format!("the weights are in another file: {}", files.join(" or "))),
        }
    }

    /// Counts an attribute that is looked at; false when there were too many.
    pub(super) fn look(&mut self) -> bool {
        self.looked += 1;
        self.looked <= LOOKED
    }

    /// A scalar as JSON, as long as there are not too many. Other values do not count: a module has
    /// a dozen empty ones.
    pub(in crate::weights) fn setting(&mut self, value: &Value) -> Option<Json> {
        let json = scalar(value)?;
        self.settings += 1;
        (self.settings <= SETTINGS).then_some(json)
    }

    /// Adds a number as a tensor without dimensions.
    pub(in crate::weights) fn number(&mut self, name: &str, value: &Value) -> Result<()> {
        let at = self.heap().at(value);
        let number = match value {
            Value::Float(x) => *x as f32,
            Value::Int(n) => *n as f32,
            _ => {
                return Err(self.source.fail(at, format_args!("{} is not a number", quoted(name))));
            }
        };
        let bytes = Source::bytes(self.source.name(), number.to_le_bytes().to_vec());
        let lazy = Lazy::new(bytes, DType::F32, Layout::rows(&[]), 0, self.limits)?;
        self.add(name, lazy, at)
    }

    /// The numbers of a tensor of at most `most`, row by row; `None` for other values.
    pub(in crate::weights) fn numbers(&mut self, value: &Value, most: usize) -> Option<Json> {
        let Some(Node::Tensor(t)) = self.heap().node(value) else { return None };
        let count = t.shape.iter().try_fold(1u64, |n, &size| n.checked_mul(size))?;
        // Larger ones do not count: spectral norm leaves a copy of each weight among the
        // attributes.
        if count > most as u64 {
            return None;
        }
        self.settings += count as usize;
        if self.settings > SETTINGS {
            return None;
        }
        let read = self.torch("", t, self.heap().at(value)).and_then(|t| t.load("")).ok()?;
        Some(Json::from(read.to_f64()))
    }

    /// Adds the tensor or NumPy array of a name.
    pub(in crate::weights) fn tensor(&mut self, name: &str, value: &Value) -> Result<()> {
        let at = self.heap().at(value);
        let lazy = match self.heap().node(value) {
            Some(Node::Tensor(t)) => self.torch(name, t, at)?,
            Some(Node::Ndarray(Some(a))) => self.numpy(name, a, at)?,
            _ => {
                return Err(self.source.fail(at, format_args!("{} is not a tensor", quoted(name))));
            }
        };
        self.add(name, lazy, at)
    }

    /// The sha256 of the source code that a network holds under a key, hexadecimal; null where none
    /// is kept.
    pub(in crate::weights) fn source_hash(&self, network: &Value, key: &str) -> Result<Json> {
        let sha256 = |bytes: &[u8]| Json::from(hex(&Sha256::digest(bytes)));
        Ok(match self.heap().get(network, key) {
            Some(Value::Text(text)) => sha256(text.as_bytes()),
            Some(value) => match self.heap().node(value) {
                Some(Node::Bytes(code)) if code.len() <= CODE => sha256(&code.read(0, code.len())?),
                _ => Json::Null,
            },
            None => Json::Null,
        })
    }

    fn add(&mut self, name: &str, lazy: Lazy, at: u64) -> Result<()> {
        if self.draft.tensors.len() >= self.limits.tensors {
            return Err(self
                .source
                .fail(at, format_args!("at most {} tensors", self.limits.tensors)));
        }
        match self.draft.tensors.insert(name.to_string(), lazy) {
            None => {
                self.draft.order.push(name.to_owned());
                Ok(())
            }
            Some(_) => {
                Err(self.source.fail(at, format_args!("tensor {} appears twice", quoted(name))))
            }
        }
    }

    fn torch(&self, name: &str, t: &Tensor, at: u64) -> Result<Lazy> {
        let bytes = self.storage(name, &t.storage, at)?;
        let layout = Layout { shape: t.shape.clone(), strides: t.strides.clone() };
        Lazy::new(bytes, t.dtype, layout, t.first, self.limits)
            .map_err(|e| e.note(format!("tensor {}", quoted(name))))
    }

    /// A storage's bytes: exactly as many as it says, or more where the file pads them.
    fn storage(&self, name: &str, storage: &Storage, at: u64) -> Result<Source> {
        let bytes = match &storage.place {
            Place::At(source) => source,
            Place::Key(key) => self.loaded.places.get(key).ok_or_else(|| {
                let rule = format_args!(
                    "the storage {} of tensor {} is missing",
                    quoted(key),
                    quoted(name)
                );
                self.source.fail(at, rule)
            })?,
        };
        let size = storage.dtype.map_or(1, |d| d.size() as u64);
        match storage.len.checked_mul(size) {
            Some(want) if want <= bytes.len() => bytes.window(0, want),
            _ => Err(bytes.fail(
                0,
                format_args!(
                    "a storage of {} elements of {size} bytes needs more than its {} bytes",
                    storage.len,
                    bytes.len()
                ),
            )),
        }
    }

    fn numpy(&self, name: &str, a: &Ndarray, at: u64) -> Result<Lazy> {
        let Some((dtype, big)) = npy::dtype(&a.code) else {
            let rule =
                format_args!("NumPy type {} of {} is not read", quoted(&a.code), quoted(name));
            return Err(self.source.fail(at, rule));
        };
        let layout = if a.fortran { Layout::columns(&a.shape) } else { Layout::rows(&a.shape) };
        Ok(Lazy::new(a.data.clone(), dtype, layout, 0, self.limits)?.big_endian(big))
    }
}

/// Names are bounded, so that deep nesting cannot multiply long keys.
pub(in crate::weights) fn check_name(source: &Source, at: u64, name: &str) -> Result<()> {
    if name.len() <= NAME {
        Ok(())
    } else {
        Err(source.fail(at, format_args!("names have at most {NAME} bytes")))
    }
}

/// A scalar as JSON; containers, names and numbers that JSON lacks are `None`.
fn scalar(value: &Value) -> Option<Json> {
    match value {
        Value::Bool(b) => Some(Json::from(*b)),
        Value::Int(n) => i64::try_from(*n).ok().map(Json::from),
        Value::Float(x) => serde_json::Number::from_f64(*x).map(Json::Number),
        Value::Text(t) => Some(Json::from(&**t)),
        _ => None,
    }
}
