//! Files of a tar archive, found by name and read in place, without unpacking.
//!
//! Read are the POSIX ustar, GNU and pre-POSIX headers (POSIX.1-2017, pax, "ustar Interchange
//! Format") of regular files with names of up to 255 bytes. Longer names and sizes in extended
//! headers are refused, never skipped.

use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::safe::Safe;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const BLOCK: u64 = 512;
/// Extended headers hold times and owners: some hundred bytes.
const EXTENDED: u64 = 64 << 10;

/// Index of the files of an archive.
pub struct Archive {
    path: PathBuf,
    entries: BTreeMap<String, (u64, u64)>,
}

/// Content of one header.
struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl Archive {
    /// Reads the headers of an archive.
    ///
    /// # Errors
    /// When the file cannot be read, a header is broken, a file reaches beyond the archive's end,
    /// or there are more entries than `limits.tar_entries`.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let shown = path.to_string_lossy();
        let failed = |e: std::io::Error| Error::io(format!("cannot read {}", Safe(&shown)), &e);
        let file = crate::store::open_regular(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut scan = Scan { shown: &shown, from: BufReader::new(file), length, at: 0 };
        let mut entries = BTreeMap::new();
        while let Some(header) = scan.header()? {
            match header.kind {
                b'0' | 0 => drop(entries.insert(header.name, (scan.at + BLOCK, header.size))),
                b'x' | b'g' => scan.check_extended(header.size)?,
                b'L' => {
                    return Err(scan
                        .broken("a name longer than 100 bytes")
                        .hint("use shorter names"));
                }
                // Folders, links and devices are not pictures.
                _ => {}
            }
            if entries.len() > limits.tar_entries {
                return Err(Error::new(Kind::Limit, format!("{}: too many files", Safe(&shown)))
                    .hint(format!("an archive may hold {}", limits.tar_entries)));
            }
            scan.go_past(header.size)?;
        }
        Ok(Self { path: path.into(), entries })
    }

    /// Whether a file of that name is there.
    pub fn holds(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The archive's own path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When no file has that name, it is longer than `limits.image_bytes`, or the archive changed
    /// meanwhile.
    pub fn read(&self, name: &str, limits: &Limits) -> Result<Vec<u8>> {
        let shown = self.path.to_string_lossy();
        let Some(&(at, size)) = self.entries.get(name) else {
            return Err(Error::new(
                Kind::Io,
                format!("{} does not contain {}", Safe(&shown), Safe(name)),
            ));
        };
        if size > limits.image_bytes {
            let what = format!("{}: {} has {size} bytes", Safe(&shown), Safe(name));
            return Err(Error::new(Kind::Limit, what)
                .hint(format!("a picture may have {}", limits.image_bytes)));
        }
        let failed = |e: std::io::Error| {
            Error::io(format!("cannot read {} in {}", Safe(name), Safe(&shown)), &e)
        };
        let mut file = crate::store::open_regular(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// The way through an archive from header to header.
struct Scan<'a> {
    shown: &'a str,
    from: BufReader<File>,
    length: u64,
    /// Offset of the current header.
    at: u64,
}

impl Scan<'_> {
    fn broken(&self, rule: &str) -> Error {
        Error::format(self.shown, self.at, rule).hint("copy or download the archive again")
    }

    fn failed(&self, e: &std::io::Error) -> Error {
        Error::io(format!("cannot read {}", Safe(self.shown)), e)
    }

    /// The current header, `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.at >= self.length {
            return Ok(None);
        }
        let mut block = [0u8; BLOCK as usize];
        self.from
            .read_exact(&mut block)
            .map_err(|_| self.broken("the archive ends inside a header"))?;
        if block.iter().all(|&b| b == 0) {
            return Ok(None);
        }
        let header = header(&block).map_err(|rule| self.broken(&rule))?;
        if header.size > self.length - (self.at + BLOCK).min(self.length) {
            return Err(self.broken("the archive ends before its file does"));
        }
        Ok(Some(header))
    }

    /// Refuses an extended header that changes what is read here.
    fn check_extended(&mut self, size: u64) -> Result<()> {
        let mut said = vec![0; size.min(EXTENDED) as usize];
        self.from.read_exact(&mut said).map_err(|e| self.failed(&e))?;
        if size > EXTENDED || overrides(&said) {
            return Err(self
                .broken("an extended header changes a name or size")
                .hint("use shorter names"));
        }
        Ok(())
    }

    /// Moves to the header after a file of that size.
    fn go_past(&mut self, size: u64) -> Result<()> {
        self.at += BLOCK + size.next_multiple_of(BLOCK);
        self.from.seek(SeekFrom::Start(self.at)).map_err(|e| self.failed(&e))?;
        Ok(())
    }
}

