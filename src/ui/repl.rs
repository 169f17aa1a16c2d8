//! The prompt: cells in, results out, nothing lost.
//!
//! A statement is a cell. Its result is in the journal, on the disk, before it is shown.

mod asked;
mod resume;

use super::assist::{Language, Words, is_command};
use super::commands::{self, Command};
use super::runner::{Runner, complain};
use super::screen;
use super::{Editor, Input, Keys};
use crate::error::{Error, Kind, Result};
use crate::eval;
use crate::lang::ast::Stmt;
use crate::lang::lex;
use crate::lang::span::{Source, render};
use crate::render::text::{cut, printable, width};
use crate::render::{Colours, Display};
use crate::safe::Safe;
use crate::session::cells::{Cells, Standing};
use crate::session::event::Event;
use crate::session::recall::{numbered, remember};
use crate::session::script::Written;
use crate::session::{self, Cell, Plan, Rebuilt, Status, Values};
use crate::value::models;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

/// Cells of a resumed session that are shown again; earlier ones are in `:history`.
const RECALLED: usize = 30;

/// Which session to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The one that began last and holds anything.
    Latest,
    /// The journal at this path, or the session of this name.
    Path(PathBuf),
}

/// What the prompt begins with.
pub struct ReplOptions {
    /// Session, terminal and painter; the painter's terminal is what a probe found.
    pub runner: Runner,
    /// The generator as it was asked for: `faces`, `toy` or a path.
    pub model: String,
    /// What was typed while the probe read the keys.
    pub typed: Vec<u8>,
    /// The file of what was typed before; `None` keeps none.
    pub history: Option<PathBuf>,
    /// The folder of the sessions' journals; `None` keeps none.
    pub sessions: Option<PathBuf>,
    /// The session to go on with; `None` begins a new one.
    pub resume: Option<Resume>,
    /// Which keys edit.
    pub keys: Keys,
}

/// Runs the prompt until it ends, or what is piped in. Returns the exit code: 0; 1 when a cell of a
/// pipe failed; 75 when the session was asked to end from outside while something ran.
///
/// # Errors
/// When the terminal fails, or the session to resume cannot be opened.
pub fn run(options: ReplOptions) -> Result<u8> {
    let ReplOptions { mut runner, model, typed, history, sessions, resume, keys } = options;
    let interactive = runner.terminal.interactive();
    let plain = super::screen::plain();
    runner.session.options.echo = interactive || plain;
    // What one types is one's own: it may save anywhere.
    runner.session.options.confined = false;
    runner.terminal.type_ahead(&String::from_utf8_lossy(&typed));
    let reader = if interactive {
        Reader::Person(Box::new(Editor::new(Language::default(), keys, history)?))
    } else if plain {
        Reader::Plain
    } else {
        Reader::Pipe
    };
    // What is piped in is a script, and kept as one by whoever wrote it.
    let sessions = sessions.filter(|_| interactive || plain || resume.is_some());
    let fingerprint =
        runner.session.model.as_ref().map(|m| m.facts.fingerprint.clone()).unwrap_or_default();
    let cells = Cells::new(sessions, format!("{model} {fingerprint}"), runner.session.clone());
    let mut repl = Repl {
        runner,
        reader,
        cells,
        written: Written::default(),
        model,
        ready: VecDeque::new(),
        missing: BTreeSet::new(),
        unloaded: false,
        failed: false,
        inversion: None,
    };
    match repl.all(resume) {
        // Whoever reads our pipe has had enough.
        Err(e) if e.kind() == Kind::Closed => {}
        // The line dropped: what was acknowledged is in the journal.
        Err(_) if repl.ended() => {}
        done => done?,
    }
    Ok(match (repl.ended(), interactive || plain) {
        (true, _) => Kind::Resumable.exit_code(),
        (false, false) => u8::from(repl.failed),
        (false, true) => 0,
    })
}

enum Reader {
    Person(Box<Editor<Language>>),
    /// A person at a terminal without cursor movements.
    Plain,
    Pipe,
}

struct Repl {
    runner: Runner,
    reader: Reader,
    cells: Cells,
    written: Written,
    /// The generator's source.
    model: String,
    /// Cells that `:open` laid ready.
    ready: VecDeque<String>,
    /// Names of the cells in force that have no value in the session yet.
    missing: BTreeSet<String>,
    /// Whether cells in force load generators that are not loaded yet.
    unloaded: bool,
    /// Whether any cell failed.
    failed: bool,
    /// The last inversion shown.
    inversion: Option<serde_json::Value>,
}

