//! A pickle's result, flattened to tensors under dotted names with settings beside them.

use super::super::array::Layout;
use super::super::container::{Draft, Probe};
use super::super::lazy::Lazy;
use super::super::numpy::npy;
use super::super::pickle::Loaded;
use super::super::pickle::value::{Heap, Ndarray, Node, Place, Storage, Tensor, Value};
use super::super::source::{Source, quoted};
use super::module::{is_module, module};
use crate::error::Result;
use crate::limits::Limits;
use serde_json::Value as Json;

/// Settings kept from one file.
const SETTINGS: usize = 20_000;

/// Names of classes kept from one file.
const CLASSES: usize = 256;

/// Bytes of a tensor's dotted name.
const NAME: usize = 1024;

/// A loaded pickle on its way to a draft.
pub(in crate::weights) struct Tree<'a> {
    pub(in crate::weights) source: &'a Source,
    limits: &'a Limits,
    loaded: &'a Loaded,
    pub(in crate::weights) draft: Draft,
    settings: usize,
    modules: usize,
}

impl<'a> Tree<'a> {
    /// The value of a file's pickle, before collection.
    pub(in crate::weights) fn new(probe: &'a Probe<'_>, loaded: &'a Loaded) -> Self {
        let Probe { source, limits, .. } = *probe;
        Self { source, limits, loaded, draft: Draft::default(), settings: 0, modules: 0 }
    }

    pub(in crate::weights) fn heap(&self) -> &'a Heap {
        &self.loaded.heap
    }

    /// Everything below the value.
    pub(super) fn read(mut self) -> Result<Draft> {
        let root = &self.loaded.root;
        if self.tensorflow(root) {
            let e =
                self.source.fail(0, "a TensorFlow network pickle is recognised but not converted");
            return Err(e.hint("convert it to a PyTorch pickle with the official legacy.py"));
        }
        let rest = self.flatten("", root)?;
        self.draft.config = rest.unwrap_or(Json::Null);
        self.finish()
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
            return Err(self.source.fail(0, "at least one tensor is needed, none was found"));
        }
        Ok(self.draft)
    }

    /// Whether this is `(G, D, Gs)` of the TensorFlow code.
    fn tensorflow(&self, root: &Value) -> bool {
        let heap = self.heap();
        let network = |v: &Value| {
            heap.get(v, "build_func_name").or_else(|| heap.get(v, "static_kwargs")).is_some()
        };
        heap.items(root).iter().any(network)
    }

    /// Collects the tensors below a value; a value that is not a tensor is returned as a setting.
    fn flatten(&mut self, name: &str, value: &Value) -> Result<Option<Json>> {
        let heap = self.heap();
        check_name(self.source, heap.at(value), name)?;
        let inner =
            |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
        match heap.node(value) {
            Some(Node::Tensor(_) | Node::Ndarray(Some(_))) => {
                self.tensor(name, value).map(|()| None)
            }
            Some(Node::Object(..)) if is_module(heap, value) => {
                let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
                module(self, value, &prefix).map(Some)
            }
            Some(Node::Dict(_) | Node::Object(..)) => {
                let pairs = heap.pairs(value);
                let spread = is_spread(pairs);
                let mut rest = serde_json::Map::new();
                for (key, value) in pairs {
                    let Some(key) = key_text(key) else {
                        return Err(self
                            .source
                            .fail(heap.at(value), "the keys of a checkpoint are text or numbers"));
                    };
                    let key = if spread { key.strip_prefix(SPREAD).unwrap_or(&key) } else { &key };
                    if let Some(setting) = self.flatten(&inner(key), value)? {
                        rest.insert(key.to_owned(), setting);
                    }
                }
                Ok((!rest.is_empty()).then_some(Json::Object(rest)))
            }
            Some(Node::List(_) | Node::Tuple(_) | Node::Set(_)) => {
                let mut rest = Vec::new();
                for (i, value) in heap.items(value).iter().enumerate() {
                    rest.extend(self.flatten(&inner(&i.to_string()), value)?);
                }
                Ok((!rest.is_empty()).then_some(Json::Array(rest)))
            }
            _ => Ok(self.setting(value)),
        }
    }

    /// A scalar as JSON, as long as there are not too many.
    pub(in crate::weights) fn setting(&mut self, value: &Value) -> Option<Json> {
        self.settings += 1;
        if self.settings <= SETTINGS { scalar(value) } else { None }
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
        if self.draft.tensors.len() >= self.limits.tensors {
            return Err(self
                .source
                .fail(at, format_args!("at most {} tensors", self.limits.tensors)));
        }
        match self.draft.tensors.insert(name.to_string(), lazy) {
            None => Ok(()),
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

/// Prefix of the names of a state dict whose module was spread over several devices.
const SPREAD: &str = "module.";

/// Whether a dictionary is the state dict of such a module: all its names begin so.
fn is_spread(pairs: &[(Value, Value)]) -> bool {
    let begins = |(key, _): &(Value, Value)| matches!(key, Value::Text(t) if t.len() > SPREAD.len() && t.starts_with(SPREAD));
    !pairs.is_empty() && pairs.iter().all(begins)
}

fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::Text(t) => Some(t.to_string()),
        Value::Int(n) => Some(n.to_string()),
        _ => None,
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
