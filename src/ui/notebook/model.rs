//! A notebook without its screen: cells, their outputs, what is stale, and the session that runs
//! them.

use super::document::Document;
use super::editor::Editor;
use super::file::NotebookFile;
use super::outputs::{Outputs, Piece, Ran, Status};
use super::room::Asked;
use crate::control::{Progress, Stop};
use crate::error::{Error, Result};
use crate::session::{Links, Reactive, Request, Session};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The state of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Words, or no statement.
    None,
    /// Its result is that of its text and of what it needs.
    Fresh,
    /// It did not run, or something that it needs has changed since.
    Stale,
    /// It runs.
    Running,
    /// It will run.
    Waiting,
    /// It failed, and nothing has changed since.
    Failed,
}

/// A running cell.
pub struct Running {
    /// The cell.
    pub id: u64,
    /// Its text when it began.
    pub(super) text: Arc<str>,
    pub(super) key: String,
    /// The names that it reads from cells below, with the keys of the cells that bound them.
    pub(super) late: BTreeMap<String, String>,
    pub(super) writes: BTreeSet<String>,
    pub(super) begun: Instant,
    /// Results that had come from the cache before.
    pub(super) hits: u64,
    /// What it has shown so far.
    pub output: Vec<Piece>,
    /// The names of the values that it has bound and shown so far.
    pub(super) names: Vec<String>,
    pub(super) status: Status,
    /// The first line of the running statement.
    pub title: String,
    /// The latest progress.
    pub progress: Option<Progress>,
    /// Number of reports so far.
    pub reports: u64,
    /// The current request to stop.
    pub stop: Stop,
}

/// A message for the status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The text.
    pub text: String,
    /// Whether it tells of a failure.
    pub bad: bool,
}

/// A notebook.
pub struct Notebook {
    /// The cells, as text with a cursor.
    pub editor: Editor,
    pub(super) file: NotebookFile,
    /// The outputs on the disk.
    pub outputs: Outputs,
    /// What runs the cells.
    pub session: Session,
    pub(super) reactive: Reactive,
    /// What all cells depend on: the generator at the beginning and the seed.
    pub(super) base: String,
    pub(super) links: Vec<Links>,
    pub(super) linked: Option<u64>,
    pub(super) ran: HashMap<u64, Ran>,
    /// The key of the cell that last bound each name in the session.
    pub(super) bound: BTreeMap<String, String>,
    /// The names that the index says are bound, until the session has been resumed.
    pub(super) promised: BTreeMap<String, String>,
    pub(super) queue: VecDeque<u64>,
    pub(super) running: Option<Running>,
    /// A call of `explore` for which no screen is open yet.
    pub(super) asked: Option<Asked>,
    pub(super) resuming: bool,
    pub(super) message: Option<Message>,
    /// The version of the text on the disk.
    pub(super) saved: u64,
    /// The version of the text that was last seen, and when it was first seen.
    pub(super) seen: (u64, Instant),
    pub(super) looked: Instant,
    /// The last look at the files that cells read.
    pub(super) inputs_seen: Instant,
    /// Another program has changed the file.
    pub(super) conflict: bool,
    /// Whether outputs changed since the index was written.
    pub(super) unwritten: bool,
    /// Changes when a cell's output or state changes.
    pub(super) revision: u64,
    /// The revision at which each cell's last run ended.
    pub(super) stamps: HashMap<u64, u64>,
}

