//! How the house keeps what it was given: a save is whole or absent, an append is on the disk
//! before it is acknowledged.
//!
//! All file operations that must survive a crash go through [`Files`]. [`Disk`] is the real one;
//! [`faulty::FaultyDisk`] is its twin for tests, which fails the k-th operation or loses whatever
//! was not synced.

mod atomic;
pub(crate) mod base64;
mod disk;
pub mod faulty;
mod folder;
mod lock;
mod place;

pub use atomic::{write_atomic, write_new};
pub use disk::{Disk, open_regular};
pub use folder::Outlet;
pub use lock::Lock;
pub use place::{history_file, session_folder, state_folder, writable};

use std::io;
use std::path::{Path, PathBuf};

/// An open file that is written in order.
pub trait Sink: Send {
    /// Writes all bytes at the end; after an error some of them may be there.
    ///
    /// # Errors
    /// What the system says.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written, and the length, is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// What the system says; nothing written since the last sync is then known to be there.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The file operations on which durability rests, each of which can fail.
pub trait Files: Send + Sync {
    /// The whole content of a file.
    ///
    /// # Errors
    /// What the system says; also when the file is larger than `limit` bytes.
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
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a folder are on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a folder and its parents.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// The files of a folder, sorted by name; empty when there is no such folder.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The folder that holds a path, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}