impl Repl {
    fn all(&mut self, resume: Option<Resume>) -> Result<()> {
        if !matches!(self.reader, Reader::Pipe) {
            let banner = self.banner();
            self.say([banner])?;
            if let Err(e) = self.cells.check_folder() {
                // Said once, here, instead of with every cell and every inversion.
                self.runner.session.options.checkpoints = None;
                self.refuse(&e)?;
            }
        }
        if let Some(resume) = resume {
            let wanted = match resume {
                Resume::Latest => None,
                Resume::Path(p) => Some(p.to_string_lossy().into_owned()),
            };
            self.resume(wanted.as_deref())?;
        }
        loop {
            match self.read()? {
                Input::End => return Ok(()),
                Input::Text(text) if is_command(&text) => match commands::parse(&text) {
                    Ok(Command::Quit) => return Ok(()),
                    Ok(command) => match self.command(command) {
                        Err(e) if e.kind() == Kind::Closed || self.ended() => return Err(e),
                        Err(e) => self.refuse(&e)?,
                        Ok(()) => {}
                    },
                    Err(e) => self.refuse(&e)?,
                },
                Input::Text(text) => self.entry(&text)?,
            }
            if self.ended() {
                return Ok(());
            }
        }
    }

    fn interactive(&self) -> bool {
        matches!(self.reader, Reader::Person(_))
    }

    /// Whether the session was asked to end from outside.
    fn ended(&mut self) -> bool {
        self.runner.terminal.line().signals().ended()
    }

    // ---- reading

    fn read(&mut self) -> Result<Input> {
        let columns = usize::from(self.runner.terminal.size().0);
        let prompt = format!("[{}] ", self.cells.log().next_id());
        match &mut self.reader {
            Reader::Pipe => read_lines(|_| Ok(())),
            Reader::Plain => {
                let terminal = &mut self.runner.terminal;
                let failed = |e| Error::io("cannot write the prompt", &e);
                read_lines(|more| {
                    terminal.print(if more { "... " } else { &prompt }).map_err(failed)
                })
            }
            Reader::Person(editor) => {
                if let Some(language) = editor.assist() {
                    let mut words = Words::of(&self.runner.session);
                    self.missing.iter().for_each(|name| words.promise(name));
                    *language = Language { words, columns };
                }
                if let Some(next) = self.ready.pop_front() {
                    editor.offer(next);
                }
                editor.read(&mut self.runner.terminal, &prompt)
            }
        }
    }

    // ---- cells

    /// Checks a text as a whole, then runs its statements, each a cell.
    fn entry(&mut self, text: &str) -> Result<()> {
        let wanted = Values::wanted(text, &self.runner.session, &self.missing);
        if (self.unloaded || !wanted.is_empty()) && !self.fetch(wanted)? {
            return Ok(());
        }
        let id = self.cells.log().next_id();
        let source = match Source::new(format!("[{id}]"), text) {
            Ok(source) => source,
            Err(e) => return self.refuse(&e),
        };
        let program = match self.runner.session.check(&source, &BTreeMap::new()) {
            Ok(checked) => checked.program,
            Err(e) => {
                return self.finish(&source, Cell::new(id, text, Status::Failed), &[], Some(&e));
            }
        };
        let count = program.statements.len();
        for (k, statement) in program.statements.iter().enumerate() {
            let cell = if count == 1 { text.trim() } else { source.slice(statement.span) };
            if k > 0 && self.interactive() {
                let id = self.cells.log().next_id();
                self.say(numbered(&Cell::new(id, cell, Status::Ok)).lines())?;
            }
            if !self.cell(&source, statement, cell)? {
                let left = count - k - 1;
                if left > 0 {
                    self.say([format!("{left} more of this line did not run")])?;
                }
                break;
            }
        }
        Ok(())
    }

