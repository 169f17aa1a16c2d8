//! Programs run for a person or a pipe: checked, worked in the background, shown statement by
//! statement.

use super::plain::{Verbosity, run_plain};
use super::{Line, Terminal, run_live};
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::eval::State;
use crate::lang::ast::{Stmt, StmtKind};
use crate::lang::span::{Source, render};
use crate::render::{Colours, Display, Painter};
use crate::session::event::{Collected, Event};
use crate::value::Value;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How results are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// One JSON object a line instead of pictures and words.
    pub json: bool,
    /// Results and errors only, no progress.
    pub quiet: bool,
}

/// A session, the terminal it speaks to, and how.
pub struct Runner {
    /// Names, functions and the generator.
    pub session: State,
    /// The terminal.
    pub terminal: Terminal<Line>,
    /// Turns results into bytes for it.
    pub painter: Painter,
    /// How results are given.
    pub style: Style,
}

impl Runner {
    /// Checks a program and runs it; every statement's results are shown when it ends.
    ///
    /// # Errors
    /// The error that ended it, not yet shown.
    pub fn run(&mut self, source: &Source, sets: &BTreeMap<String, String>) -> Result<()> {
        let checked = self.session.check(source, sets)?;
        for statement in &checked.program.statements {
            let (events, ended) = self.step(source, statement);
            // Shown even when the statement failed: what came before the failure is a result.
            self.show(&events)?;
            ended.map_err(|e| self.keep(statement, e))?;
        }
        Ok(())
    }

    /// A process that ends takes its names with it: an inversion that was stopped is saved, and the
    /// error says where.
    fn keep(&mut self, statement: &Stmt, stopped: Error) -> Error {
        let StmtKind::Let { name, .. } = &statement.kind else { return stopped };
        let found = matches!(self.session.names.get(&name.name), Some(Value::Inversion(_)));
        if !stopped.is_stop() || !found {
            return stopped;
        }
        let path = format!("{}-stopped.safetensors", name.name);
        let save = Source::new("stopped", format!("save({}, \"{path}\")", name.name));
        let run = |source| {
            self.session.run(
                &source,
                &BTreeMap::new(),
                &Control::default(),
                &mut Collected::default(),
            )
        };
        match save.and_then(run) {
            Ok(()) => stopped
                .note(format!("the code is in {}", self.session.options.out.join(path).display())),
            Err(e) => stopped.note(format!("the code could not be saved: {e}")),
        }
    }

    /// Runs one statement in the background and gives its results without showing them.
    pub fn step(&mut self, source: &Source, statement: &Stmt) -> (Vec<Event>, Result<()>) {
        let text = source.slice(statement.span);
        let title: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        let title = crate::safe::Safe(&title).to_string();
        let mut collected = Collected { events: Vec::new(), lists: self.style.json };
        let session = &mut self.session;
        let out = &mut collected;
        let work = |control: &Control| session.step(statement, control, out);
        let ended = if self.style.json || self.style.quiet {
            run_plain(&title, Verbosity::Quiet, work)
        } else {
            run_live(&mut self.terminal, &title, work)
        };
        (collected.events, ended)
    }

    /// Shows results.
    ///
    /// # Errors
    /// When the terminal or the pipe is gone, or a picture file cannot be written.
    pub fn show(&mut self, events: &[Event]) -> Result<()> {
        events.iter().try_for_each(|e| self.show_one(e))
    }

    fn show_one(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Print(line) | Event::Note(line) if !self.style.json => {
                self.put(format!("{line}\n").as_bytes())
            }
            Event::Note(line) => {
                self.line_of_json(&serde_json::json!({"type": "Note", "value": line}))
            }
            Event::Print(line) => {
                self.line_of_json(&serde_json::json!({"type": "Print", "value": line}))
            }
            Event::Display(_, json) if self.style.json => self.line_of_json(json),
            Event::Display(shown, _) => {
                let (columns, rows) = self.terminal.size();
                (self.painter.terminal.columns, self.painter.terminal.rows) = (columns, rows);
                self.paint(shown, columns)
            }
        }
    }

    /// Shows a result in so many columns.
    ///
    /// # Errors
    /// When the terminal or the pipe is gone, or a picture cannot be encoded.
    pub fn paint(&mut self, shown: &Display, columns: u16) -> Result<()> {
        let cut = Cut { terminal: &mut self.terminal, at: Stop::No };
        let mut out = io::BufWriter::with_capacity(PART, cut);
        self.painter.print(shown, columns, &mut out)?;
        out.flush().map_err(|e| unwritten(&e))?;
        out.get_ref().end()
    }

    fn line_of_json(&mut self, value: &serde_json::Value) -> Result<()> {
        self.put(format!("{value}\n").as_bytes())
    }

    /// Writes bytes to standard output. Ctrl-C cuts what a slow terminal would show for long.
    ///
    /// # Errors
    /// `Closed` when its reader has gone; `Interrupted` when something other than a terminal did
    /// not get all.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let mut out = Cut { terminal: &mut self.terminal, at: Stop::No };
        out.write_all(bytes).map_err(|e| unwritten(&e))?;
        out.end()
    }

    /// Shows an error on its source, to standard error.
    pub fn complain(&mut self, source: &Source, error: &Error) {
        let colour = self.painter.terminal.colours != Colours::None;
        complain(source, error, colour);
    }
}

/// Bytes written between two looks whether a Ctrl-C came.
const PART: usize = 1 << 14;
/// Ends a picture or a colour that was cut, and says so.
const CUT: &[u8] = b"\x1b\\\x1b[0m\x1b[?2026l\r\n(cut by Ctrl-C)\r\n";

/// Standard output that a Ctrl-C cuts: what comes after it is dropped.
struct Cut<'a> {
    terminal: &'a mut Terminal<Line>,
    at: Stop,
}

impl Cut<'_> {
    /// Whether everything was written.
    fn end(&self) -> Result<()> {
        if self.at == Stop::No || self.terminal.interactive() {
            return Ok(());
        }
        Err(Error::new(Kind::Interrupted, "stopped while the result was written"))
    }
}

impl io::Write for Cut<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.chunks(PART) {
            if self.at != Stop::No {
                break;
            }
            self.at = self.terminal.line().signals().asked();
            if self.at == Stop::No {
                self.terminal.write(part)?;
            } else if self.terminal.interactive() {
                self.terminal.write(CUT)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error of a write to standard output.
pub fn unwritten(e: &io::Error) -> Error {
    Error::io("cannot write to standard output", e)
}

/// Shows an error on its source, to standard error.
pub fn complain(source: &Source, error: &Error, colour: bool) {
    // Whoever closed stderr does not want to know.
    let _ = io::stderr().lock().write_all(render(source, error, colour).as_bytes());
}
