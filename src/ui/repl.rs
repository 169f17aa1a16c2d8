//! The prompt: reads cells, shows results, and loses nothing.
//!
//! A statement is a cell. Its result is in the journal on the disk before it is shown.

mod dispatch;
mod explore;
mod redraw;
mod resume;
mod sessions;

use super::assist::{Language, is_command};
use super::commands::{self, Command};
use super::runner::{Runner, Style, complain};
use super::words::Words;
use super::{Editor, Input, Keys, Line, Terminal, screen};
use crate::error::{Error, Kind, Result};
use crate::eval::State;
use crate::lang::lex;
use crate::lang::span::Source;
use crate::render::text::{cut, printable, width};
use crate::render::{Block, Colours, Diagnostic, Graphics, Painter, Symbols};
use crate::safe::Safe;
use crate::session::recall::numbered;
use crate::session::script::Written;
use crate::session::{Event, Reply, Request, Session, Snapshot, Start};
use crate::value::models;
use crate::words;
use std::collections::VecDeque;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

/// Number of cells that a resumed session shows again; earlier ones are in `:history`.
const RECALLED: usize = 30;

/// The session to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The latest session that holds records.
    Latest,
    /// The journal at this path, or the session of this name.
    Path(PathBuf),
}

/// The beginning of a prompt.
pub struct ReplOptions {
    /// Generator and options.
    pub state: State,
    /// Name or path of the generator, as the user gave it.
    pub model: String,
    /// The terminal.
    pub terminal: Terminal<Line>,
    /// Turns results into bytes for the terminal that the probe found.
    pub painter: Painter,
    /// Output format of results.
    pub style: Style,
    /// Keys that were typed during the probe.
    pub typed: Vec<u8>,
    /// The history file; `None` keeps no history.
    pub history: Option<PathBuf>,
    /// The folder of the sessions' journals; `None` keeps no journal.
    pub sessions: Option<PathBuf>,
    /// The session to resume; `None` begins a new one.
    pub resume: Option<Resume>,
    /// The key bindings.
    pub keys: Keys,
    /// The graphics and block characters that the user asked for.
    pub asked: (Graphics, Option<Symbols>),
}

