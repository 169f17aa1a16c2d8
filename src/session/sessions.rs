//! The sessions of a user: a folder of journals. The process that writes a journal locks it.

use super::journal::{FORMAT, Journal, Reading, Skimmed, skim};
use super::record::{Header, Picture};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::store::{Files, Lock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const EXTENSION: &str = "journal";

/// A session on the disk.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Its journal.
    pub path: PathBuf,
    /// Version and start time of the session.
    pub header: Header,
    /// Number of records after the header.
    pub records: usize,
    /// The text of its first cell; `None` without one among its first records.
    pub first: Option<String>,
    /// The last picture that it showed; `None` without one among its last records.
    pub picture: Option<Picture>,
}

impl SessionInfo {
    /// When it began, as UTC: `2026-11-22 16:12`.
    pub fn began(&self) -> String {
        self.header.began()
    }
}

impl Header {
    /// Time of the session's begin, as in `2026-12-01 00:47`, in UTC.
    pub fn began(&self) -> String {
        let (days, day) = (self.started / 86_400, self.started % 86_400);
        let (year, month, date) = civil(days);
        format!("{year:04}-{month:02}-{date:02} {:02}:{:02}", day / 3600, day / 60 % 60)
    }
}

/// A session that this process has locked: other processes cannot write its journal until this is
/// dropped.
pub struct Opened {
    /// The journal, ready for the next record.
    pub journal: Journal,
    /// Content of the journal when it was opened.
    pub reading: Reading,
    _lock: Lock,
}

/// Begins a session in a folder.
///
/// # Errors
/// When the folder or the journal cannot be made.
pub fn create(files: &Arc<dyn Files>, folder: &Path, model: &str) -> Result<Opened> {
    files
        .make_folder(folder)
        .map_err(|e| Error::io(format!("cannot make {}", shown(folder)), &e))?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    for n in 0..1000 {
        let session = name(started, n);
        let path = folder.join(&session).with_extension(EXTENSION);
        let Some(lock) = lock_of(&path)? else { continue };
        let version = env!("CARGO_PKG_VERSION").to_string();
        let header = Header { format: FORMAT, version, session, model: model.to_string(), started };
        if files.read(&path, u64::MAX - 1).is_ok() {
            continue;
        }
        let journal = Journal::create(files.as_ref(), &path, header)?;
        return Ok(Opened { journal, reading: Reading::default(), _lock: lock });
    }
    Err(Error::new(Kind::Io, format!("no free session name in {}", shown(folder))))
}

/// Opens a session to continue it.
///
/// # Errors
/// When another process has locked it, when the file is not a journal or has a later format, or
/// when it cannot be read or written.
pub fn open(files: &Arc<dyn Files>, path: &Path) -> Result<Opened> {
    let Some(lock) = lock_of(path)? else {
        return Err(Error::new(
            Kind::Io,
            format!("the session {} is open in another process", shown(path)),
        )
        .hint("close it there, or begin a new one"));
    };
    let (journal, reading) = Journal::resume(files.as_ref(), path)?;
    Ok(Opened { journal, reading, _lock: lock })
}

/// Lists all sessions of a folder, oldest first; skips files that are not journals. Writes nothing.
///
/// # Errors
/// When the folder cannot be read.
pub fn sessions(files: &Arc<dyn Files>, folder: &Path) -> Result<Vec<SessionInfo>> {
    let paths =
        files.list(folder).map_err(|e| Error::io(format!("cannot read {}", shown(folder)), &e))?;
    let journals = paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == EXTENSION));
    let mut found: Vec<SessionInfo> = journals.filter_map(|path| info(files, path)).collect();
    found.sort_by(|a, b| (a.header.started, &a.path).cmp(&(b.header.started, &b.path)));
    Ok(found)
}

/// The latest session that holds records; `None` without one.
///
/// # Errors
/// When the folder cannot be read.
pub fn latest(files: &Arc<dyn Files>, folder: &Path) -> Result<Option<SessionInfo>> {
    Ok(sessions(files, folder)?.into_iter().rev().find(|s| s.records > 0))
}

