//! The store of loaded generators.

use super::bundle;
pub use super::facts::{id_of, sizes};
pub use super::loaded::Loaded;
use super::toy;
use crate::error::{Error, Result};
use crate::lang::types::ModelFacts;
use crate::latent::ModelId;
use crate::safe::Safe;
use candle_core::Device;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// Names that `load` takes besides files.
pub const NAMES: [&str; 2] = ["faces", "toy"];

/// Number of generators kept although nothing refers to them: the checker loads a program's
/// generator before the program runs.
const RECENT: usize = 2;

/// Number of generator loads in this process.
static LOADS: AtomicUsize = AtomicUsize::new(0);

/// The generators of the process. Beside the [`RECENT`] last ones it keeps none alive: sessions
/// and values hold those that they use.
#[derive(Default)]
struct Registry {
    recent: VecDeque<Arc<Loaded>>,
    by_source: BTreeMap<String, Weak<Loaded>>,
    by_fingerprint: BTreeMap<String, Entry>,
}

/// Facts about a generator that was loaded before.
struct Entry {
    facts: Arc<ModelFacts>,
    /// The source that it was loaded from: a released one is loaded again.
    source: String,
    loaded: Weak<Loaded>,
}

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

static DEVICE: OnceLock<Device> = OnceLock::new();

/// Sets where generators are loaded to; only the first call counts, before anything is loaded.
pub fn set_device(device: Device) {
    let _ = DEVICE.set(device);
}

/// Device to which generators are loaded.
pub fn device() -> Device {
    DEVICE.get().cloned().unwrap_or(Device::Cpu)
}

/// A generator loaded earlier in this process. One that was released is loaded again; `None` when
/// its source is gone or holds another generator now.
pub fn loaded(id: &ModelId) -> Option<Arc<Loaded>> {
    let (found, source) = {
        let registry = registry();
        let entry = registry.by_fingerprint.get(&id.fingerprint)?;
        (entry.loaded.upgrade(), entry.source.clone())
    };
    let again = || load(&source).ok().filter(|l| l.facts.fingerprint == id.fingerprint);
    found.or_else(again)
}

/// A generator that is still loaded.
pub fn alive(id: &ModelId) -> Option<Arc<Loaded>> {
    registry().by_fingerprint.get(&id.fingerprint)?.loaded.upgrade()
}

/// Number of generator loads in this process. When it has changed, sessions check which generators
/// they still need.
pub fn loads() -> usize {
    LOADS.load(Ordering::Relaxed)
}

/// Facts about a generator loaded earlier in this process, even if it was released.
pub fn known(id: &ModelId) -> Option<Arc<ModelFacts>> {
    registry().by_fingerprint.get(&id.fingerprint).map(|entry| entry.facts.clone())
}

/// Loads a generator by name (`faces`, `toy`), from a file, or from a folder that holds
/// `generator.safetensors` and, optionally, `directions.safetensors`, `attributes.safetensors` and
/// `encoder.safetensors`. A source that is in use is not read again, unless it changed.
///
/// # Errors
/// When the file cannot be read, breaks a rule of its format, or is of an unknown family.
pub fn load(source: &str) -> Result<Arc<Loaded>> {
    let key = key(source);
    if let Some(l) = registry().by_source.get(&key).and_then(Weak::upgrade) {
        return Ok(l);
    }
    let loaded = Arc::new(read(source, &device())?);
    LOADS.fetch_add(1, Ordering::Relaxed);
    let mut registry = registry();
    registry.recent.push_back(loaded.clone());
    if registry.recent.len() > RECENT {
        registry.recent.pop_front();
    }
    registry.by_source.retain(|_, l| l.strong_count() > 0);
    registry.by_source.insert(key, Arc::downgrade(&loaded));
    // The same weights may come bare and with their directions: the richer one serves both.
    let richer = |known: &Entry| {
        known.loaded.strong_count() > 0
            && known.facts.directions.len() >= loaded.facts.directions.len()
    };
    if !registry.by_fingerprint.get(&loaded.facts.fingerprint).is_some_and(richer) {
        let entry = Entry {
            facts: loaded.facts.clone(),
            source: source.to_owned(),
            loaded: Arc::downgrade(&loaded),
        };
        registry.by_fingerprint.insert(loaded.facts.fingerprint.clone(), entry);
    }
    Ok(loaded)
}

fn read(source: &str, device: &Device) -> Result<Loaded> {
    let path = Path::new(source);
    match source {
        "faces" => bundle::faces(device),
        "toy" => toy::toy(device),
        _ if path.exists() => bundle::at(path, device),
        _ => {
            let names = NAMES.map(|n| format!("\"{n}\"")).join(", ");
            Err(Error::check(format!("there is no file {}", Safe(source))).hint(format!(
                "give the path of a checkpoint, or one of the built-in names {names}"
            )))
        }
    }
}

/// Name, size and time: a file that was replaced is read again.
fn key(source: &str) -> String {
    match std::fs::metadata(source) {
        Ok(m) => format!("{source}\0{}\0{:?}", m.len(), m.modified().ok()),
        Err(_) => source.to_owned(),
    }
}
