//! The cells of a session, their journal and their values. A cell is on the disk before it is
//! shown.

use super::sessions;
use super::{Cell, Log, Opened, Plan, Rebuilt, Record, Run, SessionInfo, Values, in_force, replay};
use crate::error::{Error, Result};
use crate::eval;
use crate::safe::Safe;
use crate::store::{Disk, Files, writable};
use crate::value::kept::Kept;
use crate::words;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The cells in force, their journal, and their values.
pub(super) struct Cells {
    files: Arc<dyn Files>,
    folder: Option<PathBuf>,
    /// The journal, opened with the first cell: a session without cells leaves no file.
    opened: Option<Opened>,
    /// Records that could not be written yet; they are written before the next record.
    owed: Vec<Record>,
    /// Whether the user was told that records do not reach the disk.
    told: bool,
    /// The generator at the beginning of the session, for the journal's header.
    model: String,
    log: Log,
    base: eval::State,
    values: Values,
}

/// A change in whether the journal reaches the disk.
#[derive(Debug)]
pub(super) enum Standing {
    /// No change: the record is on the disk, or its loss was reported before.
    Same,
    /// From this record on, records do not reach the disk.
    Lost(Error),
    /// Writing works again, and this many earlier records were written too.
    Back(usize),
}

impl Cells {
    /// Begins a new session with the state `base`; without a folder it has no journal.
    pub(super) fn new(folder: Option<PathBuf>, model: String, base: eval::State) -> Self {
        Self {
            files: Arc::new(Disk),
            folder,
            opened: None,
            owed: Vec::new(),
            told: false,
            model,
            log: Log::default(),
            base,
            values: Values::default(),
        }
    }

    /// Replaces this session by the one in a journal; returns a description of damage found in it.
    pub(super) fn resume(&mut self, path: &Path) -> Result<Option<String>> {
        let mut opened = sessions::open(&self.files, path)?;
        if let Some(header) = opened.reading.header() {
            self.model = header.model.clone();
        }
        self.log = replay(std::mem::take(&mut opened.reading.records));
        let notice = opened.reading.notice.take();
        self.opened = Some(opened);
        self.owed.clear();
        self.told = false;
        self.values = Values::default();
        Ok(notice)
    }

    /// Sets the state before the first cell.
    pub(super) fn set_base(&mut self, base: eval::State) {
        self.base = base;
        self.values = Values::default();
    }

    /// The state before the first cell.
    pub(super) fn base(&self) -> &eval::State {
        &self.base
    }

    /// The generator at the beginning of the session: its source and fingerprint.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// The cells in force and the undone ones.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Path of the journal, once it exists.
    pub(super) fn path(&self) -> Option<&Path> {
        self.opened.as_ref().map(|o| o.journal.path())
    }

