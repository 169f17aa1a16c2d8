//! The store of loaded generators: one for each session, shared by its states.

use super::bundle;
use super::embedded;
use super::loaded::Loaded;
use super::shelf;
use super::toy;
use super::types::forms_type;
use crate::error::{Error, Result};
use crate::lang::types::{CodeType, Companion, Generators, ModelFacts};
use crate::latent::ModelId;
use crate::safe::Safe;
use crate::space::Space;
use candle_core::Device;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Built-in generators that [`Models::load`] takes by name.
pub const NAMES: [&str; 3] = ["faces", "icgan", "toy"];

/// Number of generators that are kept without a reference to them. The checker loads a program's
/// generator before the program runs.
const RECENT: usize = 2;

/// The loaded generators of a session.
///
/// The store keeps only the two generators that were loaded last. States and values hold the others
/// that they use, and the store remembers enough to load a released one again.
pub struct Models {
    device: Device,
    store: Mutex<Store>,
    loads: AtomicUsize,
}

#[derive(Default)]
struct Store {
    recent: VecDeque<Arc<Loaded>>,
    by_source: BTreeMap<String, Weak<Loaded>>,
    by_fingerprint: BTreeMap<String, Entry>,
}

/// A generator that was loaded before.
struct Entry {
    facts: Arc<ModelFacts>,
    /// Its source, to load it again after its release.
    source: String,
    loaded: Weak<Loaded>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Models {
    /// Makes an empty store that loads generators to this device.
    pub fn new(device: Device) -> Arc<Self> {
        Arc::new(Self { device, store: Mutex::default(), loads: AtomicUsize::new(0) })
    }

    /// Makes an empty store on the CPU.
    pub fn cpu() -> Arc<Self> {
        Self::new(Device::Cpu)
    }

    /// Device to which generators are loaded.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of loads so far. States check which generators they still need when it has changed.
    pub fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    /// Loads a generator by name ([`NAMES`]), from a file, or from a folder that holds
    /// `generator.safetensors` and, optionally, `directions.safetensors`, `attributes.safetensors`,
    /// `encoder.safetensors` and a file of each [`Companion`]; or by the name of one of these in
    /// the user's model folders ([`shelf::find`]). A file brings the networks that lie beside it. A
    /// source that is in use is not read again, unless it or one of them changed.
    ///
    /// # Errors
    /// When the file cannot be read, breaks a rule of its format, or is of an unknown family.
    pub fn load(&self, source: &str) -> Result<Arc<Loaded>> {
        let key = key(source);
        if let Some(l) = self.store().by_source.get(&key).and_then(Weak::upgrade) {
            return Ok(l);
        }
        let loaded = Arc::new(read(source, &self.device)?);
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.store().add(key, source, &loaded);
        Ok(loaded)
    }

    /// A generator loaded earlier. A released one is loaded again; `None` when its source is gone
    /// or holds another generator now.
    pub fn loaded(&self, id: &ModelId) -> Option<Arc<Loaded>> {
        self.by_fingerprint(&id.fingerprint)
    }

    fn by_fingerprint(&self, fingerprint: &str) -> Option<Arc<Loaded>> {
        let (found, source) = {
            let store = self.store();
            let entry = store.by_fingerprint.get(fingerprint)?;
            (entry.loaded.upgrade(), entry.source.clone())
        };
        let again = || self.load(&source).ok().filter(|l| l.facts.fingerprint == fingerprint);
        found.or_else(again)
    }

    /// The source that a generator was loaded from, and the file in which its encoder is found;
    /// `None` for the file where the generator has none of its own.
    pub fn source(&self, id: &ModelId) -> Option<(String, Option<PathBuf>)> {
        let source = self.store().by_fingerprint.get(&id.fingerprint)?.source.clone();
        let file = file_of(&source).map(|path| shelf::encoder_of(&path));
        Some((source, file))
    }

    /// A generator that is still in memory.
    pub fn alive(&self, id: &ModelId) -> Option<Arc<Loaded>> {
        self.store().by_fingerprint.get(&id.fingerprint)?.loaded.upgrade()
    }

    /// Facts about a generator loaded earlier, even after its release.
    pub fn known(&self, id: &ModelId) -> Option<Arc<ModelFacts>> {
        self.known_facts(&id.fingerprint)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generators for Models {
    fn load_facts(&self, source: &str) -> Result<Arc<ModelFacts>> {
        Ok(self.load(source)?.facts.clone())
    }

    fn known_facts(&self, fingerprint: &str) -> Option<Arc<ModelFacts>> {
        self.store().by_fingerprint.get(fingerprint).map(|entry| entry.facts.clone())
    }

    fn own_direction(
        &self,
        fingerprint: &str,
        name: &str,
        space: Option<Space>,
    ) -> Result<Option<CodeType>> {
        let Some(loaded) = self.by_fingerprint(fingerprint) else { return Ok(None) };
        Ok(loaded.direction(name, space)?.map(|found| forms_type(&found, self)))
    }
}

impl Store {
    fn add(&mut self, key: String, source: &str, loaded: &Arc<Loaded>) {
        self.recent.push_back(loaded.clone());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.by_source.retain(|_, l| l.strong_count() > 0);
        self.by_source.insert(key, Arc::downgrade(loaded));
        // The same weights may come with and without directions and networks; the richer entry
        // serves both.
        let brings =
            |facts: &ModelFacts| (facts.directions.len(), facts.encoder, facts.companions.len());
        let richer = |known: &Entry| {
            known.loaded.strong_count() > 0 && brings(&known.facts) >= brings(&loaded.facts)
        };
        let fingerprint = &loaded.facts.fingerprint;
        if !self.by_fingerprint.get(fingerprint).is_some_and(richer) {
            let entry = Entry {
                facts: loaded.facts.clone(),
                source: source.to_owned(),
                loaded: Arc::downgrade(loaded),
            };
            self.by_fingerprint.insert(fingerprint.clone(), entry);
        }
    }
}

/// The file or folder that a source names; `None` for what is built in, and where there is none.
fn file_of(source: &str) -> Option<PathBuf> {
    let path = Path::new(source);
    match () {
        () if NAMES.contains(&source) => None,
        () if path.exists() => Some(path.to_owned()),
        () => shelf::find(source),
    }
}

/// Name, size and time of a source and of the networks beside it, so that a replaced file is read
/// again.
fn key(source: &str) -> String {
    let Some(path) = file_of(source) else { return source.to_owned() };
    let stamp = |path: &Path| match std::fs::metadata(path) {
        Ok(m) => format!("{}\0{:?}", m.len(), m.modified().ok()),
        Err(_) => String::new(),
    };
    let companions = Companion::ALL.map(|kind| shelf::companion_of(&path, kind));
    let beside = companions.into_iter().chain([shelf::encoder_of(&path)]).map(|p| stamp(&p));
    format!("{source}\0{}\0{}", stamp(&path), beside.collect::<Vec<_>>().join("\0"))
}

fn read(source: &str, device: &Device) -> Result<Loaded> {
    let path = Path::new(source);
    match source {
        "faces" => bundle::embedded(&embedded::FACES, device),
        "icgan" => bundle::embedded(&embedded::ICGAN, device),
        "toy" => toy::toy(device),
        _ if path.exists() => bundle::at(path, device),
        _ => {
            if let Some(found) = shelf::find(source) {
                return bundle::at(&found, device);
            }
            let names = NAMES.map(|n| format!("\"{n}\"")).join(", ");
            Err(Error::check(format!("there is no file {}", Safe(source))).hint(format!(
                "give the path of a checkpoint, a name in your model folders (`gannet models`), or \
                 one of the built-in names {names}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::types::Type;
    use crate::value::Value;

    #[test]
    fn two_stores_share_nothing() {
        let (one, other) = (Models::cpu(), Models::cpu());
        let toy = one.load("toy").unwrap();
        let id = toy.id();
        assert!(Arc::ptr_eq(&toy, &one.load("toy").unwrap()), "it is in use: not made again");
        assert!(Arc::ptr_eq(&toy, &one.loaded(&id).unwrap()));
        assert_eq!((one.loads(), other.loads()), (1, 0));
        assert!(other.known(&id).is_none() && other.alive(&id).is_none());
        assert!(other.loaded(&id).is_none());
        assert_eq!(other.own_direction(&id.fingerprint, "smile", None).unwrap(), None);
        assert!(!Arc::ptr_eq(&toy, &other.load("toy").unwrap()));
    }

    #[test]
    fn a_store_keeps_the_facts_of_what_it_released() {
        let models = Models::cpu();
        let id = models.load("toy").unwrap().id();
        // The two generators loaded last are kept.
        models.load("faces").unwrap();
        models.load(concat!(env!("CARGO_MANIFEST_DIR"), "/models/faces")).unwrap();
        assert!(models.alive(&id).is_none() && models.known(&id).is_some());
        assert_eq!(models.loaded(&id).unwrap().id(), id);
        assert_eq!(models.loads(), 4);
    }

    #[test]
    fn facts_are_part_of_a_type_only_where_the_store_is_asked() {
        let models = Models::cpu();
        let toy = models.load("toy").unwrap();
        let all = toy.directions().unwrap();
        let smile = |space| Value::from(all.in_space("smile", space).unwrap().clone());
        let model = |ty: Type| match ty {
            Type::Direction(c) => c.model,
            Type::List(of) => match *of {
                Type::Direction(c) => c.model,
                _ => None,
            },
            other => panic!("{other}"),
        };
        let list = Value::list(vec![smile(Space::W), smile(Space::W)]).unwrap();
        for value in [smile(Space::S), list] {
            assert!(model(value.ty()).is_none());
            assert_eq!(model(value.ty_in(&*models)), Some(toy.facts.clone()));
            assert!(model(value.ty_in(&*Models::cpu())).is_none());
            assert_eq!(value.ty().to_string(), value.ty_in(&*models).to_string());
        }
        let e = models.load_facts("no such file").unwrap_err();
        assert!(e.repair().is_some_and(|r| r.contains("toy")), "{e}");
    }
}