/// Reads one header block; the error is the broken rule.
fn header(block: &[u8]) -> Result<Header, String> {
    let field = |from: usize, to: usize| block.get(from..to).unwrap_or_default();
    // The checksum counts itself as blanks.
    let sum: u64 = (0..)
        .zip(block)
        .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u64::from(b) })
        .sum();
    if octal(field(148, 156)) != Some(sum) {
        return Err(
            "a header's checksum is wrong: this is not a tar archive, or it is damaged".into()
        );
    }
    let size = octal(field(124, 136)).ok_or("a file's size is not an octal number")?;
    let name = text(field(0, 100))?;
    // GNU keeps times where POSIX has the prefix.
    let prefix = if field(257, 263) == b"ustar\0" { text(field(345, 500))? } else { String::new() };
    let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let name = name.trim_start_matches("./").to_owned();
    Ok(Header { name, size, kind: block.get(156).copied().unwrap_or(0) })
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(digits, 8).ok()
}

fn text(field: &[u8]) -> Result<String, String> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(field.get(..end).unwrap_or_default());
    text.map(str::to_owned).map_err(|_| "a file's name is not UTF-8".into())
}

/// Whether an extended header (`LENGTH KEY=VALUE` lines) says what this reader takes from the plain
/// one.
fn overrides(said: &[u8]) -> bool {
    String::from_utf8_lossy(said).lines().any(|l| {
        let key = l.split_once(' ').map_or(l, |(_, rest)| rest);
        key.starts_with("path=") || key.starts_with("size=")
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use std::io::Write;

    /// A ustar archive of these files.
    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, bytes) in files {
            let mut head = [0u8; 512];
            head[..name.len()].copy_from_slice(name.as_bytes());
            head[100..108].copy_from_slice(b"0000644\0");
            head[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
            head[156] = b'0';
            head[257..265].copy_from_slice(b"ustar\x0000");
            sign(&mut head);
            out.extend(head);
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }

    fn sign(head: &mut [u8]) {
        head[148..156].copy_from_slice(b"        ");
        let sum: u32 = head[..512].iter().map(|&b| u32::from(b)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    fn open(bytes: &[u8]) -> Result<Archive> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let found = Archive::open(file.path(), &LIMITS);
        // The file must outlive this function: it is read later.
        file.keep().unwrap();
        found
    }

    #[test]
    fn files_come_back_by_name() {
        let long = vec![7u8; 1000];
        let a = open(&archive(&[("./a.png", b"one"), ("b", &long), ("empty", b"")])).unwrap();
        assert_eq!(a.read("a.png", &LIMITS).unwrap(), b"one");
        assert_eq!(a.read("b", &LIMITS).unwrap(), long);
        assert_eq!(a.read("empty", &LIMITS).unwrap(), b"");
        assert!(
            !a.holds("c")
                && a.read("c", &LIMITS).unwrap_err().message().contains("does not contain c")
        );
        let small = Limits { image_bytes: 999, ..LIMITS };
        assert_eq!(a.read("b", &small).unwrap_err().kind(), Kind::Limit);
        std::fs::remove_file(a.path()).unwrap();
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let good = archive(&[("a", b"one"), ("b", &[1; 600])]);
        let mut flipped = good.clone();
        flipped[1024] ^= 1;
        let e = open(&flipped).err().unwrap();
        assert!(e.message().contains("byte 1024") && e.message().contains("checksum"), "{e}");
        let cut = open(&good[..1024 + 512 + 100]).err().unwrap();
        assert!(cut.message().contains("before its file"), "{cut}");
        assert!(open(&good[..100]).err().unwrap().message().contains("inside a header"));
        assert!(open(b"").unwrap().entries.is_empty());
    }

    #[test]
    fn what_would_change_a_name_is_refused_and_times_are_not() {
        let extended = |body: &[u8]| {
            let mut bytes = archive(&[("PaxHeader", body), ("a", b"one")]);
            bytes[156] = b'x';
            sign(&mut bytes);
            open(&bytes)
        };
        assert!(extended(b"30 mtime=1700000000.123456789\n").unwrap().holds("a"));
        assert!(extended(b"12 path=abc\n").err().unwrap().message().contains("name or size"));
        let few = Limits { tar_entries: 1, ..LIMITS };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&archive(&[("a", b""), ("b", b"")])).unwrap();
        assert_eq!(Archive::open(file.path(), &few).err().unwrap().kind(), Kind::Limit);
    }
}
