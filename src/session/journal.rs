//! The append-only journal of one session.
//!
//! Each line is a record: a seal of 16 hex digits, a space, JSON. The seal is the beginning of
//! SHA-256 over the previous seal and the JSON, so that a line is valid only in its place.
//! [`Journal::append`] returns after `fdatasync`; only then may the output of a cell be shown.
//!
//! The first line with a wrong seal ends the valid part. If it has no newline at its end, a crash
//! cut it off: it was never acknowledged and is dropped. A complete line with a wrong seal was
//! acknowledged and is damaged, even if it is the last line: the whole file is set aside, and the
//! session continues with the valid part.

use super::record::{Cell, Header, Picture, Record, Status};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::store::{Files, Sink, write_atomic, write_new};
use crate::value::pictures::ERROR;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size limit of a journal that is read, in bytes.
const JOURNAL_BYTES: u64 = 512 << 20;
const SEAL: usize = 16;

/// Version of the journal format that this build writes. Values in cells were added later without a
/// new version; older builds ignore them.
pub(super) const FORMAT: u32 = 1;

/// Content of a journal file.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The valid records, in order.
    pub records: Vec<Record>,
    /// Bytes of the valid part.
    pub valid: u64,
    /// Description of damage; `None` when the file is intact.
    pub notice: Option<String>,
    /// Whether the first invalid line is complete, so that the file must be set aside.
    pub damaged: bool,
    seal: String,
}

impl Reading {
    /// The header, if the journal has one.
    pub fn header(&self) -> Option<&Header> {
        match self.records.first() {
            Some(Record::Header(h)) => Some(h),
            _ => None,
        }
    }
}

/// Reads the valid part of a journal's bytes; never fails.
pub fn read_journal(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let Some((seal, record)) = parse_line(&reading.seal, &rest[..end]) else { break };
        reading.records.push(record);
        reading.seal = seal;
        rest = &rest[end + 1..];
    }
    reading.valid = (bytes.len() - rest.len()) as u64;
    // A torn line has no newline and may hold zeros, because each append waits for the previous
    // one. A line in which only the last byte is wrong was complete.
    let (whole, last) = rest.split_at(rest.len().saturating_sub(1));
    let newline_lost = last != [0] && parse_line(&reading.seal, whole).is_some();
    reading.damaged = rest.contains(&b'\n') || newline_lost;
    if !rest.is_empty() {
        let kept = reading.records.len();
        reading.notice = Some(if reading.damaged {
            format!(
                "damaged at byte {}: the {kept} records before it are kept, the file is set aside",
                reading.valid
            )
        } else {
            format!(
                "the last record was torn by a crash before it was acknowledged; the {kept} before \
                 it are kept"
            )
        });
    }
    reading
}

fn parse_line(before: &str, line: &[u8]) -> Option<(String, Record)> {
    let (seal, json) = line.split_at_checked(SEAL)?;
    let json = json.strip_prefix(b" ")?;
    let expected = seal_of(before, json);
    if seal != expected.as_bytes() {
        return None;
    }
    Some((expected, serde_json::from_slice(json).ok()?))
}