    /// Runs one statement, records it, then shows what it gave. Returns whether it ran to its end.
    fn cell(&mut self, source: &Source, statement: &Stmt, text: &str) -> Result<bool> {
        let begun = Instant::now();
        let before = self.runner.session.clone();
        let (events, ended) = self.runner.step(source, statement);
        let status = match &ended {
            Ok(()) => Status::Ok,
            Err(e) if e.kind() == Kind::Kept => Status::Stopped,
            Err(_) => {
                // A failed cell changes nothing, so that a rerun of the others gives the same
                // state.
                self.runner.session = before;
                Status::Failed
            }
        };
        let mut cell = Cell::new(self.cells.log().next_id(), text, status);
        cell.millis = Some(begun.elapsed().as_millis() as u64);
        let error = ended.err();
        self.finish(source, cell, &events, error.as_ref())?;
        Ok(error.is_none())
    }

    /// Records a cell, then shows it.
    fn finish(
        &mut self,
        source: &Source,
        mut cell: Cell,
        events: &[Event],
        error: Option<&Error>,
    ) -> Result<()> {
        cell.seed = Some(self.runner.session.options.seed);
        self.notice_inversion(events);
        let remembered = remember(&mut cell, events);
        if let Some(e) = error {
            let shown = if e.is_stop() { e.message().to_owned() } else { render(source, e, false) };
            cell.output.extend(shown.lines().map(str::to_owned));
        }
        self.failed |= cell.status == Status::Failed;
        for name in self.cells.binds(&cell) {
            self.missing.remove(&name);
        }
        let standing = self.cells.record(cell, &self.runner.session);
        self.runner.show(events)?;
        if let Some(e) = error {
            self.complain(source, e)?;
        }
        if let Err(e) = remembered {
            self.refuse(&e)?;
        }
        self.tell(standing)
    }

    /// Says how the journal stands, where that changed.
    fn tell(&mut self, standing: Standing) -> Result<()> {
        let id = self.cells.log().cells().last().map_or(1, |c| c.id);
        match standing.said(id) {
            None => Ok(()),
            Some(Ok(line)) => self.whisper(&line),
            // The value is there and shown; that it is not kept must be known.
            Some(Err(e)) => self.refuse(&e),
        }
    }

    fn notice_inversion(&mut self, events: &[Event]) {
        let found = events.iter().rev().find_map(|e| match e {
            Event::Display(_, json) if json["type"] == "Inversion" => Some(json.clone()),
            _ => None,
        });
        self.inversion = found.or(self.inversion.take());
    }

    /// Gets values for names that have none: from the journal, or computed again. Returns whether
    /// the next cell may run: not when this was stopped.
    fn fetch(&mut self, wanted: BTreeSet<String>) -> Result<bool> {
        let plan = self.cells.plan(wanted, true);
        if let Some(what) = plan.computes() {
            self.whisper(&format!("computing again: {what}"))?;
        }
        match self.rebuild(&plan) {
            Err(e) if session::stopped(&e) => {
                self.refuse(&e)?;
                Ok(false)
            }
            built => built.map(|()| true),
        }
    }

    /// Goes to the state of the cells in force, with the values that are at hand.
    fn settle(&mut self) -> Result<()> {
        let plan = self.cells.plan(BTreeSet::new(), false);
        self.rebuild(&plan)
    }

    fn rebuild(&mut self, plan: &Plan) -> Result<()> {
        let options = self.runner.session.options.clone();
        let (mut given, runner) = (Vec::new(), &mut self.runner);
        let built = self.cells.build(plan, &mut |session, cell| {
            let replaying = eval::Options {
                seed: cell.seed.unwrap_or(options.seed),
                echo: false,
                replaying: true,
                ..options.clone()
            };
            let own = std::mem::replace(&mut session.options, replaying);
            std::mem::swap(session, &mut runner.session);
            let ran = again(runner, cell, &mut given);
            std::mem::swap(session, &mut runner.session);
            session.options = own;
            ran
        });
        // How the session runs stays as it is set.
        let Rebuilt { mut session, missing, loads, troubles } = built?;
        session.options = options;
        self.runner.session = session;
        (self.missing, self.unloaded) = (missing, loads > 0);
        self.notice_inversion(&given);
        for event in given {
            if let Event::Note(line) = event {
                self.say([line])?;
            }
        }
        troubles.iter().try_for_each(|e| self.refuse(e))
    }

    // ---- out

