//! Sources of bytes: a file, a part of it, or memory; every failure names file, offset and rule.
//!
//! A file is read by position, never mapped: one that is truncated while it is read gives an error,
//! not a signal.

use crate::control::check;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::safe::Safe;
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes that are read between two stop checks.
const PIECE: usize = 4 << 20;

/// Reading at a position, without a cursor of its own.
pub(crate) trait ReadAt: Send + Sync {
    /// Fills `buffer` with the bytes from `at` on.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> Result<(), io::Error>;

    /// Bytes that must be worked through before `at` can be read; 0 where access is free.
    fn seek_cost(&self, _at: u64) -> u64 {
        0
    }
}

impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> Result<(), io::Error> {
        FileExt::read_exact_at(self, buffer, at)
    }
}

impl ReadAt for Cow<'static, [u8]> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> Result<(), io::Error> {
        let part = usize::try_from(at).ok().and_then(|a| self.get(a..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A range of bytes with a name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    reader: Arc<dyn ReadAt>,
    start: u64,
    len: u64,
    /// Path of the file, when it is one as a whole.
    path: Option<Arc<Path>>,
}

impl Source {
    /// A regular file within the size limit.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let name = one_line(&path.to_string_lossy());
        let doing = || format!("cannot open {name}");
        let file = crate::store::open_regular(path).map_err(|e| {
            Error::io(doing(), &e)
                .hint("check the path: it counts from the folder that gannet was started in")
        })?;
        let meta = file.metadata().map_err(|e| Error::io(doing(), &e))?;
        if meta.len() > limits.model_bytes {
            return Err(Error::format(
                &name,
                0,
                format_args!("at most {} bytes, not {}", limits.model_bytes, meta.len()),
            ));
        }
        Ok(Self { path: Some(path.into()), ..Self::new(&name, file, meta.len()) })
    }

    /// Bytes in memory.
    pub(crate) fn bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        Self::new(name, bytes, len)
    }

    /// Anything that reads at a position.
    pub(crate) fn new(name: &str, reader: impl ReadAt + 'static, len: u64) -> Self {
        Self { name: one_line(name).into(), reader: Arc::new(reader), start: 0, len, path: None }
    }

    /// Some sources one after the other.
    pub(crate) fn joined(name: &str, parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<Self> = parts.into_iter().collect();
        let len = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len));
        Self::new(name, Joined(parts), len)
    }

    /// The path of the file, when this is one as a whole.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its name, safe to print.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same bytes as a place of their own: offsets count from their first one.
    pub(crate) fn renamed(self, name: &str) -> Self {
        let len = self.len;
        Self::new(name, Part(self), len)
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes from `at` on.
    pub(crate) fn window(&self, at: u64, len: u64) -> Result<Self> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => {
                Ok(Self { start: self.start + at, len, path: None, ..self.clone() })
            }
            _ => Err(self.fail(
                at,
                format_args!(
                    "{len} bytes are needed here, but {} follow",
                    self.len.saturating_sub(at)
                ),
            )),
        }
    }

    /// A broken rule at an offset of this range.
    pub(crate) fn fail(&self, at: u64, rule: impl Display) -> Error {
        Error::format(&self.name, self.start.saturating_add(at), one_line(&rule.to_string()))
    }

    /// Fills a buffer from `at` on.
    pub(crate) fn read_into(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let part = self.window(at, buffer.len() as u64)?;
        for (i, piece) in buffer.chunks_mut(PIECE).enumerate() {
            check()?;
            let from = part.start + (i * PIECE) as u64;
            self.reader.read_exact_at(piece, from).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => self.fail(at, "the file ended while it was read"),
                _ => self.fail(at, e),
            })?;
        }
        Ok(())
    }

    /// The `len` bytes from `at` on; lack of memory is an error, not an abort.
    pub(crate) fn read(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        let part = self.window(at, len)?;
        let mut out = reserve(len).ok_or_else(|| part.no_memory(len))?;
        out.resize(len as usize, 0);
        self.read_into(at, &mut out)?;
        Ok(out)
    }

    /// As [`ReadAt::seek_cost`], in this range's offsets.
    pub(crate) fn seek_cost(&self, at: u64) -> u64 {
        self.reader.seek_cost(self.start.saturating_add(at))
    }

    /// The error of an allocation that failed.
    pub(crate) fn no_memory(&self, bytes: u64) -> Error {
        self.fail(0, format_args!("needs {bytes} bytes of memory, which the system does not give"))
    }

    /// A cursor at the first byte.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { source: self.clone(), at: 0, buffer: Vec::new(), buffer_at: 0 }
    }
}

/// A range that counts from its own first byte.
struct Part(Source);

