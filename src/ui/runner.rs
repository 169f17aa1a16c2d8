//! Shows a session on a terminal or in a pipe: progress while it works, then results.

use super::compare::{self, Compare, Comparison};
use super::full;
use super::plain::Came;
use super::{Line, Terminal, ascii, live, plain};
use crate::control::Stop;
use crate::error::{Error, Kind, Result};
use crate::lang::span::{Source, render};
use crate::render::{Block, Colours, Diagnostic, Painter, json};
use crate::session::{Event, Given, Request, Session};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

/// Output format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// One JSON object for each line instead of pictures and text.
    pub json: bool,
    /// Results and errors only, no progress.
    pub quiet: bool,
}

/// A session with its terminal and output format.
pub struct Runner {
    /// The session.
    pub session: Session,
    /// The terminal that shows it.
    pub terminal: Terminal<Line>,
    /// Turns results into bytes for the terminal.
    pub painter: Painter,
    /// Output format of results.
    pub style: Style,
    /// Title of the running statement.
    title: String,
}

impl Runner {
    /// Makes a runner for a session.
    pub fn new(session: Session, terminal: Terminal<Line>, painter: Painter, style: Style) -> Self {
        Self { session, terminal, painter, style, title: String::new() }
    }

    /// Checks a program and runs it. Shows the results of each statement when the statement ends.
    ///
    /// # Errors
    /// The error that ended the program, not shown yet.
    pub fn run(&mut self, source: &Source, sets: &BTreeMap<String, String>) -> Result<()> {
        self.program(source, sets, |runner, given| runner.show(&given))
    }

    /// Runs a program and hands over the results of each statement. An error of `take` ends it.
    fn program(
        &mut self,
        source: &Source,
        sets: &BTreeMap<String, String>,
        mut take: impl FnMut(&mut Self, Vec<Given>) -> Result<()>,
    ) -> Result<()> {
        self.submit(Request::Program { source: source.clone(), sets: sets.clone() })?;
        loop {
            let taken = match self.event() {
                Event::Given(given) => take(self, given),
                Event::Done(reply) => return reply.map(drop),
                _ => Ok(()),
            };
            if taken.is_err() {
                self.session.abandon();
                return taken;
            }
        }
    }

    /// As [`Runner::run`], but returns the results instead of showing them.
    ///
    /// # Errors
    /// The error that ended the program, not shown yet.
    pub fn collect(&mut self, source: &Source) -> Result<Vec<Given>> {
        let mut all = Vec::new();
        self.program(source, &BTreeMap::new(), |_, given| {
            all.extend(given);
            Ok(())
        })?;
        Ok(all)
    }

    /// Whether full screens with pictures can be shown.
    pub fn full_screens(&self) -> bool {
        self.terminal.interactive()
            && !self.style.json
            && !self.style.quiet
            && compare::shows(&self.painter.terminal)
    }

    /// Shows a comparison on the full screen until the user leaves it. Exports go to the current
    /// folder.
    ///
    /// # Errors
    /// When the terminal shows no pictures, or is gone.
    pub fn compare(&mut self, comparison: Comparison) -> Result<()> {
        if !self.full_screens() {
            return Err(Error::new(
                Kind::Usage,
                "full screens need a terminal that shows pictures",
            )
            .hint("compare(a, b) prints numbers anywhere"));
        }
        let mut app = Compare::new(comparison, PathBuf::new());
        let mut full = self.terminal.full(&self.painter.terminal)?;
        full::run(&mut app, &mut full)
    }

    /// Begins a request.
    ///
    /// # Errors
    /// As [`Session::submit`].
    pub fn submit(&mut self, request: Request) -> Result<()> {
        self.title.clear();
        self.session.submit(request, !self.quiet())
    }

    fn quiet(&self) -> bool {
        self.style.json || self.style.quiet
    }

    /// The next event of the submitted request. Progress is not returned but shown below the last
    /// line or on stderr.
    ///
    /// The first Ctrl-C keeps the best so far, the second aborts; SIGTERM and SIGHUP request a
    /// checkpoint; Ctrl-Z suspends at once. A third Ctrl-C ends a process without a prompt.
    pub fn event(&mut self) -> Event {
        let quiet = self.quiet();
        let interactive = self.terminal.interactive();
        let signals = self.terminal.line().signals();
        let deadly = quiet || !interactive;
        // Only while waiting for the work: showing results has its own, shorter patience.
        let _watching = self.session.control().map(|c| signals.watch(c, deadly));
        let session = &mut self.session;
        let mut wait = |time| match session.next(time) {
            None => Came::Nothing,
            Some(Event::Progress(progress)) => Came::Progress(progress),
            Some(event) => Came::Event(event),
        };
        let event = if quiet || !interactive {
            plain::watch(&self.title, &mut wait)
        } else {
            live::watch(&mut self.terminal, &self.painter.terminal, &self.title, &mut wait)
        };
        if let Event::Begins { title, .. } = &event {
            self.title.clone_from(title);
        }
        event
    }

