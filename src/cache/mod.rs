//! Results that take long, kept from run to run by what they depend on.
//!
//! A result is named by a hash over everything that it depends on: the function, its arguments and
//! input files by content, the generator, the seed, the machine and the build ([`Key`]). It is a
//! file in a folder of bounded size, see [`Pool`]. A file with another name, another checksum or
//! another form is removed and its result computed again. Nothing that is read from the folder can
//! do more than be a wrong value: files have the budgets and readers of journals.

mod entry;
mod key;

pub use key::{Key, Name};

use crate::error::Result;
use crate::limits::LIMITS;
use crate::store::{Held, Pool, Stamps};
use crate::value::kept::{Kept, Packed};
use crate::value::{Models, Value};
use candle_core::Device;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest computation whose result is kept.
const LEAST: Duration = Duration::from_millis(50);
/// Bytes of a result that are read, checked and copied in a second, at least.
const SPEED: u64 = 200_000_000;

/// The cache of a session. Cheap to clone; clones share one folder and one count.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    on: Option<Arc<Folder>>,
}

#[derive(Debug)]
struct Folder {
    pool: Pool,
    /// The program that computes.
    build: String,
    /// See [`LEAST`].
    least: Duration,
    stamps: Stamps,
    hits: AtomicU64,
    saved: AtomicU64,
    trouble: Mutex<Trouble>,
}

/// The failure to write results, which is told once.
#[derive(Debug, Default)]
enum Trouble {
    #[default]
    None,
    Untold(String),
    Told,
}

/// What a cache holds and did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its folder.
    pub folder: PathBuf,
    /// Its results.
    pub held: Held,
    /// Bytes that it may hold.
    pub limit: u64,
    /// Results that this process took from it.
    pub hits: u64,
    /// The time that they once took.
    pub saved: Duration,
}

impl Cache {
    /// The cache in a folder, of at most `limit` bytes; 0 keeps nothing.
    pub fn at(folder: &Path, limit: u64) -> Self {
        Self::of(folder, limit, LEAST)
    }

    /// A cache that keeps everything, however short it took.
    #[cfg(any(test, feature = "internals"))]
    pub fn of_everything(folder: &Path, limit: u64) -> Self {
        Self::of(folder, limit, Duration::ZERO)
    }

    fn of(folder: &Path, limit: u64, least: Duration) -> Self {
        let Some(build) = key::build().filter(|_| limit > 0) else { return Self::default() };
        let pool = Pool::new(folder.join("results"), limit);
        let (stamps, trouble) = (Stamps::default(), Mutex::default());
        let (hits, saved) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { on: Some(Arc::new(Folder { pool, build, least, stamps, hits, saved, trouble })) }
    }

    /// Begins the name of a result of `what` on a device; `None` when nothing is kept.
    pub fn key(&self, what: &str, device: &Device) -> Option<Key<'_>> {
        let on = self.on.as_deref()?;
        Some(Key::new([&on.build, &crate::device::kind(device), what], &on.stamps))
    }

    /// The result of this name, or what `compute` gives and whether that may be kept. A result
    /// without a name is always computed.
    ///
    /// # Errors
    /// Those of `compute`.
    pub fn through(
        &self,
        name: Option<&Name>,
        models: &Models,
        compute: impl FnOnce() -> Result<(Value, bool)>,
    ) -> Result<Value> {
        let Some((on, name)) = self.on.as_deref().zip(name) else {
            return compute().map(|(value, _)| value);
        };
        if let Some(found) = on.find(name, models) {
            return Ok(found);
        }
        let begun = Instant::now();
        let (value, lasts) = compute()?;
        if lasts {
            on.keep(name, &value, begun.elapsed());
        }
        Ok(value)
    }

    /// Results that were taken from the cache so far.
    pub fn hits(&self) -> u64 {
        self.on.as_deref().map_or(0, |on| on.hits.load(Relaxed))
    }

    /// What it holds and did; `None` when nothing is kept.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn report(&self) -> io::Result<Option<Report>> {
        let Some(on) = self.on.as_deref() else { return Ok(None) };
        Ok(Some(Report {
            folder: on.pool.folder().to_owned(),
            held: on.pool.held()?,
            limit: on.pool.limit(),
            hits: on.hits.load(Relaxed),
            saved: Duration::from_millis(on.saved.load(Relaxed)),
        }))
    }

    /// Removes all results.
    ///
    /// # Errors
    /// When its folder cannot be read, or a file not be removed.
    pub fn clear(&self) -> io::Result<Held> {
        self.on.as_deref().map_or(Ok(Held::default()), |on| on.pool.clear())
    }

    /// Why results cannot be written, if that was not told yet.
    pub fn trouble(&self) -> Option<String> {
        let mut trouble =
            self.on.as_deref()?.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let Trouble::Untold(_) = *trouble else { return None };
        match std::mem::replace(&mut *trouble, Trouble::Told) {
            Trouble::Untold(why) => Some(why),
            _ => None,
        }
    }
}

impl Folder {
    fn find(&self, name: &Name, models: &Models) -> Option<Value> {
        let file = name.to_string();
        let bytes = self.pool.get(&file, entry::MOST)?;
        let found = entry::read(name, &bytes)
            .and_then(|(took, kept)| Some((took, kept.value(models).ok().flatten()?)));
        let Some((took, mut value)) = found else {
            // It is computed again and written anew.
            self.pool.remove(&file);
            return None;
        };
        self.hits.fetch_add(1, Relaxed);
        self.saved.fetch_add(took.as_millis() as u64, Relaxed);
        if let Value::Inversion(i) = &mut value
            && let Some(own) = Arc::get_mut(i)
        {
            own.cached = true;
        }
        Some(value)
    }

    fn keep(&self, name: &Name, value: &Value, took: Duration) {
        if took < self.least {
            return;
        }
        let kept = Kept::whole(value, LIMITS.cached_bytes);
        let Some(packed) = kept.and_then(|k| Packed::new(k).ok()) else { return };
        let Some(bytes) = entry::write(name, took, &packed) else { return };
        let reading = Duration::from_nanos(bytes.len() as u64 * (1_000_000_000 / SPEED));
        let large = bytes.len() as u64 > self.pool.limit() / 4;
        if large || took < self.least + reading && !self.least.is_zero() {
            return;
        }
        if let Err(e) = self.pool.put(&name.to_string(), &bytes) {
            self.refused(&e);
        }
    }

    fn refused(&self, e: &io::Error) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*trouble, Trouble::None) {
            let folder = self.pool.folder().to_string_lossy().into_owned();
            let folder = crate::safe::Safe(&folder).to_string();
            *trouble = Trouble::Untold(format!(
                "results cannot be kept in {folder}: {e}; they are computed each time \
                 (--no-cache, or GANNET_CACHE=FOLDER)"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
