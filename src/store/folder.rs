//! Results below a folder: no link on the way is followed.
//!
//! A script, or a folder from outside, decides the names of the files that it writes. A name is
//! therefore resolved component by component at the moment of writing, each opened relative to the
//! one before it with `O_NOFOLLOW`. The file is then written relative to the descriptor of the last
//! folder, so a link that is put in place meanwhile has no effect.

use super::{Files, Sink, disk, write_atomic, write_new};
use crate::safe::Safe;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::fs::{fsync, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// Permissions of new files and folders, before the user's mask.
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);
const NEW_FOLDER: Mode = Mode::from_raw_mode(0o777);

/// Destination of a program's results.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// The folder that the user chose; links in its own path are followed.
    root: PathBuf,
    /// Whether results stay below `root`.
    confined: bool,
}

impl Outlet {
    /// Results stay below `root`, which is made when the first one comes.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_path_buf(), confined: true }
    }

    /// Results go where their paths lead, relative ones from `root` on: for what a user types, and
    /// for `outside: true`.
    pub fn anywhere(root: &Path) -> Self {
        Self { root: root.to_path_buf(), confined: false }
    }

    /// The path that a result of this name has.
    pub fn path(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }

    /// Refuses a name that leaves the folder, before anything is computed. Nothing is made.
    ///
    /// # Errors
    /// `PermissionDenied` for `..`, absolute paths and links.
    pub fn check(&self, name: &Path) -> io::Result<()> {
        if !self.confined {
            return Ok(());
        }
        match self.folder_of(name, open_below).and_then(|(at, last)| refuse_link(&at, last)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            checked => checked,
        }
    }

    /// Writes a result, whole or not at all, over one of the same name. A link of that name is
    /// refused; one that comes to be meanwhile is replaced, never followed.
    ///
    /// # Errors
    /// `PermissionDenied` when the name leads out of the folder; else what the system says.
    pub fn replace(&self, name: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        self.check(name)?;
        self.put(name, |files, path| write_atomic(files, path, bytes))
    }

    /// Writes a result whose name must be free.
    ///
    /// # Errors
    /// `AlreadyExists`; else as [`Outlet::replace`].
    pub fn create(&self, name: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        self.put(name, |files, path| write_new(files, path, bytes))
    }

    fn put(
        &self,
        name: &Path,
        write: impl FnOnce(&dyn Files, &Path) -> io::Result<()>,
    ) -> io::Result<PathBuf> {
        let path = self.path(name);
        if !self.confined {
            let folder = super::folder_of(&path);
            let new = !folder.exists();
            make_folder(folder)?;
            return write(&disk::Disk, &path).map(|()| path.clone()).inspect_err(|_| {
                if new {
                    // It is empty, unless another process uses it already.
                    let _ = std::fs::remove_dir(folder);
                }
            });
        }
        parts(name)?;
        make_folder(&self.opened_root())?;
        let new = self.folder_of(name, open_below).is_err();
        let (folder, last) = self.folder_of(name, enter)?;
        write(&Below(folder), Path::new(last)).map(|()| path).inspect_err(|_| {
            if new {
                self.forget(name);
            }
        })
    }

    /// Removes the folder of a name if it is empty, and no link on the way is followed.
    fn forget(&self, name: &Path) {
        let folder = name.parent().filter(|f| !f.as_os_str().is_empty());
        if let Some(Ok((at, last))) = folder.map(|folder| self.folder_of(folder, open_below)) {
            // It is empty, unless another process uses it already.
            let _ = unlinkat(&at, last, AtFlags::REMOVEDIR);
        }
    }

    /// The open folder of a name, and its last component.
    fn folder_of<'a>(&self, name: &'a Path, open: Open) -> io::Result<(OwnedFd, &'a OsStr)> {
        let (folders, last) = parts(name)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = openat(CWD, self.opened_root(), flags, Mode::empty())?;
        for folder in folders {
            at = open(&at, folder)?;
        }
        Ok((at, last))
    }

    /// The bytes of the result of this name, when there is one of at most `limit` bytes.
    ///
    /// # Errors
    /// `NotFound`; `PermissionDenied` when the name leads out of the folder; else what the system
    /// says.
    pub fn read(&self, name: &Path, limit: u64) -> io::Result<Vec<u8>> {
        if !self.confined {
            return disk::Disk.read(&self.path(name), limit);
        }
        let (folder, last) = self.folder_of(name, open_below)?;
        Below(folder).read(Path::new(last), limit)
    }

    fn opened_root(&self) -> PathBuf {
        if self.root.as_os_str().is_empty() { PathBuf::from(".") } else { self.root.clone() }
    }
}

/// Opens a folder by one component of a name.
type Open = fn(&OwnedFd, &OsStr) -> io::Result<OwnedFd>;

/// Makes a folder. A file in its place is not taken for a result that exists.
fn make_folder(folder: &Path) -> io::Result<()> {
    disk::Disk.make_folder(folder).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
        _ => e,
    })
}

/// The folders of a name, and its last component.
fn parts(name: &Path) -> io::Result<(Vec<&OsStr>, &OsStr)> {
    let mut all = Vec::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => all.push(part),
            Component::CurDir => {}
            _ => return Err(leaves("")),
        }
    }
    let last = all.pop().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((all, last))
}

fn leaves(how: &str) -> io::Error {
    let what = format!("it leads out of the output folder{how}");
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}

/// Opens a folder by a single component, which must not be a link.
fn open_below(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    refuse_link(at, name)?;
    // These flags refuse a link; `refuse_link` only gives the clearer error.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat(at, name, flags, Mode::empty())?)
}

/// As [`open_below`], creating the folder if it is missing.
fn enter(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match open_below(at, name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            match mkdirat(at, name, NEW_FOLDER) {
                // Another process may have made it meanwhile.
                Ok(()) | Err(Errno::EXIST) => open_below(at, name),
                Err(e) => Err(e.into()),
            }
        }
        opened => opened,
    }
}

fn refuse_link(at: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode as _) == FileType::Symlink => {
            Err(leaves(&format!(" through the link {}", Safe(&name.to_string_lossy()))))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// The files of one open folder, by their bare names.
struct Below(OwnedFd);

impl Below {
    fn open(&self, name: &Path, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(&self.0, name, flags, NEW_FILE)?.into())
    }
}

impl Files for Below {
    fn read(&self, name: &Path, limit: u64) -> io::Result<Vec<u8>> {
        disk::read(self.open(name, OFlags::RDONLY | OFlags::NONBLOCK)?, limit)
    }

    fn create(&self, name: &Path) -> io::Result<Box<dyn Sink>> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        Ok(disk::sink(self.open(name, flags)?))
    }

    fn append(&self, name: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(disk::sink(self.open(name, OFlags::WRONLY | OFlags::APPEND)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    fn remove(&self, name: &Path) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }

    fn make_folder(&self, name: &Path) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, NEW_FOLDER)?)
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