    /// All sessions of the folder.
    pub(super) fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.folder.as_ref().map_or(Ok(Vec::new()), |f| sessions::sessions(&self.files, f))
    }

    /// Records a cell and the values that it bound. Unless this returns [`Standing::Lost`], the
    /// cell survives a crash and may be shown.
    pub(super) fn record(&mut self, mut cell: Cell, state: &eval::State) -> Standing {
        if in_force(&cell) {
            self.values.put(&cell, state);
            for name in self.values.binds(&cell) {
                let kept = state.names.get(&name).map(Kept::of);
                cell.values.extend(kept.map(|k| (name, k.into())));
            }
        }
        let standing = self.append(Record::Cell(cell));
        self.values.forget(self.log.cells());
        standing
    }

    fn append(&mut self, record: Record) -> Standing {
        self.log.apply(record.clone());
        if self.folder.is_none() && self.opened.is_none() {
            return Standing::Same;
        }
        let owed = self.owed.len();
        self.owed.push(record);
        let flushed = self.flush();
        let told = std::mem::replace(&mut self.told, flushed.is_err());
        match (flushed, told) {
            (Ok(()), true) => Standing::Back(owed),
            (Err(e), false) => Standing::Lost(e),
            _ => Standing::Same,
        }
    }

    /// Checks that the sessions' folder can be written to. [`Cells::record`] does not report the
    /// same error again.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub(super) fn check_folder(&mut self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let checked = writable(folder).map_err(|e| {
            let shown = Safe(&folder.to_string_lossy()).to_string();
            Error::io(format!("this session is not kept: cannot write to {shown}"), &e)
                .hint("GANNET_STATE names another folder")
        });
        self.told = checked.is_err();
        checked
    }

    fn flush(&mut self) -> Result<()> {
        if let (None, Some(folder)) = (&self.opened, &self.folder) {
            self.opened = Some(sessions::create(&self.files, folder, &self.model)?);
        }
        while let (Some(opened), Some(record)) = (&mut self.opened, self.owed.first()) {
            opened.journal.append(record.clone())?;
            self.owed.remove(0);
        }
        Ok(())
    }

    /// Undoes the last cell that changed the session, and the cells after it; `None` without such a
    /// cell.
    pub(super) fn undo(&mut self) -> (Option<Arc<Cell>>, Standing) {
        let mut cells = self.log.cells().iter().rev();
        let Some(cell) = cells.find(|c| self.values.changes(c)).cloned() else {
            return (None, Standing::Same);
        };
        let mut standing = Standing::Same;
        while self.log.cells().last().is_some_and(|c| c.id >= cell.id) {
            standing = self.append(Record::Undo).or(standing);
        }
        (Some(cell), standing)
    }

    /// Redoes the next cell that changed the session, and the others before and after it.
    pub(super) fn redo(&mut self) -> (Option<Arc<Cell>>, Standing) {
        let mut undone = self.log.undone().iter().rev();
        let Some(cell) = undone.find(|c| self.values.changes(c)).cloned() else {
            return (None, Standing::Same);
        };
        let mut standing = Standing::Same;
        while let Some(next) = self.log.undone().last().cloned() {
            if next.id > cell.id && self.values.changes(&next) {
                break;
            }
            standing = self.append(Record::Redo).or(standing);
        }
        (Some(cell), standing)
    }

    /// The latest cell in force that has a numbered result.
    pub(super) fn latest_result(&mut self) -> Option<u64> {
        self.values.latest_result(self.log.cells())
    }

    /// Forgets numbered results of these names.
    pub(super) fn shed(&mut self, names: &BTreeSet<String>) {
        self.values.shed(names);
    }

    /// The names that a cell binds; none for a failed cell.
    pub(super) fn binds(&mut self, cell: &Cell) -> BTreeSet<String> {
        if in_force(cell) { self.values.binds(cell) } else { BTreeSet::new() }
    }

    /// Plans the session after the cells in force, with values for the `wanted` names. With
    /// `loads`, its generators are loaded.
    pub(super) fn plan(&mut self, wanted: BTreeSet<String>, loads: bool) -> Plan {
        self.values.plan(self.log.cells(), wanted, loads)
    }

    /// Rebuilds the session; see [`Values::build`].
    ///
    /// # Errors
    /// When it was stopped.
    pub(super) fn build(&mut self, plan: &Plan, run: &mut Run<'_>) -> Result<Rebuilt> {
        self.values.build(&self.base, self.log.cells(), plan, run)
    }

    /// The journal of a session by name or path, or of the latest other session that holds records.
    pub(super) fn find(&self, wanted: Option<&str>) -> Result<Option<PathBuf>> {
        let Some(wanted) = wanted else {
            let mut all = self.sessions()?;
            all.retain(|s| s.records > 0 && Some(s.path.as_path()) != self.path());
            return Ok(all.pop().map(|s| s.path));
        };
        let path = PathBuf::from(wanted);
        if path.is_file() {
            return Ok(Some(path));
        }
        let named = self.sessions()?.into_iter().find(|s| s.header.session == wanted);
        named.map(|s| Some(s.path)).ok_or_else(|| {
            Error::runtime(format!("there is no session {}", Safe(wanted)))
                .hint(":sessions lists them")
        })
    }
}

impl Standing {
    /// `self` if it reports a change, else `other`.
    fn or(self, other: Self) -> Self {
        if matches!(self, Self::Same) { other } else { self }
    }

