//! Whole or absent.

use super::{Files, folder_of};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces `path` by `bytes`: after a crash at any moment the file is the old one or the new one,
/// whole.
///
/// Temp file in the same folder, write, sync, rename, sync of the folder. When this returns `Ok`
/// the new content survives a loss of power; on an error the old content is in place and no temp
/// file is left where removing it was possible. The one exception is an error of the last step, the
/// sync of the folder: the new file is then in place, whole, but a crash may bring the old one
/// back.
///
/// # Errors
/// Any I/O error of the system.
pub fn write_atomic(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(files, path, |temp| write_new_unsynced_name(files, temp, bytes))?;
    files.sync_folder(folder_of(path))
}

/// As [`write_atomic`] for readers of a running system, without waiting for the disk: after a loss
/// of power the file may have any content. For what can be made again, and has a checksum.
///
/// # Errors
/// Any I/O error of the system; the old content is then in place.
pub fn write_unsynced(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(files, path, |temp| files.create(temp)?.write_all(bytes))
}

/// Writes a temp file and gives it the name.
fn replace(
    files: &dyn Files,
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let temp = temp_beside(path);
    write(&temp).and_then(|()| files.rename(&temp, path)).inspect_err(|_| {
        // The first error is the one to report; the temp file may never have come to be.
        let _ = files.remove(&temp);
    })
}

/// Writes a file that must not exist yet, and returns when it and its name are on the disk.
///
/// # Errors
/// `AlreadyExists`, or what the system says; a file that this call had begun is removed again.
pub fn write_new(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match write_new_unsynced_name(files, path, bytes) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            let _ = files.remove(path);
            Err(e)
        }
        Err(e) => Err(e),
        Ok(()) => files.sync_folder(folder_of(path)),
    }
}

fn write_new_unsynced_name(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut sink = files.create(path)?;
    sink.write_all(bytes)?;
    sink.sync()
}

/// A name that other processes and calls do not use. It is hidden, so listings do not show it as a
/// result.
fn temp_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // Names may be 255 bytes; a long one is cut at a character so that the temp name still fits.
    let stem: String = name.chars().take(50).collect();
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    folder_of(path).join(format!(".{stem}.{}-{n}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::super::faulty::{Errno, FaultyDisk, Loss};
    use super::super::{Disk, Files};
    use super::*;

    const PATH: &str = "/d/file";

    fn with_old(disk: &FaultyDisk) {
        disk.make_folder(Path::new("/d")).unwrap();
        write_atomic(disk, Path::new(PATH), b"old").unwrap();
    }

    type Write = fn(&dyn Files, &Path, &[u8]) -> io::Result<()>;

    #[test]
    fn every_failing_operation_leaves_old_or_new_whole() {
        // create, write, sync, rename, sync_folder
        failing(write_atomic, 5);
        // create, write, rename
        failing(write_unsynced, 3);
    }

    fn failing(write: Write, operations: usize) {
        for errno in Errno::ALL {
            let mut failures = 0;
            for k in 0.. {
                let disk = FaultyDisk::new();
                with_old(&disk);
                disk.fail_at(k, errno);
                let result = write(&disk, Path::new(PATH), b"the new content");
                disk.heal();
                let now = disk.read(Path::new(PATH), 1 << 20).unwrap();
                if result.is_ok() {
                    assert_eq!(now, b"the new content");
                    break;
                }
                failures += 1;
                let last_step = disk.last_failed() == Some("sync_folder");
                assert!(
                    now == b"old" || (last_step && now == b"the new content"),
                    "{errno:?} at {k}"
                );
                assert_eq!(disk.list(Path::new("/d")).unwrap().len(), 1, "a temp file was left");
            }
            assert_eq!(failures, operations);
        }
    }

    #[test]
    fn every_crash_leaves_old_or_new_whole() {
        let disk = FaultyDisk::new();
        with_old(&disk);
        let before = disk.log().len();
        write_atomic(&disk, Path::new(PATH), b"the new content").unwrap();
        let log = disk.log();
        for upto in before..=log.len() {
            for loss in Loss::some(15) {
                let left = FaultyDisk::after_crash(&log[..upto], loss);
                let now = left.read(Path::new(PATH), 1 << 20).unwrap();
                assert!(
                    now == b"old" || now == b"the new content",
                    "{loss:?} after {upto}: {now:?}"
                );
                if upto == log.len() {
                    assert_eq!(now, b"the new content", "acknowledged, yet lost: {loss:?}");
                }
            }
        }
    }

    #[test]
    fn without_the_sync_the_proof_fails() {
        // The twin must distinguish a careless writer from ours, else the two tests above prove
        // nothing.
        let disk = FaultyDisk::new();
        with_old(&disk);
        let temp = Path::new("/d/t");
        disk.create(temp).unwrap().write_all(b"the new content").unwrap();
        disk.rename(temp, Path::new(PATH)).unwrap();
        disk.sync_folder(Path::new("/d")).unwrap();
        let torn = Loss::some(15).any(|loss| {
            let now = FaultyDisk::after_crash(&disk.log(), loss).read(Path::new(PATH), 99).unwrap();
            now != b"old" && now != b"the new content"
        });
        assert!(torn);
    }

    #[test]
    fn the_real_disk_replaces_and_leaves_no_temp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(200));
        write_atomic(&Disk, &path, b"a").unwrap();
        write_atomic(&Disk, &path, b"b").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"b");
        assert_eq!(Disk.list(folder.path()).unwrap(), std::slice::from_ref(&path));
        assert_eq!(write_new(&Disk, &path, b"c").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"b");
    }
}
