//! The history of typed texts: one file for each user, to which any number of processes append.
//!
//! Each line is an entry as JSON text, so that an entry may have several lines. An entry is
//! appended with a single write under a lock, so that processes do not mix their entries. The file
//! is rewritten only when it has grown too long, under the same lock.

use crate::store::{Disk, Files, Lock, write_atomic};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Maximum number of entries that are loaded.
pub(super) const ENTRIES: usize = 10_000;
/// Size in bytes beyond which the file is cut to its last entries.
const BYTES: u64 = 16 << 20;

/// The history file; `None` keeps no history.
#[derive(Clone, Debug, Default)]
pub(super) struct History(pub(super) Option<PathBuf>);

impl History {
    /// The last entries, oldest first. Invalid lines are skipped.
    pub(super) fn load(&self) -> Vec<String> {
        let Some(bytes) = self.0.as_ref().and_then(|path| Disk.read(path, BYTES * 4).ok()) else {
            return Vec::new();
        };
        let mut entries: Vec<String> = bytes
            .split(|b| *b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        entries.drain(..entries.len().saturating_sub(ENTRIES));
        entries
    }

    /// Appends an entry.
    pub(super) fn append(&self, entry: &str) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let _lock = Lock::take(&path.with_extension("lock"))?;
        if std::fs::metadata(path).is_ok_and(|m| m.len() > BYTES) {
            self.shorten(path)?;
        }
        let line = serde_json::to_string(entry)? + "\n";
        private(OpenOptions::new().append(true).create(true)).open(path)?.write_all(line.as_bytes())
    }

    fn shorten(&self, path: &Path) -> io::Result<()> {
        let entries = self.load();
        let half = &entries[entries.len() / 2..];
        let lines = half
            .iter()
            .map(|e| Ok(serde_json::to_string(e)? + "\n"))
            .collect::<io::Result<String>>()?;
        write_atomic(&Disk, path, lines.as_bytes())
    }
}

/// Only the user may read the history.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let history = History(Some(folder.path().join("state/history")));
        std::thread::scope(|s| {
            for w in 0..8 {
                let history = &history;
                s.spawn(move || {
                    (0..50).for_each(|i| history.append(&format!("{w}\n\u{1b}{i}")).unwrap())
                });
            }
        });
        let mut found = history.load();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 400);
        assert!(found[0].contains('\n'));
    }

    #[test]
    fn foreign_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        std::fs::write(&path, b"\"a\"\nnot json\n\xff\xfe\n\"b\"\n\"torn").unwrap();
        assert_eq!(History(Some(path)).load(), ["a", "b"]);
        assert!(History(None).load().is_empty());
    }
}
