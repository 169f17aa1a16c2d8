//! A folder of files that can be made again: named by a hash, together of a bounded size. The files
//! that were not used for longest make room.
//!
//! Several processes may use a folder at once. A file appears whole, a file that another process
//! removes stays readable for who has opened it, and nothing waits for a lock.

use super::{Disk, Files, open_regular, write_unsynced};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// Ending of the files of a pool; others in its folder are left alone.
const ENDING: &str = "result";
/// Digits of a name.
const DIGITS: usize = 64;
/// Disks give room in pieces of this size.
const PIECE: u64 = 4096;
/// The age at which a temp file has no writer any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The folder.
#[derive(Debug)]
pub struct Pool {
    folder: PathBuf,
    limit: u64,
    /// Bytes that were written since the sizes of all files were last added up.
    unseen: AtomicU64,
}

/// What a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its files.
    pub files: usize,
    /// Their bytes on the disk.
    pub bytes: u64,
}

struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Pool {
    /// A pool of at most `limit` bytes. Its folder is made with the first file.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, unseen: AtomicU64::new(u64::MAX) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that it may hold.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ENDING}"))
    }

    /// The content of a file of at most `most` bytes, which counts as used now. `None` when there
    /// is no such file, or it cannot be read.
    pub fn get(&self, name: &str, most: u64) -> Option<Vec<u8>> {
        let path = self.path(name);
        let bytes = Disk.read(&path, most).ok()?;
        // Another process may have removed it meanwhile.
        let _ = open_regular(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Writes a file, and makes room for it.
    ///
    /// # Errors
    /// Any I/O error of the system; the file is then as it was.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // What is computed from private pictures is private too.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        write_unsynced(&Disk, &self.path(name), bytes)?;
        // Not after each file: it takes a look at all of them.
        let unseen = self.unseen.load(Relaxed).saturating_add(room(bytes.len() as u64));
        self.unseen.store(unseen, Relaxed);
        if unseen > self.limit / 16 {
            self.unseen.store(0, Relaxed);
            self.trim()?;
        }
        Ok(())
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        // A file that stays is replaced by the next of its name.
        let _ = Disk.remove(&self.path(name));
    }

    /// What it holds.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn held(&self) -> io::Result<Held> {
        Ok(sum(&self.found()?))
    }

    /// Removes all its files.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file not be removed.
    pub fn clear(&self) -> io::Result<Held> {
        let found = self.found()?;
        found.iter().try_for_each(|f| removed(&f.path))?;
        Ok(sum(&found))
    }

    /// Removes the files that were not used for longest, until a tenth of the limit is free.
    fn trim(&self) -> io::Result<()> {
        let mut found = self.found()?;
        let mut bytes = sum(&found).bytes;
        if bytes <= self.limit {
            return Ok(());
        }
        found.sort_by_key(|f| f.used);
        let goal = self.limit - self.limit / 10;
        for f in found {
            if bytes <= goal {
                break;
            }
            removed(&f.path)?;
            bytes -= f.bytes;
        }
        Ok(())
    }

    /// Its files; temp files without a writer are removed on the way.
    fn found(&self) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| is_ours(n)) else { continue };
            // It may have gone meanwhile.
            let Ok(about) = entry.metadata() else { continue };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if !name.starts_with('.') {
                all.push(Found { path: entry.path(), bytes: room(about.len()), used });
            } else if is_old(&about) {
                removed(&entry.path())?;
            }
        }
        Ok(all)
    }
}

fn sum(found: &[Found]) -> Held {
    Held { files: found.len(), bytes: found.iter().map(|f| f.bytes).sum() }
}

/// Bytes that a file takes on the disk.
fn room(bytes: u64) -> u64 {
    bytes.next_multiple_of(PIECE)
}

/// Whether a name is that of a file of a pool, or of a temp file for one.
fn is_ours(name: &str) -> bool {
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_hexdigit());
    match name.strip_prefix('.') {
        Some(temp) => temp.ends_with(".tmp") && temp.split('.').next().is_some_and(digits),
        None => name
            .strip_suffix(ENDING)
            .and_then(|n| n.strip_suffix('.'))
            .is_some_and(|n| n.len() == DIGITS && digits(n)),
    }
}

fn is_old(about: &Metadata) -> bool {
    about.modified().is_ok_and(|m| m.elapsed().is_ok_and(|age| age > ABANDONED))
}

/// Removes a file that another process may remove as well.
fn removed(path: &Path) -> io::Result<()> {
    match Disk.remove(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(k: u8) -> String {
        format!("{k:064x}")
    }

    fn aged(pool: &Pool, k: u8, seconds: u64) {
        let file = fs::File::open(pool.path(&name(k))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn the_files_that_were_not_used_for_longest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let pool = Pool::new(folder.path().join("deep/pool"), 10 * PIECE);
        let there = |k: u8| pool.path(&name(k)).exists();
        assert_eq!(pool.get(&name(0), 99), None);
        assert_eq!(pool.held().unwrap(), Held::default());
        for k in 0..10 {
            pool.put(&name(k), &[k; 9]).unwrap();
            aged(&pool, k, 1000 - u64::from(k));
        }
        assert_eq!(pool.held().unwrap(), Held { files: 10, bytes: 10 * PIECE });
        // Reading is using.
        assert_eq!(pool.get(&name(0), 99).unwrap(), [0; 9]);
        assert_eq!(pool.get(&name(1), 8), None, "larger than was asked for");
        pool.put(&name(10), &[10; 9]).unwrap();
        let left: Vec<u8> = (0..11).filter(|k| there(*k)).collect();
        assert_eq!(left, [0, 3, 4, 5, 6, 7, 8, 9, 10]);
        // Another process, for which everything is new, sees the same.
        let other = Pool::new(pool.folder().to_owned(), 5 * PIECE);
        other.put(&name(11), &[11; 9]).unwrap();
        let left: Vec<u8> = (0..12).filter(|k| there(*k)).collect();
        assert_eq!(left.len(), 4, "{left:?}");
        assert!(left.contains(&0) && left.contains(&11), "{left:?}");
        assert_eq!(pool.clear().unwrap(), Held { files: 4, bytes: 4 * PIECE });
        assert_eq!(pool.held().unwrap(), Held::default());
    }

    #[test]
    fn files_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let foreign = ["notes.txt".into(), format!("{}.txt", name(1)), "12.result".into()];
        for name in &foreign {
            fs::write(at(name), [0; 9000]).unwrap();
        }
        let temp = at(&format!(".{}.7-1.tmp", &name(1)[..50]));
        fs::write(&temp, "").unwrap();
        let pool = Pool::new(folder.path().to_owned(), PIECE);
        pool.put(&name(1), &[1; 9]).unwrap();
        assert!(temp.exists(), "it has a writer");
        let old = SystemTime::now() - 2 * ABANDONED;
        fs::File::open(&temp).unwrap().set_modified(old).unwrap();
        assert_eq!(pool.clear().unwrap().files, 1);
        assert!(!temp.exists());
        assert!(foreign.iter().all(|name| at(name).exists()));
    }

    #[test]
    fn a_folder_that_is_none_is_an_error_and_a_link_is_no_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(Pool::new(file.clone(), 1 << 20).put(&name(1), b"x").is_err());
        let pool = Pool::new(folder.path().join("pool"), 1 << 20);
        pool.put(&name(1), b"x").unwrap();
        std::os::unix::fs::symlink(&file, pool.path(&name(2))).unwrap();
        pool.put(&name(2), b"y").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert_eq!(pool.get(&name(2), 9).unwrap(), b"y");
    }
}
