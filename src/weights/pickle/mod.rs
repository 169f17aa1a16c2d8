//! A pickle reader that never executes code.
//!
//! A pickle is a program for a stack machine. This machine knows the opcodes of protocols 2 to 5
//! that model files use and the names of [`value::Global`], each of which only builds data. Any
//! other name is inert data: it may be a value, or the class of an object that is made without
//! arguments and given attributes, as pickled modules are. Calling it with arguments is refused;
//! there is no fallback. Every resource has a budget of [`crate::limits::Limits`]; storages stay in
//! the file until a tensor is read.

mod build;
mod latin;
mod machine;
pub(super) mod value;

use super::lazy::Spend;
use super::source::{Cursor, Source};
use crate::error::Result;
use crate::limits::Limits;
use std::collections::HashMap;
use std::rc::Rc;
use value::{Heap, Node, Place, Storage, Value};

/// First of the five pickles of a legacy torch file.
const TORCH_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// Whether a file begins like a pickle of a protocol that is read.
pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

/// The budgets that all pickles of one file share.
pub(super) struct Work<'a> {
    pub(super) limits: &'a Limits,
    /// Opcodes left.
    ops: u64,
    /// Bytes left that may be held in memory: everything but storages and long texts.
    bytes: u64,
    /// Bytes of text left that may be decoded to bytes.
    decode: Spend,
    /// Pickles in pickles, from the outermost.
    nesting: usize,
}

impl<'a> Work<'a> {
    /// The budgets for a file of `bytes`.
    pub(super) fn new(limits: &'a Limits, bytes: u64) -> Self {
        let decode = Spend::new(bytes);
        Self { limits, ops: limits.pickle_ops, bytes: limits.pickle_bytes, decode, nesting: 0 }
    }

    /// Takes `n` opcodes' worth of work.
    fn charge(&mut self, n: u64, source: &Source, at: u64) -> Result<()> {
        let most = self.limits.pickle_ops;
        self.ops = self.ops.checked_sub(n).ok_or_else(|| {
            source.fail(at, format_args!("a file's pickles have at most {most} opcodes"))
        })?;
        Ok(())
    }

    /// Takes `n` bytes of memory.
    fn hold(&mut self, n: u64, source: &Source, at: u64) -> Result<()> {
        let most = self.limits.pickle_bytes;
        self.bytes = self.bytes.checked_sub(n).ok_or_else(|| {
            source.fail(at, format_args!("a pickle has at most {most} bytes outside its storages"))
        })?;
        Ok(())
    }
}

/// A pickle's value.
pub(super) struct Loaded {
    pub(super) heap: Heap,
    pub(super) root: Value,
    /// Storages in the same file behind the pickles (legacy torch files).
    pub(super) places: HashMap<Rc<str>, Source>,
    /// Whether it was a legacy torch file.
    pub(super) torch: bool,
}

/// Reads a pickle, or the five pickles of a legacy torch file.
pub(super) fn load(source: &Source, work: &mut Work<'_>) -> Result<Loaded> {
    let mut cursor = source.cursor();
    let mut heap = Heap::default();
    let root = machine::run(&mut cursor, &mut heap, work)?;
    if !matches!(root, Value::Int(TORCH_MAGIC)) {
        return Ok(Loaded { heap, root, places: HashMap::new(), torch: false });
    }
    let protocol = machine::run(&mut cursor, &mut heap, work)?;
    if !matches!(protocol, Value::Int(1001)) {
        return Err(source.fail(cursor.at(), "torch's legacy protocol is 1001"));
    }
    let info = machine::run(&mut cursor, &mut heap, work)?;
    if matches!(heap.get(&info, "little_endian"), Some(Value::Bool(false))) {
        return Err(source.fail(cursor.at(), "big-endian torch files are not read"));
    }
    let root = machine::run(&mut cursor, &mut heap, work)?;
    let keys = machine::run(&mut cursor, &mut heap, work)?;
    let places = places(&mut cursor, &heap, &keys)?;
    Ok(Loaded { heap, root, places, torch: true })
}

/// The storages behind a legacy file's pickles: for each key an element count and the elements.
fn places(cursor: &mut Cursor, heap: &Heap, keys: &Value) -> Result<HashMap<Rc<str>, Source>> {
    let mut sizes: HashMap<Rc<str>, (u64, u64)> = HashMap::new();
    for storage in heap.storages() {
        if let Storage { dtype: Some(dtype), len, place: Place::Key(key) } = storage {
            sizes.insert(key.clone(), (dtype.size() as u64, *len));
        }
    }
    let mut out = HashMap::new();
    for key in heap.items(keys) {
        let at = cursor.at();
        let Value::Text(key) = key else {
            return Err(cursor.source().fail(at, "storage keys are text"));
        };
        let Some(&(size, len)) = sizes.get(key) else {
            return Err(cursor.source().fail(at, "a storage is listed that no tensor uses"));
        };
        let listed = u64::from_le_bytes(cursor.array()?);
        if listed != len {
            let rule = format_args!("a storage of {len} elements says that it has {listed}");
            return Err(cursor.source().fail(at, rule));
        }
        let bytes = len
            .checked_mul(size)
            .ok_or_else(|| cursor.source().fail(at, "the storage's size overflows"))?;
        if out.insert(key.clone(), cursor.part(bytes)?).is_some() {
            return Err(cursor.source().fail(at, "storage keys are unique"));
        }
    }
    Ok(out)
}

/// The storage that a nested legacy file (`torch.storage._load_from_bytes`) holds.
fn nested_storage(blob: &Source, work: &mut Work<'_>) -> Result<Storage> {
    if work.nesting > 1 {
        return Err(blob.fail(0, "torch files are nested at most twice"));
    }
    work.nesting += 1;
    let loaded = load(blob, work);
    work.nesting -= 1;
    let loaded = loaded?;
    let Some(Node::Storage(storage)) = loaded.heap.node(&loaded.root).filter(|_| loaded.torch)
    else {
        return Err(blob.fail(0, "nested bytes are a legacy torch file that holds one storage"));
    };
    let mut storage = storage.clone();
    if let Place::Key(key) = &storage.place {
        let Some(place) = loaded.places.get(key) else {
            return Err(blob.fail(0, "the storage's bytes are missing"));
        };
        storage.place = Place::At(place.clone());
    }
    Ok(storage)
}