    /// The message for the user; `None` when nothing changed.
    pub(super) fn said(self, id: u64) -> Option<std::result::Result<String, Error>> {
        match self {
            Self::Same => None,
            Self::Lost(e) => {
                let note = format!(
                    "cells from [{id}] on are not saved; they will be when the disk can be \
                     written again"
                );
                Some(Err(e.note(note)))
            }
            Self::Back(n) => {
                let records = words::count(n, "record");
                Some(Ok(format!("the session is saved again, including its last {records}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::value::{Models, Value};

    fn session(n: f64) -> eval::State {
        let mut s = eval::State::new(Models::cpu(), "toy", eval::Options::default()).unwrap();
        s.names.insert("n".into(), Value::Number(n));
        s
    }

    fn number(s: &eval::State) -> f64 {
        match s.names.get("n") {
            Some(Value::Number(v)) => *v,
            _ => f64::NAN,
        }
    }

    fn put(cells: &mut Cells, id: u64, status: Status) {
        let state = session(id as f64);
        let standing = cells.record(Cell::new(id, format!("n = {id}"), status), &state);
        assert!(matches!(standing, Standing::Same), "{standing:?}");
    }

    /// The value of `n`, and how many cells had to run for it.
    fn now(cells: &mut Cells) -> (f64, usize) {
        let mut ran = 0;
        let plan = cells.plan(BTreeSet::from(["n".to_owned()]), true);
        let built = cells.build(&plan, &mut |_, _| {
            ran += 1;
            Ok(())
        });
        (number(&built.unwrap().session), ran)
    }

    #[test]
    fn undo_restores_states_and_passes_over_failures() {
        let folder = tempfile::tempdir().unwrap();
        let mut cells = Cells::new(Some(folder.path().into()), "toy".into(), session(0.0));
        for (id, status) in
            [(1, Status::Ok), (2, Status::Failed), (3, Status::Stopped), (4, Status::Failed)]
        {
            put(&mut cells, id, status);
        }
        assert_eq!(now(&mut cells), (3.0, 0));
        assert_eq!(cells.undo().0.unwrap().id, 3);
        assert_eq!(now(&mut cells), (1.0, 0));
        assert_eq!(cells.undo().0.unwrap().id, 1);
        assert_eq!(now(&mut cells), (0.0, 0));
        assert!(cells.undo().0.is_none());
        assert_eq!(cells.redo().0.unwrap().id, 1);
        assert_eq!(cells.redo().0.unwrap().id, 3);
        assert!(cells.redo().0.is_none());
        assert_eq!(cells.log().cells().len(), 4);
        // A session resumed from the disk gives the same value without running a cell.
        let path = cells.path().unwrap().to_path_buf();
        let log = cells.log().clone();
        drop(cells);
        let mut again = Cells::new(Some(folder.path().into()), "toy".into(), session(0.0));
        assert_eq!(again.find(None).unwrap(), Some(path.clone()));
        assert_eq!(again.resume(&path).unwrap(), None);
        assert_eq!(*again.log(), log);
        assert_eq!(now(&mut again), (3.0, 0));
    }

    #[test]
    fn far_back_the_journal_has_the_values() {
        let mut cells = Cells::new(None, "toy".into(), session(0.0));
        (1..=90).for_each(|id| put(&mut cells, id, Status::Ok));
        for _ in 0..85 {
            cells.undo().0.unwrap();
        }
        assert_eq!(now(&mut cells), (5.0, 0));
        assert_eq!(cells.path(), None, "nothing is kept without a folder");
    }

    #[test]
    fn a_session_without_cells_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let cells = Cells::new(Some(folder.path().join("s")), "toy".into(), session(0.0));
        drop(cells);
        assert!(!folder.path().join("s").exists());
    }

    #[test]
    fn a_disk_that_refuses_is_complained_of_once_and_gets_all_when_it_takes_again() {
        let folder = tempfile::tempdir().unwrap();
        let (there, away) = (folder.path().join("s"), folder.path().join("t"));
        // A file is in the place of the folder.
        std::fs::write(&there, "in the way").unwrap();
        let mut cells = Cells::new(Some(there.clone()), "toy".into(), session(0.0));
        let record = |cells: &mut Cells, id: u64| {
            cells.record(Cell::new(id, format!("n = {id}"), Status::Ok), &session(id as f64))
        };
        assert!(matches!(record(&mut cells, 1), Standing::Lost(_)));
        for id in 2..=4 {
            assert!(matches!(record(&mut cells, id), Standing::Same));
        }
        assert_eq!(now(&mut cells), (4.0, 0));
        assert!(matches!(cells.undo().1, Standing::Same));
        std::fs::rename(&there, &away).unwrap();
        assert!(matches!(record(&mut cells, 5), Standing::Back(5)));
        let (path, log) = (cells.path().unwrap().to_path_buf(), cells.log().clone());
        drop(cells);
        let mut again = Cells::new(Some(there), "toy".into(), session(0.0));
        assert_eq!(again.resume(&path).unwrap(), None);
        assert_eq!(*again.log(), log);
    }
}
