//! The cells of a session: on the disk before they are shown, and the session's state after each of
//! them.

use crate::error::{Error, Result};
use crate::eval;
use crate::notebook::{self, Cell, Opened, Record, SessionInfo, Status};
use crate::store::{Disk, Files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// States kept for `:undo`; what lies farther back is computed again.
const STATES: usize = 50;

/// The cells in force, their journal, and the states after them.
pub(super) struct Cells {
    files: Arc<dyn Files>,
    folder: Option<PathBuf>,
    /// The journal, from the first cell on: a session without cells leaves no file.
    opened: Option<Opened>,
    /// The generator that the session begins with, for the journal's header.
    model: String,
    log: notebook::Session,
    base: eval::Session,
    after: BTreeMap<u64, eval::Session>,
}

/// Whether a cell changed the session: one that failed did not, for it is a single statement.
pub(super) fn changed(cell: &Cell) -> bool {
    cell.status != Status::Failed
}

impl Cells {
    /// A new session that begins with `base`; without a folder nothing is kept.
    pub(super) fn new(folder: Option<PathBuf>, model: String, base: eval::Session) -> Self {
        let log = notebook::Session::default();
        Self {
            files: Arc::new(Disk),
            folder,
            opened: None,
            model,
            log,
            base,
            after: BTreeMap::new(),
        }
    }

    /// Takes up a session from its journal, in place of this one; returns what was found wrong with
    /// it.
    pub(super) fn resume(&mut self, path: &Path) -> Result<Option<String>> {
        let opened = notebook::open(&self.files, path)?;
        self.log = notebook::replay(opened.reading.records.iter().cloned());
        let notice = opened.reading.notice.clone();
        if let Some(header) = opened.reading.header() {
            self.model = header.model.clone();
        }
        self.opened = Some(opened);
        self.after.clear();
        Ok(notice)
    }

    /// The state that the first cell began with.
    pub(super) fn set_base(&mut self, base: eval::Session) {
        self.base = base;
        self.after.clear();
    }

    /// The state that the first cell began with.
    pub(super) fn base(&self) -> &eval::Session {
        &self.base
    }

    /// The generator that the session began with: its source and fingerprint.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// Cells and undone cells.
    pub(super) fn log(&self) -> &notebook::Session {
        &self.log
    }

    /// Where the journal lies, once there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.opened.as_ref().map(|o| o.journal.path())
    }

    /// All sessions of the folder.
    pub(super) fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.folder.as_ref().map_or(Ok(Vec::new()), |f| notebook::sessions(&self.files, f))
    }

    /// The folder of the sessions.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Records a cell; when this returns `Ok`, it survives a crash and may be shown.
    pub(super) fn record(&mut self, cell: Cell, state: &eval::Session) -> Result<()> {
        let id = cell.id;
        let kept = changed(&cell);
        self.append(Record::Cell(cell))?;
        if kept {
            self.keep(id, state.clone());
        }
        Ok(())
    }

    /// Keeps the state after a cell.
    pub(super) fn keep(&mut self, id: u64, state: eval::Session) {
        self.after.insert(id, state);
        while self.after.len() > STATES {
            self.after.pop_first();
        }
    }

    fn append(&mut self, record: Record) -> Result<()> {
        if let (None, Some(folder)) = (&self.opened, &self.folder) {
            self.opened = Some(notebook::create(&self.files, folder, &self.model)?);
        }
        if let Some(opened) = &mut self.opened {
            opened.journal.append(record.clone())?;
        }
        self.log.apply(record);
        Ok(())
    }

    /// Takes the last cell back that changed anything, and the failed ones after it; `None` when
    /// there is none.
    pub(super) fn undo(&mut self) -> Result<Option<Cell>> {
        let Some(cell) = self.log.cells().iter().rev().find(|c| changed(c)).cloned() else {
            return Ok(None);
        };
        while self.log.cells().last().is_some_and(|c| c.id >= cell.id) {
            self.append(Record::Undo)?;
        }
        Ok(Some(cell))
    }

    /// Brings the next cell back that changed anything, and the failed ones before and behind it.
    pub(super) fn redo(&mut self) -> Result<Option<Cell>> {
        let Some(cell) = self.log.undone().iter().rev().find(|c| changed(c)).cloned() else {
            return Ok(None);
        };
        while self.log.undone().last().is_some_and(|c| c.id <= cell.id || !changed(c)) {
            self.append(Record::Redo)?;
        }
        Ok(Some(cell))
    }

    /// A state, and the cells that lead from it to the last one in force; no cells when the state
    /// is the last one's.
    pub(super) fn way(&self) -> (eval::Session, Vec<Cell>) {
        let all: Vec<&Cell> = self.log.cells().iter().filter(|c| changed(c)).collect();
        let known = all.iter().rposition(|c| self.after.contains_key(&c.id));
        let state = known.and_then(|k| self.after.get(&all[k].id)).unwrap_or(&self.base).clone();
        let rest = all[known.map_or(0, |k| k + 1)..].iter().map(|c| (*c).clone()).collect();
        (state, rest)
    }

    /// The journal of a session by its name, a path, or the latest other one that holds anything.
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
            Error::runtime(format!("there is no session {}", crate::safe::Safe(wanted)))
                .hint(":sessions lists them")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn session(n: f64) -> eval::Session {
        let mut s = eval::Session::new("toy", eval::Options::default()).unwrap();
        s.names.insert("n".into(), Value::Number(n));
        s
    }

    fn number(s: &eval::Session) -> f64 {
        match s.names.get("n") {
            Some(Value::Number(v)) => *v,
            _ => f64::NAN,
        }
    }

    fn put(cells: &mut Cells, id: u64, status: Status) {
        cells.record(Cell::new(id, format!("n = {id}"), status), &session(id as f64)).unwrap();
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
        assert_eq!(number(&cells.way().0), 3.0);
        assert_eq!(cells.undo().unwrap().unwrap().id, 3);
        assert_eq!((number(&cells.way().0), cells.way().1.len()), (1.0, 0));
        assert_eq!(cells.undo().unwrap().unwrap().id, 1);
        assert_eq!(number(&cells.way().0), 0.0);
        assert!(cells.undo().unwrap().is_none());
        assert_eq!(cells.redo().unwrap().unwrap().id, 1);
        assert_eq!(cells.redo().unwrap().unwrap().id, 3);
        assert!(cells.redo().unwrap().is_none());
        assert_eq!(cells.log().cells().len(), 4);
        // What the disk knows is the same.
        let path = cells.path().unwrap().to_path_buf();
        let log = cells.log().clone();
        drop(cells);
        let mut again = Cells::new(Some(folder.path().into()), "toy".into(), session(0.0));
        assert_eq!(again.find(None).unwrap(), Some(path.clone()));
        assert_eq!(again.resume(&path).unwrap(), None);
        assert_eq!(*again.log(), log);
        // Nothing is computed yet: the way leads from the beginning over the two that changed
        // anything.
        let (state, rest) = again.way();
        assert_eq!(
            (number(&state), rest.iter().map(|c| c.id).collect::<Vec<_>>()),
            (0.0, vec![1, 3])
        );
    }

    #[test]
    fn far_back_the_way_is_computed_again() {
        let mut cells = Cells::new(None, "toy".into(), session(0.0));
        (1..=STATES as u64 + 5).for_each(|id| put(&mut cells, id, Status::Ok));
        for _ in 0..STATES {
            cells.undo().unwrap().unwrap();
        }
        let (state, rest) = cells.way();
        assert_eq!((number(&state), rest.len()), (0.0, 5));
        assert_eq!(cells.path(), None, "nothing is kept without a folder");
    }

    #[test]
    fn a_session_without_cells_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let cells = Cells::new(Some(folder.path().join("s")), "toy".into(), session(0.0));
        drop(cells);
        assert!(!folder.path().join("s").exists());
    }
}