/// Runs the prompt, or piped input, to the end. Returns the exit code: 0; 1 when a cell of piped
/// input failed; 75 when a signal ended the session while a request ran.
///
/// # Errors
/// When the terminal fails, or the session to resume cannot be opened.
pub fn run(options: ReplOptions) -> Result<u8> {
    let ReplOptions {
        mut state,
        model,
        mut terminal,
        painter,
        style,
        typed,
        history,
        sessions,
        resume,
        keys,
        asked,
    } = options;
    let interactive = terminal.interactive();
    let plain = screen::plain();
    state.options.echo = interactive || plain;
    // Users may save anywhere what they type.
    state.options.confined = false;
    terminal.type_ahead(&String::from_utf8_lossy(&typed));
    let reader = if interactive {
        Reader::Person(Box::new(Editor::new(Language::default(), keys, history)?))
    } else if plain {
        Reader::Plain
    } else {
        Reader::Pipe
    };
    // Piped input is a script, which its author has already, so it gets no journal.
    let folder = sessions.filter(|_| interactive || plain || resume.is_some());
    let session = Session::start(Start { state, model, folder, lists: style.json })?;
    let mut repl = Repl {
        runner: Runner::new(session, terminal, painter, style),
        reader,
        written: Written::default(),
        ready: VecDeque::new(),
        drawn: redraw::Drawn::default(),
        asked: asked.0,
        symbols: asked.1,
        failed: false,
    };
    match repl.all(resume) {
        // The reader of our output has closed the pipe.
        Err(e) if e.kind() == Kind::Closed => {}
        // The terminal is gone; acknowledged cells are in the journal.
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
    /// A terminal without cursor movements.
    Plain,
    Pipe,
}

struct Repl {
    runner: Runner,
    reader: Reader,
    written: Written,
    /// Cells that `:open` read and that are still to run.
    ready: VecDeque<String>,
    /// The latest results, for `:redraw`.
    drawn: redraw::Drawn,
    /// The graphics that the user asked for.
    asked: Graphics,
    /// The block characters that the user asked for.
    symbols: Option<Symbols>,
    /// Whether a cell failed.
    failed: bool,
}

impl Repl {
    fn all(&mut self, resume: Option<Resume>) -> Result<()> {
        if !matches!(self.reader, Reader::Pipe) {
            let banner = self.banner();
            self.say([banner])?;
            if let Some(e) = self.runner.session.unkept().cloned() {
                self.refuse(&e)?;
            }
        }
        if let Some(resume) = resume {
            let wanted = match resume {
                Resume::Latest => None,
                Resume::Path(p) => Some(p.to_string_lossy().into_owned()),
            };
            self.resume(wanted)?;
        }
        loop {
            let input = match self.read()? {
                Input::Text(text) => Input::Text(self.meant(text)),
                end => end,
            };
            match input {
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
                Input::Text(text) => drop(self.entry(text)?),
            }
            if self.ended() {
                return Ok(());
            }
        }
    }

    /// The text, or the command that a person means by it.
    fn meant(&self, text: String) -> String {
        if matches!(self.reader, Reader::Pipe) {
            return text;
        }
        let now = self.now();
        let known = |name: &str| {
            let state = &now.state;
            state.names.contains_key(name)
                || state.functions.contains_key(name)
                || now.missing.iter().any(|missing| missing == name)
        };
        commands::meant(&text, known).unwrap_or(text)
    }

    fn interactive(&self) -> bool {
        matches!(self.reader, Reader::Person(_))
    }

    /// Whether a signal asked the session to end.
    fn ended(&mut self) -> bool {
        self.runner.terminal.line().signals().ended()
    }

    /// The current state of the session.
    fn now(&self) -> Arc<Snapshot> {
        self.runner.session.snapshot()
    }

    // ---- the session

    /// Sends a request and shows its events until it is done.
    fn ask(&mut self, request: Request) -> Result<Reply> {
        self.runner.submit(request)?;
        loop {
            let shown = match self.runner.event() {
                Event::Done(reply) => return reply,
                event => self.take(event),
            };
            if let Err(e) = shown {
                self.runner.session.abandon();
                return Err(e);
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begins { further: Some(cell), .. } if self.interactive() => {
                self.say(numbered(&cell).lines())
            }
            Event::Given(given) => {
                // The cell is in the log before its results are reported.
                if let Some(id) = self.now().log.cells().last().map(|c| c.id) {
                    self.drawn.keep(id, &given);
                }
                self.runner.show(&given)
            }
            Event::Failed(source, e) => {
                self.failed |= e.kind() != Kind::Kept;
                self.complain(&source, &e)
            }
            Event::Line(line) => self.say([line]),
            Event::Quiet(line) | Event::Again { line, .. } => self.whisper(&line),
            Event::Trouble(e) => self.refuse(&e),
            // A screen that cannot open leaves the code as it is.
            Event::Explore { what, answer } => match self.explore(&what, &answer) {
                Err(e) if e.kind() == Kind::Closed || self.ended() => Err(e),
                Err(e) => self.refuse(&e),
                Ok(()) => Ok(()),
            },
            // The journal holds the edit.
            Event::Begins { .. } | Event::Progress(_) | Event::Rewritten(_) | Event::Done(_) => {
                Ok(())
            }
        }
    }

    /// Runs a text as cells. Returns whether all ran to the end.
    fn entry(&mut self, text: String) -> Result<bool> {
        match self.ask(Request::Cells(text)) {
            Ok(reply) => Ok(matches!(reply, Reply::Ran(true))),
            // The output is closed, so the error cannot be shown.
            Err(e) if e.kind() == Kind::Closed || self.ended() => Err(e),
            Err(e) => self.refuse(&e).map(|()| false),
        }
    }

    // ---- reading

    fn read(&mut self) -> Result<Input> {
        let columns = usize::from(self.runner.terminal.size().0);
        let now = self.now();
        let prompt = format!("[{}] ", now.log.next_id());
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
                let mut wipe = Vec::new();
                self.runner.painter.wipe(&mut wipe)?;
                editor.set_wipe(wipe);
                if let Some(language) = editor.assist() {
                    let mut words = Words::of(&now.state);
                    words.sessions = self.runner.session.folder().cloned();
                    now.missing.iter().for_each(|name| words.promise(name));
                    *language = Language { words, columns };
                }
                if !editor.offers()
                    && let Some(next) = self.ready.pop_front()
                {
                    editor.offer(next);
                }
                editor.read(&mut self.runner.terminal, &prompt)
            }
        }
    }

    // ---- output

    fn banner(&self) -> String {
        let now = self.now();
        let terminal = &self.runner.painter.terminal;
        let device = if now.state.models().device().is_cuda() { "cuda" } else { "cpu" };
        let over = if std::env::var_os("SSH_CONNECTION").is_some() { " over ssh" } else { "" };
        let about = now.state.model.as_ref().map_or_else(
            || "no generator".to_owned(),
            |m| {
                let f = &m.facts;
                let from =
                    if models::NAMES.contains(&now.model.as_str()) { " (embedded)" } else { "" };
                let (space, dim) = if f.spaces.contains(&crate::space::Space::W) {
                    ("W", f.w_dim)
                } else {
                    ("Z", f.z_dim)
                };
                format!("{} {}{from} · {space} {dim}", Safe(&f.name), f.size())
            },
        );
        let version = env!("CARGO_PKG_VERSION").rsplit_once('.').map_or("", |(v, _)| v);
        let threads = words::count(rayon::current_num_threads(), "thread");
        let room = usize::from(terminal.columns.max(20)).saturating_sub(9);
        let line = |device: &str, graphics: &str| {
            printable(&format!("gannet {version} · {about} · {device} · {graphics}{over}"))
        };
        let (graphics, threads) = (terminal.summary(), format!("{device}, {threads}"));
        let short = graphics.split(',').next().unwrap_or_default();
        let tries = [line(&threads, &graphics), line(&threads, short)];
        let fits = tries.into_iter().find(|l| width(l) <= room);
        let shown = fits.unwrap_or_else(|| line(device, short));
        // The name of the help command stays even if the line is cut.
        format!("{} · ?help", cut(&shown, room))
    }

    /// Shows lines of our own; the painter escapes outside text in them once more.
    fn say(&mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        self.paint(&[Block::text(lines)])
    }

    fn paint(&mut self, blocks: &[Block]) -> Result<()> {
        let (columns, rows) = self.runner.terminal.size();
        (self.runner.painter.terminal.columns, self.runner.painter.terminal.rows) = (columns, rows);
        self.runner.paint(blocks, columns)
    }

    /// Shows a less important line; omitted in a pipe.
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

    /// Shows an error on its source; a stop by the user is a quiet line.
    fn complain(&mut self, source: &Source, e: &Error) -> Result<()> {
        if e.is_stop() && self.interactive() {
            return self.whisper(e.message());
        }
        if !self.interactive() {
            complain(source, e, false);
            return Ok(());
        }
        let diagnostic = Diagnostic { source: source.clone(), error: e.clone() };
        self.paint(&[Block::Diagnostic(Box::new(diagnostic))])
    }

    /// Shows an error that does not belong to a cell.
    fn refuse(&mut self, e: &Error) -> Result<()> {
        self.failed = true;
        let nowhere = Source::new("", "")?;
        self.complain(&nowhere, e)
    }
}

/// Reads the next statement line by line. `ask` is called before each line, with whether the line
/// continues a statement.
fn read_lines(mut ask: impl FnMut(bool) -> Result<()>) -> Result<Input> {
    let mut text = String::new();
    let mut reading = lex::Reading::default();
    let mut input = std::io::stdin().lock();
    loop {
        ask(!text.is_empty())?;
        let from = text.len();
        let read =
            input.read_line(&mut text).map_err(|e| Error::io("cannot read the piped input", &e))?;
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
