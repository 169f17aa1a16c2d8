//! Hashes of the content of input files, remembered while the files do not change.

use super::open_regular;
use crate::words::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A file that changed in these last seconds may change again within the precision of its times.
const SETTLED: u64 = 2;
/// Bytes that are hashed at a time.
const PART: usize = 1 << 18;

/// What tells whether a file has changed: its size, inode, and times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look(u64, u64, [i64; 4]);

/// Hashes by file.
pub type Known = BTreeMap<PathBuf, (Look, String)>;

impl Look {
    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.0
    }

    fn of(about: &Metadata) -> Self {
        let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
        Self(about.len(), about.ino(), times)
    }
}

/// Hashes by file.
#[derive(Debug, Default)]
pub struct Stamps {
    known: Mutex<Known>,
}

impl Stamps {
    /// Sha256 of the content of a file, hexadecimal.
    ///
    /// # Errors
    /// Any I/O error of the system, and for what is no regular file.
    pub fn of(&self, path: &Path) -> io::Result<String> {
        let file = open_regular(path)?;
        let about = file.metadata()?;
        let look = Look::of(&about);
        if let Some((_, hash)) = self.known().get(path).filter(|(seen, _)| *seen == look) {
            return Ok(hash.clone());
        }
        let hash = hash_of(file)?;
        if settled(&about, SystemTime::now()) {
            self.known().insert(path.to_owned(), (look, hash.clone()));
        }
        Ok(hash)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All hashes, to be remembered.
    pub fn all(&self) -> Known {
        self.known().clone()
    }

    /// Remembers hashes of an earlier time.
    pub fn recall(&self, all: Known) {
        self.known().extend(all);
    }

    /// What tells whether a file has changed; `None` for what cannot be read.
    pub fn look(path: &Path) -> Option<Look> {
        std::fs::metadata(path).ok().map(|about| Look::of(&about))
    }
}

/// Whether a change from now on shows in the times of a file.
fn settled(about: &Metadata, now: SystemTime) -> bool {
    let changed = u64::try_from(about.mtime().max(about.ctime())).unwrap_or(0);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    changed + SETTLED < now
}

fn hash_of(mut file: File) -> io::Result<String> {
    let (mut hash, mut part) = (Sha256::new(), vec![0; PART]);
    loop {
        match file.read(&mut part) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => hash.update(&part[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_stamp_is_that_of_the_content_whatever_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let stamps = Stamps::default();
        assert!(stamps.of(&path).is_err() && Stamps::look(&path).is_none());
        let put = |content: &str, age: u64| {
            std::fs::write(&path, content).unwrap();
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(age);
            File::open(&path).unwrap().set_modified(then).unwrap();
            (stamps.of(&path).unwrap(), Stamps::look(&path).unwrap())
        };
        let (one, first) = put("one", 1000);
        let (two, second) = put("two", 1000);
        assert!(one != two && first != second, "same size and time, other content");
        assert_eq!(put("one", 3000).0, one);
        assert!(stamps.of(folder.path()).is_err());
        assert_eq!(stamps.of(&path).unwrap(), hex(&Sha256::digest(b"one")),);
    }

    #[test]
    fn what_changed_just_now_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let stamps = Stamps::default();
        std::fs::write(&path, "new").unwrap();
        // An old time can be set, but not that of the change.
        File::open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        stamps.of(&path).unwrap();
        assert!(stamps.all().is_empty());
        let about = std::fs::metadata(&path).unwrap();
        assert!(settled(&about, SystemTime::now() + Duration::from_secs(9)));
    }
}
