//! Pictures as files, without a terminal: `run --out`, pipes, batch jobs.

use super::sink::{ImageSink, unwritten};
use crate::error::{Error, Result};
use crate::image::{Raster, encode};
use crate::safe::Safe;
use crate::store::Outlet;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes every picture as a PNG into a folder and its path into the text. Never overwrites a file;
/// a file that is the picture already is taken for it.
pub struct Files {
    outlet: Outlet,
    /// The folder of the pictures, relative to the outlet's folder.
    folder: PathBuf,
    /// The next number of each name.
    next: BTreeMap<String, u32>,
    written: Vec<PathBuf>,
    /// The names of the pictures written so far, by their beginning and the hash of their bytes.
    known: BTreeMap<(String, Vec<u8>), PathBuf>,
}

impl Files {
    /// Writes into this folder, which is made with the first picture; it may be a link.
    pub fn new(folder: &Path) -> Self {
        Self::below(folder, Path::new(""))
    }

    /// Writes into a folder below `root`, which is made with the first picture; it must not be a
    /// link.
    pub fn below(root: &Path, folder: &Path) -> Self {
        let folder = folder.to_path_buf();
        Self {
            outlet: Outlet::below(root),
            folder,
            next: BTreeMap::new(),
            written: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// The files written so far.
    #[cfg(test)]
    pub fn written(&self) -> &[PathBuf] {
        &self.written
    }

    /// Writes a picture with these PNG texts. It is named after its caption, `r.png`, then
    /// `r-2.png`; without one `picture-0001.png` or the next free number.
    ///
    /// # Errors
    /// When the folder or file cannot be written; an incomplete file is removed.
    pub fn save(
        &mut self,
        picture: &Raster,
        caption: &str,
        texts: &[(String, String)],
    ) -> Result<PathBuf> {
        let bytes = encode::png(picture, texts)?;
        let stem = stem(caption);
        let key = (stem.clone(), Sha256::digest(&bytes).to_vec());
        if let Some(name) = self.known.get(&key).filter(|name| self.is(name, &bytes)) {
            return Ok(self.outlet.path(name));
        }
        loop {
            let next = self.next.entry(stem.clone()).or_insert(1);
            let name = match (stem.as_str(), *next) {
                ("", n) => format!("picture-{n:04}.png"),
                (stem, 1) => format!("{stem}.png"),
                (stem, n) => format!("{stem}-{n}.png"),
            };
            *next += 1;
            let name = self.folder.join(name);
            match self.outlet.create(&name, &bytes) {
                Ok(path) => {
                    self.written.push(path.clone());
                    self.known.insert(key, name);
                    return Ok(path);
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    if self.is(&name, &bytes) {
                        return Ok(self.outlet.path(&name));
                    }
                }
                Err(e) => {
                    let shown = self.outlet.path(&name).to_string_lossy().into_owned();
                    let failed = Error::io(format!("cannot write {}", Safe(&shown)), &e);
                    return Err(failed.hint("name another folder with --out"));
                }
            }
        }
    }

    /// Whether a file holds these bytes.
    fn is(&self, name: &Path, bytes: &[u8]) -> bool {
        self.outlet.read(name, bytes.len() as u64).is_ok_and(|found| found == bytes)
    }
}

/// Longest name of a file without its ending, in characters.
const STEM: usize = 40;

/// A caption as the name of a file: letters, digits and `+-=._`, all else as single `-`.
fn stem(caption: &str) -> String {
    let mut name = String::new();
    for c in caption.chars().take(STEM) {
        let kept = c.is_ascii_alphanumeric() || "+-=._".contains(c);
        let c = if kept { c } else { '-' };
        if c != '-' || kept || !name.ends_with('-') {
            name.push(c);
        }
    }
    let name = name.trim_end_matches(['-', '.']);
    let first = name.chars().next();
    if first.is_none_or(|c| c.is_ascii_alphanumeric()) {
        return name.into();
    }
    // A dash would be an option, a dot a hidden file.
    format!("at{name}")
}

impl ImageSink for Files {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, _: (u16, u16)) -> Result<()> {
        let path = self.save(picture, "", &[])?;
        write!(out, "{}", Safe(&path.display().to_string())).map_err(unwritten)
    }

    fn file(&mut self, picture: &Raster, caption: &str) -> Result<Option<String>> {
        let path = self.save(picture, caption, &[])?;
        Ok(Some(Safe(&path.display().to_string()).to_string()))
    }

    fn cells(&self, _: &Raster, room: (u16, u16)) -> (u16, u16) {
        (room.0.max(1), 1)
    }

    fn columns(&self, _: &Raster) -> (u16, u16) {
        (1, 80)
    }

    fn is_text(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::read;
    use crate::limits::LIMITS;

    #[test]
    fn numbered_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("picture-0001.png");
        std::fs::write(&taken, "mine").unwrap();
        let mut files = Files::new(folder.path());
        let p = Raster::filled(2, 2, &[1, 2, 3]).unwrap();
        let mut out = Vec::new();
        files.put(&mut out, &p, (1, 1)).unwrap();
        let path = folder.path().join("picture-0002.png");
        assert_eq!(String::from_utf8(out).unwrap(), path.display().to_string());
        assert_eq!(files.written(), std::slice::from_ref(&path));
        assert_eq!(read(&path, &LIMITS).unwrap().raster, p);
        assert_eq!(std::fs::read_to_string(taken).unwrap(), "mine");
        let e = Files::new(&path).save(&p, "", &[]).unwrap_err();
        assert!(e.to_string().contains("cannot write"), "{e}");
    }

    #[test]
    fn an_equal_picture_of_the_same_name_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = [1, 2].map(|v| Raster::filled(2, 2, &[v, 2, 3]).unwrap());
        let mut files = Files::new(folder.path());
        let save = |files: &mut Files, p: &Raster| {
            let path = files.save(p, "r", &[]).unwrap();
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        let names: Vec<String> = [&a, &b, &a, &b].map(|p| save(&mut files, p)).into();
        assert_eq!(names, ["r.png", "r-2.png", "r.png", "r-2.png"]);
        // In another run too; and never a file that was changed since.
        let mut again = Files::new(folder.path());
        assert_eq!(save(&mut again, &b), "r-2.png");
        std::fs::write(folder.path().join("r-2.png"), "mine").unwrap();
        assert_eq!(save(&mut files, &b), "r-3.png");
        assert_eq!(std::fs::read_to_string(folder.path().join("r-2.png")).unwrap(), "mine");
    }

    #[test]
    fn files_are_named_after_their_captions() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path());
        let all = [
            ("r", "r.png"),
            ("r", "r-2.png"),
            ("r + 2*pure", "r-+-2-pure.png"),
            ("error ×4", "error-4.png"),
            ("-3.00", "at-3.00.png"),
            ("+3.00", "at+3.00.png"),
            ("../../etc/passwd", "at..-..-etc-passwd.png"),
            ("×", "picture-0001.png"),
            ("", "picture-0002.png"),
        ];
        for (k, (caption, name)) in all.into_iter().enumerate() {
            let p = Raster::filled(2, 2, &[k as u8, 2, 3]).unwrap();
            let path = files.save(&p, caption, &[]).unwrap();
            assert_eq!(path.file_name().unwrap(), name, "{caption}");
            assert_eq!(path.parent().unwrap(), folder.path());
        }
    }
}
