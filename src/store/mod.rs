//! Durable storage: a save is whole or absent, and an append is on the disk before it is
//! acknowledged.
//!
//! All file operations that must survive a crash go through [`Files`]. [`Disk`] is the real one;
//! [`faulty::FaultyDisk`] is its twin for tests, which fails the k-th operation or loses unsynced
//! data.

mod atomic;
pub(crate) mod base64;
mod disk;
#[cfg(any(test, feature = "internals"))]
pub mod faulty;
mod folder;
mod lock;
mod place;
mod pool;
mod stamps;

pub use atomic::{write_atomic, write_new, write_unsynced};
pub use disk::{Disk, open_regular};
pub use folder::Outlet;
pub use lock::Lock;
pub use place::{
    cache_folder, config_folder, history_file, model_folders, session_folder, state_folder,
    writable,
};
pub use pool::{Held, Pool};
pub use stamps::{Known, Look, Stamps};

use std::io;
use std::path::{Path, PathBuf};

/// An open file that is written in order.
pub trait Sink: Send {
    /// Writes all bytes at the end; after an error some of them may be there.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written, and the length, is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// Any I/O error of the system; data written since the last sync may then be lost.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The file operations on which durability rests, each of which can fail.
pub trait Files: Send + Sync {
    /// The whole content of a file.
    ///
    /// # Errors
    /// Any I/O error of the system; also when the file is larger than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// A new file; it must not exist.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>>;

    /// An existing file, opened to write at its end.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Sink>>;

    /// Moves a file over another in one step.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a folder are on the disk.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a folder and its parents.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// The files of a folder, sorted by name; empty when the folder does not exist.
    ///
    /// # Errors
    /// Any I/O error of the system.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The folder that holds a path, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}
