//! The notebook's file: saved without touching what another program wrote.

use crate::error::{Error, Result};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic, write_new};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file of a notebook, and its content as it was last read or written.
#[derive(Debug)]
pub struct NotebookFile {
    path: PathBuf,
    /// Hash of the content; `None` when there was no file.
    known: Option<Vec<u8>>,
}

/// The outcome of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The file has the new text.
    Written,
    /// Another program has changed the file since; nothing was written.
    Conflict,
}

impl NotebookFile {
    /// Opens a file and reads its text; an empty text when there is none yet.
    ///
    /// # Errors
    /// When it cannot be read, is too long, or is not UTF-8 text.
    pub fn open(path: &Path) -> Result<(Self, String)> {
        let mut file = Self { path: path.to_owned(), known: None };
        let text = file.read()?.unwrap_or_default();
        Ok((file, text))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was there when it was last read or written.
    pub fn exists(&self) -> bool {
        self.known.is_some()
    }

    /// Reads the text anew, as the basis of the next save; `None` without a file.
    ///
    /// # Errors
    /// As [`NotebookFile::open`].
    pub fn read(&mut self) -> Result<Option<String>> {
        let Some(bytes) = self.bytes()? else {
            self.known = None;
            return Ok(None);
        };
        let hash = Sha256::digest(&bytes).to_vec();
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to() as u64;
            Error::format(&self.shown(), at, "a notebook is UTF-8 text")
        })?;
        self.known = Some(hash);
        Ok(Some(text))
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>> {
        match Disk.read(&self.path, LIMITS.source_bytes as u64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("cannot read {}", self.shown()), &e)),
        }
    }

    /// Whether another program has changed the file since.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn changed(&self) -> Result<bool> {
        let now = self.bytes()?.map(|bytes| Sha256::digest(&bytes).to_vec());
        // A file that was removed may be written again, because it overwrites no other text.
        Ok(now.is_some() && now != self.known)
    }

    /// Writes the text, unless another program has changed the file.
    ///
    /// # Errors
    /// When the disk refuses; the old file then stays.
    pub fn save(&mut self, text: &str) -> Result<Saved> {
        if self.changed()? {
            return Ok(Saved::Conflict);
        }
        let written = if self.path.exists() {
            write_atomic(&Disk, &self.path, text.as_bytes())
        } else {
            write_new(&Disk, &self.path, text.as_bytes())
        };
        match written {
            Ok(()) => {
                self.known = Some(Sha256::digest(text.as_bytes()).to_vec());
                Ok(Saved::Written)
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(Saved::Conflict),
            Err(e) => Err(Error::io(format!("cannot write {}", self.shown()), &e)),
        }
    }

    /// Writes the text to a new file beside this one, and returns its path.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save_beside(&self, text: &str) -> Result<PathBuf> {
        let stem = self.path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_else(|| "notebook".into());
        for n in 1..1000 {
            let path = self.path.with_file_name(format!("{stem}-mine-{n}.gnt"));
            match write_new(&Disk, &path, text.as_bytes()) {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => {
                    let shown = Safe(&path.to_string_lossy()).to_string();
                    return Err(Error::io(format!("cannot write {shown}"), &e));
                }
            }
        }
        Err(Error::runtime("there are a thousand copies of this notebook already"))
    }

    fn shown(&self) -> String {
        Safe(&self.path.to_string_lossy()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_wrote_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gnt");
        let (mut file, text) = NotebookFile::open(&path).unwrap();
        assert!(text.is_empty() && !file.exists());
        assert_eq!(file.save("one").unwrap(), Saved::Written);
        assert_eq!(file.save("two").unwrap(), Saved::Written);
        // The content decides: the length is the same, and the time may be.
        std::fs::write(&path, "own").unwrap();
        assert!(file.changed().unwrap());
        assert_eq!(file.save("three").unwrap(), Saved::Conflict);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "own");
        let copies = [file.save_beside("three").unwrap(), file.save_beside("four").unwrap()];
        assert_eq!(std::fs::read_to_string(&copies[1]).unwrap(), "four");
        assert_eq!(file.read().unwrap().as_deref(), Some("own"));
        assert_eq!(file.save("four").unwrap(), Saved::Written);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.save("five").unwrap(), Saved::Written);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_another_programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gnt");
        let (mut file, _) = NotebookFile::open(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.save("one").unwrap(), Saved::Conflict);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gnt");
        std::fs::write(&path, b"ab\xff").unwrap();
        let e = NotebookFile::open(&path).unwrap_err();
        assert!(e.to_string().contains("UTF-8"), "{e}");
        assert!(NotebookFile::open(folder.path()).is_err());
    }
}
