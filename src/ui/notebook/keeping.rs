//! The notebook on the disk: saving, the index of outputs, and changes of other programs.

use super::editor::Place;
use super::file::Saved;
use super::model::Notebook;
use super::outputs::{Index, Piece, Ran, Status, text_hash};
use crate::error::{Error, Kind};
use crate::render::text::cut;
use crate::safe::Safe;
use crate::session::Request;
use std::collections::VecDeque;
use std::path::{Component, PathBuf};
use std::time::{Duration, Instant};

/// Time without a change after which the notebook is saved.
const AUTOSAVE: Duration = Duration::from_millis(800);
/// Time between two looks whether another program changed the file.
const LOOK: Duration = Duration::from_secs(2);

impl Notebook {
    /// Takes the outputs of an index and continues its session.
    pub(super) fn take_up(&mut self, index: Index) {
        self.reactive.stamps().recall(index.inputs);
        let cells: Vec<(u64, String)> =
            self.editor.document().cells().iter().map(|c| (c.id, text_hash(&c.text))).collect();
        let mut rest = index.cells.into_iter().collect::<VecDeque<_>>();
        for (at, (id, hash)) in cells.into_iter().enumerate() {
            // Cells before it that the file no longer has are skipped.
            let Some(n) = rest.iter().position(|c| c.0 == hash) else { continue };
            let Some((_, folded, ran)) = rest.drain(..=n).next_back() else { continue };
            self.editor.fold(at, folded);
            if let Some(ran) = ran {
                self.ran.insert(id, ran);
            }
        }
        let (cell, at) = index.cursor;
        self.editor.jump(Place { cell, at });
        // The index may be from outside: only a journal of the user's own sessions is continued.
        let own = |path: &PathBuf| {
            let plain = path.components().all(|c| c != Component::ParentDir);
            plain && self.session.folder().is_some_and(|f| path.starts_with(f)) && path.is_file()
        };
        let journal = index.session.filter(own);
        if let Some(path) = journal {
            self.promised = index.bound;
            let wanted = Request::Resume(Some(path.to_string_lossy().into_owned()));
            match self.session.submit(wanted, false) {
                Ok(()) => self.resuming = true,
                Err(e) => self.trouble(&e),
            }
        }
    }

    /// Saves what changed when the user pauses, and looks for changes of other programs.
    pub fn keep(&mut self) {
        let version = self.editor.version();
        if self.inputs_seen.elapsed() >= LOOK {
            self.inputs_seen = Instant::now();
            self.look_at_inputs();
        }
        if self.seen.0 != version {
            self.seen = (version, Instant::now());
        }
        if self.conflict {
            return;
        }
        if self.saved != version {
            if self.seen.1.elapsed() >= AUTOSAVE {
                self.save();
            }
        } else if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // A file that cannot be read now is reported when it is saved.
            self.conflict = self.file.exists() && self.file.changed().unwrap_or(false);
            self.look_at_imports();
        } else if self.unwritten && self.rests() {
            self.write_index();
        }
    }

    /// Marks cells as stale whose input files have changed.
    pub(super) fn look_at_inputs(&mut self) {
        if self.linked.is_some() && self.reactive.changed() {
            self.linked = None;
            self.revision += 1;
        }
    }

    /// Marks the cells stale whose imported files have changed.
    fn look_at_imports(&mut self) {
        if self.editor.document().cells().iter().any(|c| c.text.contains("import")) {
            let before = self.links().to_vec();
            self.linked = None;
            if self.links() != before {
                self.revision += 1;
            }
        }
    }

    /// Whether the outputs may be written: nothing runs, or a cell runs for so long that a crash
    /// must find it.
    fn rests(&self) -> bool {
        match &self.running {
            Some(running) => running.begun.elapsed() >= LOOK,
            None => self.queue.is_empty(),
        }
    }

    /// Saves the text and the outputs; returns whether both are on the disk.
    pub fn save(&mut self) -> bool {
        let version = self.editor.version();
        // When it fails, the next try comes after another pause.
        self.seen = (version, Instant::now());
        match self.file.save(&self.editor.document().print()) {
            Ok(Saved::Written) => self.saved = version,
            Ok(Saved::Conflict) => {
                self.conflict = true;
                return false;
            }
            Err(e) => {
                self.trouble(&e);
                return false;
            }
        }
        self.write_index()
    }

    fn write_index(&mut self) -> bool {
        let index = self.index();
        match self.outputs.write(index) {
            Ok(()) => {
                self.unwritten = false;
                true
            }
            Err(e) => {
                // The error is reported once; the next save tries again.
                self.unwritten = false;
                self.trouble(&e);
                false
            }
        }
    }

    fn index(&self) -> Index {
        let place = self.editor.place();
        let ran = |id: u64| match &self.running {
            // What the next process finds if this one ends before the cell.
            Some(r) if r.id == id => Some(Ran {
                key: r.key.clone(),
                late: r.late.clone(),
                status: Status::Cut,
                millis: 0,
                cached: false,
                output: vec![Piece::Text {
                    lines: vec!["stopped in the middle: run it to go on".to_owned()],
                }],
                names: Vec::new(),
            }),
            _ => self.ran.get(&id).cloned(),
        };
        let cells = self.editor.document().cells();
        Index {
            session: self.session.snapshot().journal.clone(),
            cursor: (place.cell, place.at),
            cells: cells.iter().map(|c| (text_hash(&c.text), c.folded, ran(c.id))).collect(),
            inputs: self.reactive.stamps().all(),
            bound: if self.resuming { self.promised.clone() } else { self.bound.clone() },
            ..Index::default()
        }
    }

    /// Takes the text of the other program; the user's own can be brought back by undo.
    pub fn reload(&mut self) {
        match self.file.read() {
            Ok(text) => {
                self.editor.load(&text.unwrap_or_default());
                self.saved = self.editor.version();
                self.conflict = false;
                self.say("reloaded; undo brings your text back");
            }
            Err(e) => self.trouble(&e),
        }
    }

    /// Writes the user's text to a new file, and takes that of the other program.
    pub fn keep_both(&mut self) {
        match self.file.save_beside(&self.editor.document().print()) {
            Ok(path) => {
                self.reload();
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                self.say(cut(&format!("yours is in {}", name.unwrap_or_default()), 60));
            }
            Err(e) => self.trouble(&e),
        }
    }

    /// As [`Notebook::close`]; when another program has changed the file, the text goes into a new
    /// file beside it.
    pub fn close_safely(&mut self) -> Option<Error> {
        if self.close() || self.saved == self.editor.version() {
            return None;
        }
        let text = self.editor.document().print();
        let error = match self.file.save_beside(&text) {
            Ok(path) => {
                self.saved = self.editor.version();
                let shown = Safe(&path.to_string_lossy()).to_string();
                let what = if self.conflict {
                    "another program changed the notebook"
                } else {
                    "the notebook could not be saved"
                };
                Error::new(Kind::Io, format!("{what}; your text is in {shown}"))
            }
            Err(e) => e.note("the last changes of the notebook are not saved"),
        };
        self.trouble(&error);
        Some(error)
    }

    /// Saves everything for the last time.
    pub fn close(&mut self) -> bool {
        self.editor.settle();
        let saved = (self.saved == self.editor.version() && self.write_index()) || self.save();
        if saved {
            self.outputs.tidy();
        }
        saved
    }
}
