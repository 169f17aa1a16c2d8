//! The real files.

use super::{Files, Sink};
use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

struct DiskSink(File);

impl Sink for DiskSink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// Opens a regular file for reading, at once: a pipe or a device is refused and never waited for.
///
/// # Errors
/// Any I/O error of the system; `InvalidInput` when it is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // The type is asked of what is open: between two questions a path may change.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags as i32).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// An open file as a sink.
pub(super) fn sink(file: File) -> Box<dyn Sink> {
    Box::new(DiskSink(file))
}

/// The whole content of an open file of at most `limit` bytes.
pub(super) fn read(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed distinguishes a file at the limit from one beyond it, whatever its
    // metadata claim.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

impl Files for Disk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        read(open_regular(path)?, limit)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(sink(OpenOptions::new().append(true).create_new(true).open(path)?))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        // A journal's folder may come from outside, so symbolic links are refused.
        let nofollow = OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        Ok(sink(options.append(true).custom_flags(nofollow).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = entries.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.retain(|p| p.is_file());
        paths.sort();
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_one_beyond_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, [1u8; 10]).unwrap();
        assert_eq!(Disk.read(&path, 10).unwrap().len(), 10);
        assert_eq!(Disk.read(&path, 9).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn create_never_touches_a_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "kept").unwrap();
        assert!(Disk.create(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}
