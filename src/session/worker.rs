//! The worker thread of a session: runs cells and programs, keeps the journal, rebuilds states.

use super::cells::{Cells, Standing};
use super::collect::{Collected, mark};
use super::event::{Event, Given, Place, Reply, Request, Resumed, Setting};
use super::link::Link;
use super::recall::remember;
use super::rewrite::{self, Rewrite};
use super::snapshot::{Snapshot, last_inversion};
use super::{Cell, Plan, Rebuilt, Status, Values, results, stopped};
use crate::control::Control;
use crate::error::{Error, Kind, Result, Span};
use crate::eval::{Options, State};
use crate::lang::ast::{Stmt, StmtKind};
use crate::lang::import;
use crate::lang::span::{Source, render};
use crate::render::Block;
use crate::safe::Safe;
use crate::tensor::release;
use crate::value::{Loaded, Value, describe, details};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Time without a request after which memory is given back.
const IDLE: Duration = Duration::from_secs(2);

/// The next request; `None` when the front end has closed the channel. Without one for a while,
/// the memory that computing keeps for its next step is given back.
fn wait(requests: &Receiver<(Request, Control)>) -> Option<(Request, Control)> {
    requests
        .recv_timeout(IDLE)
        .or_else(|e| match e {
            RecvTimeoutError::Timeout => {
                release();
                requests.recv()
            }
            RecvTimeoutError::Disconnected => Err(RecvError),
        })
        .ok()
}

/// The outcome of a statement.
struct Stepped {
    given: Vec<Given>,
    rewrites: Vec<Rewrite>,
    ended: Result<()>,
}

/// The state of a session, owned by its thread.
pub(super) struct Worker {
    state: State,
    cells: Cells,
    /// Name or path of the generator that the session began with.
    model: String,
    lists: bool,
    /// Names in force that have no value in the state yet.
    missing: BTreeSet<String>,
    /// Whether some cells in force load a generator that is not loaded yet.
    unloaded: bool,
    /// The details of the last result that has any.
    details: Option<Vec<Block>>,
    link: Link,
}

impl Worker {
    pub(super) fn new(
        state: State,
        cells: Cells,
        (model, lists): (String, bool),
        link: Link,
    ) -> Self {
        let missing = BTreeSet::new();
        Self { state, cells, model, lists, missing, unloaded: false, details: None, link }
    }

    /// Serves requests until the front end closes the channel.
    pub(super) fn serve(mut self, requests: &Receiver<(Request, Control)>) {
        while let Some((request, control)) = wait(requests) {
            let reply = self.request(request, &control);
            self.publish();
            if self.link.events.send(Event::Done(reply)).is_err() {
                return;
            }
        }
    }

    fn request(&mut self, request: Request, control: &Control) -> Result<Reply> {
        match request {
            Request::Cells(text) => self.entry(&text, control).map(Reply::Ran),
            Request::Program { source, sets } => self.program(&source, &sets, control),
            Request::Undo => {
                let (cell, standing) = self.cells.undo();
                self.moved(cell, standing, control)
            }
            Request::Redo => {
                let (cell, standing) = self.cells.redo();
                self.moved(cell, standing, control)
            }
            Request::Fetch => self.fetch(self.unshown(), control).map(Reply::Ran),
            Request::Resume(wanted) => self.resume(wanted.as_deref(), control).map(Reply::Resumed),
            Request::Details(name) => self.details(name.as_deref(), control).map(Reply::Details),
            Request::Set(setting) => {
                match setting {
                    Setting::Seed(seed) => self.state.options.seed = seed,
                    Setting::Echo(echo) => self.state.options.echo = echo,
                    Setting::Describe(words) => self.state.options.describe = words,
                }
                Ok(Reply::Set)
            }
        }
    }