    /// Shows results.
    ///
    /// # Errors
    /// When the terminal or the pipe is gone, or a picture file cannot be written.
    pub fn show(&mut self, given: &[Given]) -> Result<()> {
        given.iter().try_for_each(|g| self.show_one(g))
    }

    fn show_one(&mut self, given: &Given) -> Result<()> {
        match given {
            Given::Print(line) if !self.style.json => self.put(format!("{line}\n").as_bytes()),
            // No result: programs that read standard output do not get it. A closed stderr cannot
            // show it.
            Given::Note(line) if !self.style.json => {
                let note = ascii::text(&format!("note: {line}\n"));
                let _ = io::stderr().lock().write_all(note.as_bytes());
                Ok(())
            }
            Given::Note(line) => {
                self.line_of_json(&serde_json::json!({"type": "Note", "value": line}))
            }
            Given::Print(line) => {
                self.line_of_json(&serde_json::json!({"type": "Print", "value": line}))
            }
            Given::Value(blocks, json) if self.style.json => {
                let mut json = json.clone();
                let pictures = self.painter.files(blocks)?;
                if let (Some(object), false) = (json.as_object_mut(), pictures.is_empty()) {
                    object.insert("pictures".into(), pictures.into());
                }
                self.line_of_json(&json)
            }
            Given::Value(blocks, _) => {
                let (columns, rows) = self.terminal.size();
                (self.painter.terminal.columns, self.painter.terminal.rows) = (columns, rows);
                self.paint(blocks, columns)
            }
        }
    }

    /// Shows a result in at most `columns` columns.
    ///
    /// # Errors
    /// When the terminal or the pipe is closed, or a picture cannot be encoded.
    pub fn paint(&mut self, blocks: &[Block], columns: u16) -> Result<()> {
        if self.style.json {
            return blocks.iter().try_for_each(|b| self.line_of_json(&json::block(b)));
        }
        let cut = Cut { terminal: &mut self.terminal, at: Stop::No };
        let mut out = io::BufWriter::with_capacity(PART, cut);
        self.painter.print(blocks, columns, &mut out)?;
        out.flush().map_err(|e| unwritten(&e))?;
        out.get_ref().end()
    }

    fn line_of_json(&mut self, value: &serde_json::Value) -> Result<()> {
        let text = value.to_string();
        let text = if ascii::wanted() { ascii::json(&text) } else { text };
        self.put(format!("{text}\n").as_bytes())
    }

    /// Writes bytes to standard output. Ctrl-C cuts long output to a slow terminal.
    ///
    /// # Errors
    /// `Closed` when the reader has closed the pipe; `Interrupted` when output that does not go to
    /// a terminal was cut.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let mut out = Cut { terminal: &mut self.terminal, at: Stop::No };
        out.write_all(bytes).map_err(|e| unwritten(&e))?;
        out.end()
    }

    /// Shows an error on its source, on standard error; with `--json` also as objects on standard
    /// output.
    pub fn complain(&mut self, source: &Source, error: &Error) {
        if self.style.json {
            let diagnostic = Diagnostic { source: source.clone(), error: error.clone() };
            // A closed standard output cannot show the error.
            let _ = json::diagnostics(&diagnostic).try_for_each(|e| self.line_of_json(&e));
        }
        let colour = self.painter.terminal.colours != Colours::None;
        complain(source, error, colour);
    }
}

/// Number of bytes between two checks for a Ctrl-C.
const PART: usize = 1 << 14;
/// Ends a picture or a colour that was cut, and tells the user.
const CUT: &[u8] = b"\x1b\\\x1b[0m\x1b[?2026l\r\n(cut by Ctrl-C)\r\n";

/// Standard output that a Ctrl-C cuts: later bytes are dropped.
struct Cut<'a> {
    terminal: &'a mut Terminal<Line>,
    at: Stop,
}

impl Cut<'_> {
    /// Returns whether everything was written, as an error if not.
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

/// The error of a failed write to standard output.
pub fn unwritten(e: &io::Error) -> Error {
    Error::io("cannot write to standard output", e)
}

/// Shows an error on its source, on standard error.
pub fn complain(source: &Source, error: &Error, colour: bool) {
    // A closed stderr cannot show the error.
    let _ = io::stderr().lock().write_all(ascii::text(&render(source, error, colour)).as_bytes());
}