fn info(files: &Arc<dyn Files>, path: PathBuf) -> Option<SessionInfo> {
    let Skimmed { header, records, first, picture } = skim(files, &path).ok()??;
    Some(SessionInfo { path, header, records, first, picture })
}

fn lock_of(path: &Path) -> Result<Option<Lock>> {
    Lock::try_take(&path.with_extension("lock"))
        .map_err(|e| Error::io(format!("cannot lock the session {}", shown(path)), &e))
}

/// A name that sorts by time and is unique to the process: `20261122-161203-4711`.
fn name(seconds: u64, n: u32) -> String {
    let (days, day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, date) = civil(days);
    let (hour, minute, second) = (day / 3600, day / 60 % 60, day % 60);
    let again = if n == 0 { String::new() } else { format!("-{n}") };
    format!(
        "{year:04}{month:02}{date:02}-{hour:02}{minute:02}{second:02}-{}{again}",
        std::process::id()
    )
}

/// Converts days since 1970-01-01 to year, month and day (Gregorian).
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month as u64 + 1, days + 1)
}

fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Cell, Record, Status};
    use super::*;
    use crate::store::Disk;
    use crate::value::pictures::ERROR;

    fn disk() -> Arc<dyn Files> {
        Arc::new(Disk)
    }

    #[test]
    fn known_days() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_779), (2026, 11, 22));
        assert!(name(1_795_363_923, 0).starts_with("20261122-"));
    }

    #[test]
    fn begun_closed_listed_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let files = disk();
        let mut first = create(&files, folder.path(), "toy").unwrap();
        let second = create(&files, folder.path(), "toy").unwrap();
        assert_ne!(first.journal.path(), second.journal.path());
        first.journal.append(Record::Cell(Cell::new(1, "show w", Status::Ok))).unwrap();
        let pictures = [("target", 1), ("inverted", 2), (ERROR, 3)];
        let pictures = pictures.map(|(label, png)| Picture { label: label.into(), png: vec![png] });
        let cell = Cell { pictures: pictures.into(), ..Cell::new(2, "r", Status::Ok) };
        first.journal.append(Record::Cell(cell)).unwrap();
        first.journal.append(Record::Cell(Cell::new(3, "1", Status::Ok))).unwrap();
        let path = first.journal.path().to_path_buf();
        assert!(open(&files, &path).err().unwrap().message().contains("another process"));
        drop(first);
        let again = open(&files, &path).unwrap();
        assert_eq!(again.reading.records.len(), 4);
        assert_eq!(again.reading.notice, None);
        let listed = sessions(&files, folder.path()).unwrap();
        assert_eq!(listed.len(), 2);
        let firsts: Vec<_> = listed.iter().filter_map(|s| s.first.as_deref()).collect();
        assert_eq!(firsts, ["show w"]);
        let pictures = listed.iter().filter_map(|s| Some((&s.path, &s.picture.as_ref()?.png[..])));
        assert_eq!(pictures.collect::<Vec<_>>(), [(&path, &[2][..])]);
        assert!(listed[0].began().starts_with("20") && listed[0].began().len() == 16);
        // The second session is newer or of the same age, but empty, so it is not resumed.
        assert_eq!(latest(&files, folder.path()).unwrap().unwrap().path, path);
    }

    #[test]
    fn a_later_format_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.journal");
        let header = Header {
            format: 2,
            version: "9.9".into(),
            session: "s".into(),
            model: String::new(),
            started: 0,
        };
        drop(Journal::create(&Disk, &path, header).unwrap());
        let before = std::fs::read(&path).unwrap();
        assert!(open(&disk(), &path).err().unwrap().message().contains("format 2"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn no_folder_is_no_session() {
        assert!(latest(&disk(), Path::new("/nonexistent/gannet")).unwrap().is_none());
    }
}