impl Notebook {
    /// Opens a notebook with a session that has not begun. Outputs of earlier runs are there at
    /// once; nothing runs.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path, session: Session, base: &str) -> Result<Self> {
        let (file, text) = NotebookFile::open(path)?;
        let mut outputs = Outputs::beside(path);
        let read = outputs.read();
        let now = Instant::now();
        let reactive = Reactive::new(session.snapshot().state.options.imports.clone());
        let mut notebook = Self {
            editor: Editor::new(Document::parse(&text)),
            file,
            outputs,
            session,
            reactive,
            base: base.to_owned(),
            links: Vec::new(),
            linked: None,
            ran: HashMap::new(),
            bound: BTreeMap::new(),
            promised: BTreeMap::new(),
            queue: VecDeque::new(),
            running: None,
            asked: None,
            resuming: false,
            message: None,
            saved: 0,
            seen: (0, now),
            looked: now,
            inputs_seen: now,
            conflict: false,
            unwritten: false,
            revision: 0,
            stamps: HashMap::new(),
        };
        match read {
            Ok(index) => notebook.take_up(index),
            Err(e) => notebook.trouble(&e),
        }
        Ok(notebook)
    }

    // ---- what is shown

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether the text is on the disk.
    pub fn is_saved(&self) -> bool {
        self.saved == self.editor.version() && self.file.exists()
    }

    /// Whether another program has changed the file, so that the user must decide.
    pub fn conflict(&self) -> bool {
        self.conflict
    }

    /// The message for the status line.
    pub fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// Drops the message, because the user did something.
    pub fn hush(&mut self) {
        self.message = None;
    }

    /// Shows a message.
    pub fn say(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), bad: false });
    }

    pub(super) fn trouble(&mut self, e: &Error) {
        let hint = e.repair().map_or(String::new(), |h| format!(" · try: {h}"));
        self.message = Some(Message { text: format!("{}{hint}", e.message()), bad: true });
    }

    /// A number that changes when the output or the state of a cell changes.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The running cell.
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Whether a cell runs or the session is being resumed.
    pub fn busy(&self) -> bool {
        self.running.is_some() || self.resuming
    }

    /// Takes the newest preview of the running cell.
    pub fn take_preview(&mut self) -> Option<candle_core::Tensor> {
        self.running.as_mut()?.progress.as_mut()?.preview.take()
    }

    /// The last run of a cell.
    pub fn ran(&self, id: u64) -> Option<&Ran> {
        self.ran.get(&id)
    }

    /// What a cell has shown: so far, while it runs.
    pub fn output(&self, id: u64) -> &[Piece] {
        match &self.running {
            Some(r) if r.id == id => &r.output,
            _ => self.ran.get(&id).map_or(&[], |r| &r.output),
        }
    }

    /// A number that changes with each run of a cell.
    pub fn stamp(&self, id: u64) -> u64 {
        self.stamps.get(&id).copied().unwrap_or(0)
    }

    /// The links of all cells.
    pub fn links(&mut self) -> &[Links] {
        let version = self.editor.version();
        if self.linked != Some(version) {
            let cells = self.editor.document().cells();
            let texts: Vec<Option<Arc<str>>> =
                cells.iter().map(|c| (!c.is_text()).then(|| c.text.clone())).collect();
            self.links = self.reactive.links(&texts, &self.base);
            self.linked = Some(version);
        }
        &self.links
    }

    /// A warning about a cell that reads names which only cells below bind.
    pub fn disorder(&mut self, id: u64) -> Option<String> {
        let at = self.editor.document().place(id)?;
        let snapshot = self.session.snapshot();
        let directions = snapshot.state.model.as_ref().map(|m| &m.facts.directions);
        self.links().get(at)?.disorder(|name| directions.is_some_and(|d| d.contains_key(name)))
    }

    /// The state of a cell.
    pub fn mark(&mut self, at: usize) -> Mark {
        self.links();
        let Some(cell) = self.editor.document().cells().get(at) else { return Mark::None };
        if self.running.as_ref().is_some_and(|r| r.id == cell.id) {
            return Mark::Running;
        }
        if self.queue.contains(&cell.id) {
            return Mark::Waiting;
        }
        if !runs(cell) {
            return Mark::None;
        }
        match self.ran.get(&cell.id) {
            Some(ran) if ran.key == self.links[at].key && self.as_read(at, ran) => match ran.status
            {
                Status::Ok | Status::Kept => Mark::Fresh,
                Status::Failed => Mark::Failed,
                Status::Cut => Mark::Stale,
            },
            _ => Mark::Stale,
        }
    }

    /// Whether the cells below a cell still bind the names that it read from them as they did.
    fn as_read(&self, at: usize, ran: &Ran) -> bool {
        let later = &self.links[at].later;
        ran.late
            .iter()
            .all(|(name, key)| later.get(name).is_some_and(|below| self.links[*below].key == *key))
    }

    // ---- running

    /// Runs a cell, after the cells that it needs and that did not run as they are. Of the cells
    /// below it, those count from which it has read a name.
    pub fn run(&mut self, at: usize) {
        self.enqueue(&[at]);
    }

    /// Runs every cell.
    pub fn run_all(&mut self) {
        let all: Vec<usize> = (0..self.editor.document().cells().len()).collect();
        self.enqueue(&all);
    }

    /// Runs every stale cell; returns their number.
    pub fn run_stale(&mut self) -> usize {
        let count = self.editor.document().cells().len();
        let stale: Vec<usize> =
            (0..count).filter(|&k| matches!(self.mark(k), Mark::Stale | Mark::Failed)).collect();
        self.enqueue(&stale);
        stale.len()
    }

    fn enqueue(&mut self, wanted: &[usize]) {
        self.editor.settle();
        self.linked = None;
        self.links();
        for k in self.plan(wanted) {
            let id = self.editor.document().cells()[k].id;
            if !self.queue.contains(&id) {
                self.queue.push_back(id);
            }
        }
        self.revision += 1;
        self.next();
    }

    /// The cells to run for the wanted ones, in order. A cell that binds a name they read runs too,
    /// unless the session already has its value.
    fn plan(&self, wanted: &[usize]) -> Vec<usize> {
        let cells = self.editor.document().cells();
        let mut all: BTreeSet<usize> =
            wanted.iter().copied().filter(|&k| cells.get(k).is_some_and(runs)).collect();
        while let Some(missing) = self.missing(&all) {
            all.insert(missing);
        }
        let mut order = Vec::with_capacity(all.len());
        let mut seen = BTreeSet::new();
        all.iter().for_each(|&k| self.place_in(&mut order, &mut seen, &all, k));
        order
    }

    /// Puts a cell into the order of a run, after those of `all` from which it reads.
    fn place_in(
        &self,
        order: &mut Vec<usize>,
        seen: &mut BTreeSet<usize>,
        all: &BTreeSet<usize>,
        k: usize,
    ) {
        if !all.contains(&k) || !seen.insert(k) {
            return;
        }
        for &above in &self.links[k].needs {
            self.place_in(order, seen, all, above);
        }
        for (_, below) in self.late(k) {
            self.place_in(order, seen, all, below);
        }
        order.push(k);
    }

    /// The names that a cell reads from cells below it, with those cells: names of which the
    /// session has a value, from cells that do not need this one. Other cells run in the order of
    /// the file.
    fn late(&self, k: usize) -> impl Iterator<Item = (&str, usize)> {
        let later = self.links[k].later.iter().map(|(name, below)| (&name[..], *below));
        later.filter(move |(name, below)| self.bound.contains_key(*name) && !self.needs(*below, k))
    }

    /// Whether a cell needs another one, directly or through others.
    fn needs(&self, cell: usize, other: usize) -> bool {
        let (mut open, mut seen) = (vec![cell], BTreeSet::new());
        while let Some(k) = open.pop() {
            let fresh = self.links[k].needs.iter().filter(|n| seen.insert(**n));
            open.extend(fresh);
        }
        seen.contains(&other)
    }

    /// A further cell that must run before one of these, when they run in order.
    fn missing(&self, all: &BTreeSet<usize>) -> Option<usize> {
        let mut bound: BTreeMap<&str, &str> =
            self.bound.iter().map(|(n, k)| (&n[..], &k[..])).collect();
        for &k in all {
            let links = &self.links[k];
            for (name, from) in &links.reads {
                let has = bound.get(&name[..]) == Some(&&self.links[*from].key[..]);
                if !has && !all.contains(from) {
                    return Some(*from);
                }
            }
            for (name, below) in self.late(k) {
                if self.bound.get(name) != Some(&self.links[below].key) && !all.contains(&below) {
                    return Some(below);
                }
            }
            for name in &links.writes {
                bound.insert(name, &links.key);
            }
        }
        None
    }

    /// Begins the next cell of the queue.
    pub(super) fn next(&mut self) {
        if self.running.is_some() || self.resuming {
            return;
        }
        while let Some(id) = self.queue.front().copied() {
            self.links();
            let Some(at) = self.editor.document().place(id) else {
                self.queue.pop_front();
                continue;
            };
            // Texts may have changed since it was put into the queue.
            let plan = self.plan(&[at]);
            match plan.first() {
                Some(&first) if first != at => {
                    let id = self.editor.document().cells()[first].id;
                    self.queue.retain(|q| *q != id);
                    self.queue.push_front(id);
                }
                Some(_) => {
                    self.queue.pop_front();
                    return self.begin(at);
                }
                None => drop(self.queue.pop_front()),
            }
        }
    }

    fn begin(&mut self, at: usize) {
        let cell = &self.editor.document().cells()[at];
        let (id, text) = (cell.id, cell.text.clone());
        let Links { key, writes, later, .. } = self.links[at].clone();
        let late = later
            .into_keys()
            .filter_map(|name| Some((name.clone(), self.bound.get(&name)?.clone())));
        let late = late.collect();
        self.running = Some(Running {
            id,
            text: text.clone(),
            key,
            late,
            writes,
            begun: Instant::now(),
            hits: self.session.snapshot().state.options.cache.hits(),
            output: Vec::new(),
            names: Vec::new(),
            status: Status::Ok,
            title: String::new(),
            progress: None,
            reports: 0,
            stop: Stop::No,
        });
        self.revision += 1;
        self.unwritten = true;
        if let Err(e) = self.session.submit(Request::Cells(text.to_string()), true) {
            self.trouble(&e);
            self.running = None;
            self.queue.clear();
        }
    }

    /// Asks the running cell to stop: first to keep the best so far, then to keep nothing. Cells
    /// that wait do not run. Returns whether something ran or waited.
    pub fn interrupt(&mut self) -> bool {
        let waited = !self.queue.is_empty();
        self.queue.clear();
        self.revision += 1;
        let Some(running) = &mut self.running else { return waited };
        running.stop = if running.stop == Stop::No { Stop::Keep } else { Stop::Abort };
        if let Some(control) = self.session.control() {
            control.request(running.stop);
        }
        true
    }

    /// Asks the running cell to write a checkpoint and end, because the process ends.
    pub fn checkpoint(&mut self) {
        self.queue.clear();
        if let Some(running) = &mut self.running {
            running.stop = Stop::Checkpoint;
        }
        if let Some(control) = self.session.control() {
            control.request(Stop::Checkpoint);
        }
    }
}

/// Whether a cell has something to run.
fn runs(cell: &super::document::Cell) -> bool {
    let code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    !cell.is_text() && cell.text.lines().any(code)
}