    fn banner(&self) -> String {
        let terminal = &self.runner.painter.terminal;
        let device = if self.runner.session.models().device().is_cuda() { "cuda" } else { "cpu" };
        let over = if std::env::var_os("SSH_CONNECTION").is_some() { " over ssh" } else { "" };
        let about = self.runner.session.model.as_ref().map_or_else(
            || "no generator".to_owned(),
            |m| {
                let f = &m.facts;
                let from =
                    if models::NAMES.contains(&self.model.as_str()) { " (embedded)" } else { "" };
                let (space, dim) = if f.spaces.contains(&crate::space::Space::W) {
                    ("W", f.w_dim)
                } else {
                    ("Z", f.z_dim)
                };
                format!("{} {}{from} · {space} {dim}", Safe(&f.name), f.size())
            },
        );
        let version = env!("CARGO_PKG_VERSION").rsplit_once('.').map_or("", |(v, _)| v);
        let threads = rayon::current_num_threads();
        let room = usize::from(terminal.columns.max(20)).saturating_sub(9);
        let line = |device: &str, graphics: &str| {
            printable(&format!("gannet {version} · {about} · {device} · {graphics}{over}"))
        };
        let (graphics, threads) = (terminal.summary(), format!("{device}, {threads} threads"));
        let short = graphics.split(',').next().unwrap_or_default();
        let tries = [line(&threads, &graphics), line(&threads, short)];
        let fits = tries.into_iter().find(|l| width(l) <= room);
        let shown = fits.unwrap_or_else(|| line(device, short));
        // Help is found even where the line is too long for the rest.
        format!("{} · ?help", cut(&shown, room))
    }

    /// Lines of our own; outside text in them is escaped once more by the painter.
    fn say(&mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        self.paint(&Display::text(lines))
    }

    fn paint(&mut self, shown: &Display) -> Result<()> {
        if shown.lines.is_empty() && shown.pictures.is_empty() {
            return Ok(());
        }
        let columns = self.runner.terminal.size().0;
        self.runner.painter.terminal.columns = columns;
        self.runner.paint(shown, columns)
    }

    /// A line that matters less; none in a pipe.
    fn whisper(&mut self, line: &str) -> Result<()> {
        if !self.interactive() {
            return Ok(());
        }
        let line = Safe(line);
        let text = if self.colour() {
            screen::inked(screen::QUIET, line) + "\n"
        } else {
            format!("{line}\n")
        };
        self.runner.put(text.as_bytes())
    }

    fn colour(&self) -> bool {
        self.runner.painter.terminal.colours != Colours::None
    }

    /// Shows an error on its source; one that the user asked for is a quiet line.
    fn complain(&mut self, source: &Source, e: &Error) -> Result<()> {
        if e.is_stop() && self.interactive() {
            return self.whisper(e.message());
        }
        if !self.interactive() {
            complain(source, e, false);
            return Ok(());
        }
        let text = render(source, e, self.colour());
        self.runner.put(text.as_bytes())
    }

    /// Shows an error that belongs to no cell.
    fn refuse(&mut self, e: &Error) -> Result<()> {
        self.failed = true;
        let nowhere = Source::new("", "")?;
        self.complain(&nowhere, e)
    }
}

/// Runs a cell again for its values.
fn again(runner: &mut Runner, cell: &Cell, given: &mut Vec<Event>) -> Result<()> {
    let source = Source::new(format!("[{}]", cell.id), cell.source.clone())?;
    let checked = runner.session.check(&source, &BTreeMap::new())?;
    for statement in &checked.program.statements {
        let (events, ended) = runner.step(&source, statement);
        given.extend(events);
        ended?;
    }
    Ok(())
}

/// The next text of a pipe: a line, with those that belong to it.
/// The next statement from lines as they come; `ask` is called before each, with whether it
/// continues the one before.
fn read_lines(mut ask: impl FnMut(bool) -> Result<()>) -> Result<Input> {
    let mut text = String::new();
    let mut reading = lex::Reading::default();
    let mut input = std::io::stdin().lock();
    loop {
        ask(!text.is_empty())?;
        let from = text.len();
        let read = input
            .read_line(&mut text)
            .map_err(|e| Error::io("cannot read what is piped in", &e))?;
        reading.line(&text[from..]);
        let waits = !is_command(&text) && reading.incomplete();
        match (read, text[..from].is_empty() && text.trim().is_empty()) {
            (0, _) if text.trim().is_empty() => return Ok(Input::End),
            (0, _) => return Ok(Input::Text(text)),
            (_, true) => {
                text.clear();
                reading = lex::Reading::default();
            }
            _ if waits && text.len() <= crate::limits::LIMITS.source_bytes => {}
            _ => return Ok(Input::Text(text.trim_end().to_owned())),
        }
    }
}