    /// Makes the current state visible to front ends.
    fn publish(&self) {
        let snapshot = Snapshot {
            state: self.state.clone(),
            log: self.cells.log().clone(),
            missing: self.missing.clone(),
            model: self.model.clone(),
            journal: self.cells.path().map(std::path::Path::to_path_buf),
        };
        *self.link.shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Runs a statement; a cell of a front end may `explore` on its screen.
    fn step(
        &mut self,
        source: &Source,
        statement: &Stmt,
        control: &Control,
        explores: bool,
    ) -> Stepped {
        let screen = explores.then_some((statement, &self.link));
        let mut out = Collected { lists: self.lists, screen, ..Collected::default() };
        let hits = self.state.options.cache.hits();
        let ended = self.state.step(source, statement, control, &mut out);
        if self.state.options.cache.hits() > hits {
            out.given.iter_mut().for_each(mark);
        }
        self.details = out.details.or(self.details.take());
        Stepped { given: out.given, rewrites: out.rewrites, ended }
    }

    // ---- programs

    fn program(
        &mut self,
        source: &Source,
        sets: &BTreeMap<String, String>,
        control: &Control,
    ) -> Result<Reply> {
        let checked = self.state.check(source, sets)?;
        let all = &checked.program.statements;
        for (k, statement) in all.iter().enumerate() {
            let place = place(source, (k, all.len()), statement);
            self.link.begins(source.slice(statement.span), Some(place), None);
            let Stepped { given, ended, .. } = self.step(source, statement, control, false);
            // Results before a failure are shown too.
            self.link.tell(Event::Given(given))?;
            ended.map_err(|e| self.keep(statement, e))?;
        }
        Ok(Reply::Ran(true))
    }

    /// Saves a stopped inversion, because a program's values end with its process. The error names
    /// the file.
    fn keep(&mut self, statement: &Stmt, stopped: Error) -> Error {
        let StmtKind::Let { name, .. } = &statement.kind else { return stopped };
        let found = matches!(self.state.names.get(&name.name), Some(Value::Inversion(_)));
        if !stopped.is_stop() || !found {
            return stopped;
        }
        let path = format!("{}-stopped.safetensors", name.name);
        let save = Source::new("stopped", format!("save({}, \"{path}\")", name.name));
        let run = |source| {
            let (control, mut out) = (Control::default(), Collected::default());
            self.state.run(&source, &BTreeMap::new(), &control, &mut out)
        };
        match save.and_then(run) {
            Ok(()) => stopped
                .note(format!("the code is in {}", self.state.options.out.join(path).display())),
            Err(e) => stopped.note(format!("the code could not be saved: {e}")),
        }
    }

    /// The names without a value, except numbered results: these were shown, and are computed again
    /// only when they are used.
    fn unshown(&self) -> BTreeSet<String> {
        self.missing.iter().filter(|n| !results::is_result(n)).cloned().collect()
    }

    // ---- cells

    /// Checks a text as a whole, then runs each of its statements as a cell. Returns whether all
    /// ran to the end.
    fn entry(&mut self, text: &str, control: &Control) -> Result<bool> {
        let text = &results::resolved(text, self.cells.latest_result());
        let wanted = Values::wanted(text, &self.state, &self.missing);
        if (self.unloaded || !wanted.is_empty()) && !self.fetch(wanted, control)? {
            return Ok(false);
        }
        let id = self.cells.log().next_id();
        let source = Source::new(format!("[{id}]"), text)?;
        let program = match self.state.check(&source, &BTreeMap::new()) {
            Ok(checked) => checked.program,
            Err(e) => {
                self.finish(&source, Cell::new(id, text, Status::Failed), Vec::new(), Some(e))?;
                return Ok(false);
            }
        };
        let mut edits = Vec::new();
        let ended = self.statements(&source, &program.statements, control, &mut edits)?;
        if !edits.is_empty() {
            self.link.tell(Event::Rewritten(rewrite::whole(&source, edits)))?;
        }
        Ok(ended)
    }

    /// Runs statements as cells, up to the first that fails. Returns whether all ran to the end;
    /// those whose calls of `explore` were replaced are added to `edits`.
    fn statements(
        &mut self,
        source: &Source,
        all: &[Stmt],
        control: &Control,
        edits: &mut Vec<(Span, String)>,
    ) -> Result<bool> {
        for (k, statement) in all.iter().enumerate() {
            let own = source.slice(statement.span);
            let text = if all.len() == 1 { source.text().trim() } else { own };
            let further = (k > 0).then(|| Cell::new(self.cells.log().next_id(), text, Status::Ok));
            self.link.begins(own, Some(place(source, (k, all.len()), statement)), further);
            if !self.cell(source, (statement, text), control, edits)? {
                let left = all.len() - k - 1;
                if left > 0 {
                    self.link.tell(Event::Line(format!("{left} more of this line did not run")))?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs one statement, records it, then reports its results. Returns whether it ran to the end.
    fn cell(
        &mut self,
        source: &Source,
        (statement, text): (&Stmt, &str),
        control: &Control,
        edits: &mut Vec<(Span, String)>,
    ) -> Result<bool> {
        let begun = Instant::now();
        let before = self.state.clone();
        self.state.result = Some(results::name(self.cells.log().next_id()));
        let Stepped { given, rewrites, ended } = self.step(source, statement, control, true);
        if !rewrites.is_empty() {
            let own = source.slice(statement.span);
            edits.push((statement.span, rewrite::apply(source, own, rewrites.clone())));
        }
        let text = &rewrite::apply(source, text, rewrites);
        let status = match &ended {
            Ok(()) => Status::Ok,
            Err(e) if e.kind() == Kind::Kept => Status::Stopped,
            Err(_) => {
                // A failed cell changes nothing, so that running only the other cells gives the
                // same state.
                self.state = before;
                Status::Failed
            }
        };
        let mut cell = Cell::new(self.cells.log().next_id(), text.as_str(), status);
        cell.imports = import::texts(std::slice::from_ref(statement));
        cell.millis = Some(begun.elapsed().as_millis() as u64);
        let fine = ended.is_ok();
        self.finish(source, cell, given, ended.err())?;
        Ok(fine)
    }

    /// Records a cell, then reports it.
    fn finish(
        &mut self,
        source: &Source,
        mut cell: Cell,
        given: Vec<Given>,
        error: Option<Error>,
    ) -> Result<()> {
        cell.seed = Some(self.state.options.seed);
        let remembered = remember(&mut cell, &given);
        if let Some(e) = &error {
            let shown = if e.is_stop() { e.message().to_owned() } else { render(source, e, false) };
            cell.output.extend(shown.lines().map(str::to_owned));
        }
        for name in self.cells.binds(&cell) {
            self.missing.remove(&name);
        }
        let standing = self.cells.record(cell, &self.state);
        let shed = results::shed(&mut self.state);
        self.cells.shed(&shed);
        self.missing.extend(shed);
        self.publish();
        self.link.tell(Event::Given(given))?;
        if let Some(e) = error {
            self.link.tell(Event::Failed(source.clone(), e))?;
        }
        if let Err(e) = remembered {
            self.link.tell(Event::Trouble(e))?;
        }
        self.report_standing(standing)
    }

    /// Reports a change in whether the journal reaches the disk.
    fn report_standing(&self, standing: Standing) -> Result<()> {
        let id = self.cells.log().cells().last().map_or(1, |c| c.id);
        match standing.said(id) {
            None => Ok(()),
            Some(Ok(line)) => self.link.tell(Event::Quiet(line)),
            // The value exists and is shown, but the user must know that it is not saved.
            Some(Err(e)) => self.link.tell(Event::Trouble(e)),
        }
    }

    // ---- states

    /// Gets values for names that have none, from the journal or by running cells again. Returns
    /// whether it ran to the end.
    fn fetch(&mut self, wanted: BTreeSet<String>, control: &Control) -> Result<bool> {
        let plan = self.cells.plan(wanted, true);
        if let Some(what) = plan.computes() {
            let (names, line) = (plan.again(), format!("computing again: {what}"));
            self.link.tell(Event::Again { names, line })?;
        }
        match self.rebuild(&plan, control) {
            Err(e) if stopped(&e) => {
                self.link.tell(Event::Trouble(e))?;
                Ok(false)
            }
            built => built.map(|()| true),
        }
    }

    /// Goes to the state of the cells in force, with the values that are in memory.
    fn settle(&mut self, control: &Control) -> Result<()> {
        let plan = self.cells.plan(BTreeSet::new(), false);
        self.rebuild(&plan, control)
    }

    fn rebuild(&mut self, plan: &Plan, control: &Control) -> Result<()> {
        let options = self.state.options.clone();
        let (mut out, link) = (Collected::default(), &self.link);
        let built = self.cells.build(plan, &mut |state, cell| {
            let replaying = Options {
                seed: cell.seed.unwrap_or(options.seed),
                echo: false,
                replaying: true,
                imports: options.imports.recorded(&cell.imports),
                ..options.clone()
            };
            let own = std::mem::replace(&mut state.options, replaying);
            state.result = Some(results::name(cell.id));
            let ran = again(state, cell, control, &mut out, link);
            state.options = own;
            ran
        });
        let Rebuilt { session: mut state, missing, loads, troubles } = built?;
        // Options belong to the running session, not to the cells.
        state.options = options;
        self.state = state;
        (self.missing, self.unloaded) = (missing, loads > 0);
        self.details = out.details.or(self.details.take());
        for given in out.given {
            if let Given::Note(line) = given {
                self.link.tell(Event::Quiet(line))?;
            }
        }
        troubles.into_iter().try_for_each(|e| self.link.tell(Event::Trouble(e)))
    }

    fn moved(
        &mut self,
        cell: Option<Arc<Cell>>,
        standing: Standing,
        control: &Control,
    ) -> Result<Reply> {
        self.report_standing(standing)?;
        if cell.is_some() {
            self.settle(control)?;
        }
        Ok(Reply::Moved(cell))
    }

    // ---- other sessions

    fn resume(&mut self, wanted: Option<&str>, control: &Control) -> Result<Option<Resumed>> {
        let Some(path) = self.cells.find(wanted)? else {
            let line = "there is no session to resume; this is a new one";
            return self.link.tell(Event::Line(line.into())).map(|()| None);
        };
        if self.cells.path() == Some(path.as_path()) {
            return self
                .link
                .tell(Event::Line("this session is already open".into()))
                .map(|()| None);
        }
        if let Some(notice) = self.cells.resume(&path)? {
            self.link.tell(Event::Trouble(Error::new(Kind::Format, notice)))?;
        }
        self.take_up_model()?;
        self.details = None;
        self.settle(control)?;
        let computes = self.cells.plan(self.unshown(), false).computes();
        Ok(Some(Resumed { computes }))
    }

    /// Loads the generator of the resumed session, if it is available.
    fn take_up_model(&mut self) -> Result<()> {
        let wanted = self.cells.model().to_owned();
        let (source, fingerprint) = wanted.rsplit_once(' ').unwrap_or((&wanted, ""));
        let mut base = self.cells.base().clone();
        base.names.clear();
        base.functions.clear();
        let matches = |m: &Option<Arc<Loaded>>| {
            m.as_ref().is_some_and(|m| m.facts.fingerprint == fingerprint)
        };
        if !matches(&base.model) {
            let loaded = base.models().load(source).ok();
            if matches(&loaded) {
                base.model = loaded;
                self.model = source.to_owned();
            } else {
                let shown = Safe(source);
                let e =
                    Error::runtime(format!("the session began with another generator, {shown}"))
                        .hint(format!("gannet --resume --model {shown}"));
                self.link.tell(Event::Trouble(e))?;
            }
        }
        self.cells.set_base(base);
        Ok(())
    }

    /// The details of a value, by name or the last one that has any.
    fn details(&mut self, name: Option<&str>, control: &Control) -> Result<Option<Vec<Block>>> {
        // After a resume, the last inversion is still in the journal.
        let last = self.details.is_none().then(|| last_inversion(self.cells.log())).flatten();
        let name = name.map(str::to_owned).or(last);
        let Some(name) = name else { return Ok(self.details.clone()) };
        if self.missing.contains(&name) {
            self.fetch(BTreeSet::from([name.clone()]), control)?;
        }
        match self.state.names.get(&name) {
            Some(v) => details::details(v).map(Some).ok_or_else(|| {
                let what = format!("{} is {}", Safe(&name), describe::type_name(v));
                Error::runtime(format!("{what}, which has no further details"))
                    .hint("`:details` without a name shows those of the last result that has any")
            }),
            None => Err(Error::runtime(format!("nothing is called {}", Safe(&name)))),
        }
    }
}

/// The place of statement `k` of `of`, counted from 0.
fn place(source: &Source, (k, of): (usize, usize), statement: &Stmt) -> Place {
    let line = source.location(statement.span.start).0;
    Place { number: k + 1, of, line, kind: statement.kind.name() }
}

/// Runs a cell again for its values.
fn again(
    state: &mut State,
    cell: &Cell,
    control: &Control,
    out: &mut Collected<'_>,
    link: &Link,
) -> Result<()> {
    let source = Source::new(format!("[{}]", cell.id), cell.source.clone())?;
    let checked = state.check(&source, &BTreeMap::new())?;
    checked.program.statements.iter().try_for_each(|statement| {
        link.begins(source.slice(statement.span), None, None);
        state.step(&source, statement, control, out)
    })
}