fn seal_of(before: &str, json: &[u8]) -> String {
    let hash = Sha256::new().chain_update(before).chain_update(json).finalize();
    hash.iter().take(SEAL / 2).fold(String::with_capacity(SEAL), |mut s, b| {
        // Writing to a string cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    })
}

fn seal_line(before: &str, record: &Record) -> Result<(String, Vec<u8>)> {
    let json = serde_json::to_string(record)
        .map_err(|e| Error::new(Kind::Io, format!("cannot write a journal record: {e}")))?;
    let seal = seal_of(before, json.as_bytes());
    let line = format!("{seal} {json}\n").into_bytes();
    Ok((seal, line))
}

/// A journal that is open for writing. [`super::open`] holds the session's lock.
pub struct Journal {
    sink: Box<dyn Sink>,
    path: PathBuf,
    /// Length of the acknowledged part in bytes; the rest of the file is from a failed append.
    len: u64,
    seal: String,
    /// Whether a failed append may have left bytes, which must be removed before the next append.
    dirty: bool,
}

impl Journal {
    /// Begins a journal. On return, its header and its directory entry are on the disk.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(files: &dyn Files, path: &Path, header: Header) -> Result<Self> {
        let (seal, line) = seal_line("", &Record::Header(header))?;
        write_new(files, path, &line).map_err(|e| failed("begin", path, &e))?;
        let sink = files.append(path).map_err(|e| failed("open", path, &e))?;
        Ok(Self { sink, path: path.to_path_buf(), len: line.len() as u64, seal, dirty: false })
    }

    /// Opens a journal to continue it: drops a torn tail, sets a damaged file aside, and describes
    /// the damage.
    ///
    /// # Errors
    /// When the file cannot be read or written, is not a journal or has a later format. The file is
    /// then unchanged.
    pub fn resume(files: &dyn Files, path: &Path) -> Result<(Self, Reading)> {
        let bytes = files.read(path, JOURNAL_BYTES).map_err(|e| failed("read", path, &e))?;
        let mut reading = read_journal(&bytes);
        match reading.header() {
            Some(header) if header.format > FORMAT => return Err(later(path, header)),
            Some(_) => {}
            None => {
                let rule = reading.notice.unwrap_or_else(|| "no header".into());
                let rule = format!("not a gannet journal: {rule}");
                return Err(Error::format(&path.to_string_lossy(), 0, rule));
            }
        }
        if reading.damaged {
            let aside = set_aside(files, path, &bytes)?;
            write_atomic(files, path, &bytes[..reading.valid as usize])
                .map_err(|e| failed("repair", path, &e))?;
            let notice = reading.notice.get_or_insert_default();
            let _ = write!(notice, " as {}", Safe(&aside.to_string_lossy()));
        }
        let sink = files.append(path).map_err(|e| failed("open", path, &e))?;
        // The first append removes a torn tail in the same way as the rest of a failed append.
        let dirty = !reading.damaged && reading.valid < bytes.len() as u64;
        let journal = Self {
            sink,
            path: path.to_path_buf(),
            len: reading.valid,
            seal: reading.seal.clone(),
            dirty,
        };
        Ok((journal, reading))
    }

    /// Appends a record. After `Ok`, the record survives a crash.
    ///
    /// # Errors
    /// When the write fails: the record is then not acknowledged, and the caller may try again.
    pub fn append(&mut self, record: Record) -> Result<()> {
        let record = match record {
            Record::Cell(cell) => Record::Cell(cell.bounded()),
            other => other,
        };
        let (seal, line) = seal_line(&self.seal, &record)?;
        self.put(&line).map_err(|e| failed("write", &self.path, &e).hint("free some space"))?;
        self.seal = seal;
        self.len += line.len() as u64;
        Ok(())
    }

    fn put(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.dirty {
            self.sink.cut(self.len)?;
        }
        // Until the sync returns, it is unknown how much of the line was written.
        self.dirty = true;
        self.sink.write_all(line)?;
        self.sink.sync()?;
        self.dirty = false;
        Ok(())
    }

    /// Path of the journal.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is known of a journal without reading all its records.
pub(super) struct Skimmed {
    pub(super) header: Header,
    /// Number of records after the header.
    pub(super) records: usize,
    /// The text of the first cell that did not fail.
    pub(super) first: Option<String>,
    /// The last picture.
    pub(super) picture: Option<Picture>,
}

/// Reads the header of a journal, counts the lines after it, and looks for the first cell and the
/// last picture among the first and the last of them.
///
/// # Errors
/// When the file cannot be read; `None` when it is not a journal.
pub(super) fn skim(files: &Arc<dyn Files>, path: &Path) -> Result<Option<Skimmed>> {
    let bytes = files.read(path, JOURNAL_BYTES).map_err(|e| failed("read", path, &e))?;
    let whole = bytes.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n"));
    let lines: Vec<&[u8]> = whole.collect();
    let header = lines.first().and_then(|line| parse_line("", line));
    let Some((_, Record::Header(header))) = header else { return Ok(None) };
    // Each line is sealed with the seal of the line before it.
    let cell = |pair: &[&[u8]]| {
        let [before, line] = pair else { return None };
        let seal = std::str::from_utf8(before.get(..SEAL)?).ok()?;
        match parse_line(seal, line)?.1 {
            Record::Cell(cell) if cell.status != Status::Failed => Some(cell),
            _ => None,
        }
    };
    let first = lines.windows(2).take(SKIMMED).find_map(cell).map(|cell| cell.source);
    // A picture of errors shows little.
    let last = |cell: Cell| cell.pictures.into_iter().rfind(|p| p.label != ERROR);
    let picture = lines.windows(2).rev().take(SKIMMED).find_map(|pair| last(cell(pair)?));
    Ok(Some(Skimmed { header, records: lines.len() - 1, first, picture }))
}

/// Records among which the first cell and the last picture of a session are looked for.
const SKIMMED: usize = 20;

fn later(path: &Path, header: &Header) -> Error {
    Error::new(
        Kind::Format,
        format!(
            "the session {} has format {}, this gannet knows {FORMAT}",
            Safe(&path.to_string_lossy()),
            header.format
        ),
    )
    .hint(format!("open it with gannet {}", Safe(&header.version)))
}

/// Copies a damaged journal to the first free name beside it.
fn set_aside(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<PathBuf> {
    for n in 1..1000 {
        let aside = path.with_extension(format!("damaged-{n}"));
        match write_new(files, &aside, bytes) {
            Ok(()) => return Ok(aside),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed("set aside", path, &e)),
        }
    }
    Err(Error::new(
        Kind::Io,
        format!("{} was set aside a thousand times", Safe(&path.to_string_lossy())),
    ))
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::io(format!("cannot {doing} the journal {}", Safe(&path.to_string_lossy())), error)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
