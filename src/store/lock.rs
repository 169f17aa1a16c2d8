//! One process a journal.

use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An exclusive lock, held until dropped or until the process ends: the system releases it.
///
/// The lock file stays behind, empty: removing it would let a third process lock a new file of the
/// same name while a second one still waits on the old.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says at once that another holds it (`None`).
    ///
    /// # Errors
    /// Any I/O error of the system, for instance on a network file system without locks.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes the lock, waiting for it.
    ///
    /// # Errors
    /// Any I/O error of the system.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A lock beside a journal may lie in a folder from outside: a link is refused, for
    // opening it would make a file elsewhere.
    let nofollow = OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).custom_flags(nofollow).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        // flock belongs to the open file, so a second open in the same process competes as another
        // process would.
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