impl ReadAt for Part {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> Result<(), io::Error> {
        self.0.reader.read_exact_at(buffer, self.0.start + at)
    }

    fn seek_cost(&self, at: u64) -> u64 {
        self.0.seek_cost(at)
    }
}

/// Sources one after the other.
struct Joined(Vec<Source>);

impl ReadAt for Joined {
    fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> Result<(), io::Error> {
        for part in &self.0 {
            if buffer.is_empty() {
                break;
            }
            if at < part.len {
                let here = (part.len - at).min(buffer.len() as u64) as usize;
                let (now, rest) = buffer.split_at_mut(here);
                part.reader.read_exact_at(now, part.start + at)?;
                buffer = rest;
                at = 0;
            } else {
                at -= part.len;
            }
        }
        if buffer.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// An empty vector with room for `len` values, if the system has the memory.
pub(crate) fn reserve<T>(len: u64) -> Option<Vec<T>> {
    let mut v = Vec::new();
    v.try_reserve_exact(usize::try_from(len).ok()?).ok()?;
    Some(v)
}

/// Text from outside on one line, without controls and not longer than a line of a report.
pub(crate) fn one_line(text: &str) -> String {
    let shown = Safe(text).to_string().replace('\n', "\\n").replace('\t', "\\t");
    match shown.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// A name from outside in backquotes, shortened.
pub(crate) fn quoted(name: &str) -> String {
    if name.is_empty() {
        return "(no name)".into();
    }
    let mut shown: String = one_line(name).chars().take(80).collect();
    if shown.len() < one_line(name).len() {
        shown.push('…');
    }
    format!("`{shown}`")
}

const BUFFER: u64 = 1 << 16;

/// Reads a source from front to back; large parts are skipped, not read.
pub(crate) struct Cursor {
    source: Source,
    at: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Cursor {
    /// The offset of the next byte.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The source that is read.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        for byte in &mut out {
            *byte = self.byte()?;
        }
        Ok(out)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8> {
        let held = |c: &Self| {
            c.at.checked_sub(c.buffer_at).and_then(|i| c.buffer.get(i as usize).copied())
        };
        if let Some(b) = held(self) {
            self.at += 1;
            return Ok(b);
        }
        let want = BUFFER.min(self.source.len.saturating_sub(self.at));
        if want == 0 {
            return Err(self.source.fail(self.at, "the file ends too early"));
        }
        self.buffer = self.source.read(self.at, want)?;
        self.buffer_at = self.at;
        self.at += 1;
        Ok(self.buffer[0])
    }

    /// The next `len` bytes as a range of their own, unread.
    pub(crate) fn part(&mut self, len: u64) -> Result<Source> {
        let part = self.source.window(self.at, len)?;
        self.at += len;
        Ok(part)
    }
}

/// A source as the standard traits see it, for the zip reader.
pub(crate) struct Stream {
    source: Source,
    at: u64,
}

impl Stream {
    /// Reads from the first byte on.
    pub(crate) fn new(source: Source) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (buffer.len() as u64).min(self.source.len.saturating_sub(self.at)) as usize;
        self.source.reader.read_exact_at(&mut buffer[..n], self.source.start + self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.source.len.checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_checked_and_keep_their_offsets() {
        let s = Source::bytes("f", vec![0, 1, 2, 3, 4]);
        let w = s.window(2, 3).unwrap();
        assert_eq!(w.read(1, 2).unwrap(), [3, 4]);
        assert!(w.read(1, 3).unwrap_err().message().starts_with("f: at byte 3: "));
        assert!(s.window(u64::MAX, 2).is_err());
        let mut c = s.cursor();
        assert_eq!(c.array::<2>().unwrap(), [0, 1]);
        assert_eq!(c.part(2).unwrap().read(0, 2).unwrap(), [2, 3]);
        assert_eq!(c.byte().unwrap(), 4);
        assert!(c.byte().is_err());
    }

    #[test]
    fn outside_text_stays_on_one_short_line() {
        let s = Source::bytes("a\nb\u{1b}", vec![]);
        assert_eq!(s.fail(0, "x\ny").message(), "a\\nb\\u{1b}: at byte 0: x\\ny");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 83);
    }

    #[test]
    fn only_regular_files_within_the_limit() {
        let limits = Limits { model_bytes: 3, ..crate::limits::LIMITS };
        assert!(
            Source::open(Path::new("/"), &limits).is_err_and(|e| e.message().contains("regular"))
        );
        let f = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(f.path(), b"1234").unwrap();
        assert!(
            Source::open(f.path(), &limits).is_err_and(|e| e.message().contains("at most 3 bytes"))
        );
    }
}
