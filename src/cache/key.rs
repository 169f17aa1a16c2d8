//! The name of a result: a hash over all that it depends on.

use crate::limits::LIMITS;
use crate::store::Stamps;
use crate::value::Value;
use crate::value::kept::{Kept, Packed};
use crate::words::hex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;

/// A name in the making. Each part is hashed with its length, so that no two lists of parts are the
/// same text.
pub struct Key<'s> {
    hash: Sha256,
    stamps: &'s Stamps,
}

/// The name of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name([u8; 32]);

impl Name {
    /// The name of these bytes.
    #[cfg(test)]
    pub fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl<'s> Key<'s> {
    pub(super) fn new(parts: [&str; 3], stamps: &'s Stamps) -> Self {
        let mut key = Self { hash: Sha256::new(), stamps };
        parts.iter().for_each(|p| key.text(p));
        key
    }

    fn part(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        self.part(text.as_bytes());
    }

    /// Adds a file: its path and content, or that it cannot be read.
    pub fn file(&mut self, path: &Path) {
        self.part(path.as_os_str().as_encoded_bytes());
        self.text(self.stamps.of(path).as_deref().unwrap_or("none"));
    }

    /// Adds a value with its content; `None` for one that is too large to be kept.
    #[must_use]
    pub fn value(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::Word(word, inner) => {
                self.text("word");
                self.text(word);
                inner.as_deref().map_or(Some(()), |v| self.value(v))
            }
            Value::Model(model) => {
                self.text("model");
                self.text(&model.whole_content().ok()?);
                Some(())
            }
            Value::List(items) => {
                self.text(&format!("list {} {}", items.len(), items.labels().len()));
                items.labels().iter().for_each(|l| self.text(l));
                items.iter().try_for_each(|v| self.value(v))
            }
            data => {
                // How long an inversion took is no part of what is computed from it.
                let kept = Kept::whole(data, LIMITS.cached_bytes)?.timeless();
                let packed = Packed::new(kept).ok()?;
                self.part(&packed.header);
                self.part(&packed.bytes);
                Some(())
            }
        }
    }

    /// The name.
    pub fn name(self) -> Name {
        Name(self.hash.finalize().into())
    }
}

/// The program that runs: its version, and what tells its file from another. `None` where it cannot
/// be found, as results of unknown origin are not kept.
pub(super) fn build() -> Option<String> {
    let own = Stamps::look(Path::new("/proc/self/exe"))
        .or_else(|| Stamps::look(&std::env::current_exe().ok()?))?;
    Some(format!("{} {own:?}", env!("CARGO_PKG_VERSION")))
}
