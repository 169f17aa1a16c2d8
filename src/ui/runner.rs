//! Shows a session on a terminal or in a pipe: progress while it works, then results.

use super::compare::{Compare, Comparison};
use super::full;
use super::plain::Came;
use super::report::Report;
use super::{Line, Terminal, ascii, live, plain};
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::lang::span::{Source, fitted};
use crate::render::{Block, Colours, Diagnostic, Painter, json};
use crate::session::{Event, Given, Request, Session};
use crossterm::terminal::window_size;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Output format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// One JSON object for each line instead of pictures and text.
    pub json: bool,
    /// Results and errors only, no progress.
    pub quiet: bool,
    /// Progress and errors as JSON objects on stderr.
    pub reports: bool,
}

/// Maximum time between two calls of [`Runner::meanwhile`].
const SLICE: Duration = Duration::from_millis(100);

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
    /// Called often while a program works: whether to abort it.
    pub meanwhile: Option<Box<dyn FnMut() -> bool>>,
    /// Title of the running statement.
    title: String,
    report: Report,
}

impl Runner {
    /// Makes a runner for a session.
    pub fn new(session: Session, terminal: Terminal<Line>, painter: Painter, style: Style) -> Self {
        Self {
            session,
            terminal,
            painter,
            style,
            meanwhile: None,
            title: String::new(),
            report: Report::default(),
        }
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

    /// Whether full screens can be shown.
    pub fn full_screens(&self) -> bool {
        self.terminal.interactive() && !self.style.json && !self.style.quiet
    }

    /// Shows a comparison on the full screen until the user leaves it. Exports go to the current
    /// folder. Without cursor movements it comes as lines of text.
    ///
    /// # Errors
    /// When the terminal is gone, and where output is JSON.
    pub fn compare(&mut self, comparison: Comparison) -> Result<()> {
        if self.style.json {
            return Err(Error::new(Kind::Usage, "a full screen is not JSON")
                .hint("compare(a, b) gives its numbers as JSON"));
        }
        if !self.full_screens() {
            let lines = comparison.lines(self.terminal.size().0.into());
            return self.put(format!("{}\n", lines.join("\n")).as_bytes());
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
        self.session.submit(request, self.style.reports || !self.quiet())
    }

    /// Whether progress is not wanted.
    fn quiet(&self) -> bool {
        self.style.json || self.style.quiet
    }

    /// The next event of the submitted request. Progress is not returned but shown below the last
    /// line or on stderr.
    ///
    /// The first Ctrl-C keeps the best so far, the second aborts; SIGTERM and SIGHUP request a
    /// checkpoint; Ctrl-Z suspends at once. A third Ctrl-C ends a process without a prompt.
    pub fn event(&mut self) -> Event {
        let plain = self.quiet() || self.style.reports || !self.terminal.interactive();
        let signals = self.terminal.line().signals();
        // Only while waiting for the work: showing results has its own, shorter patience.
        let _watching = self.session.control().map(|c| signals.watch(c, plain));
        let (session, meanwhile) = (&mut self.session, &mut self.meanwhile);
        let report = self.style.reports.then_some(&mut self.report);
        let mut wait = |time: Duration| {
            let slice = if meanwhile.is_some() { time.min(SLICE) } else { time };
            let abort = meanwhile.as_mut().is_some_and(|ask| ask());
            if let Some(control) = session.control().filter(|_| abort) {
                control.request(Stop::Abort);
            }
            match session.next(slice) {
                None => Came::Nothing,
                Some(Event::Progress(progress)) => Came::Progress(progress),
                Some(event) => Came::Event(event),
            }
        };
        let event = match report {
            Some(report) => reported(report, &mut wait),
            None if plain => plain::watch(&self.title, &mut wait),
            None => live::watch(&mut self.terminal, &self.painter.terminal, &self.title, &mut wait),
        };
        if let Event::Begins { title, .. } = &event {
            self.title.clone_from(title);
        }
        event
    }

    /// Waits while nothing runs, until `done` says so or a signal asks to end; gives its request.
    pub fn idle(&mut self, mut done: impl FnMut() -> bool) -> Stop {
        let control = Control::default();
        let signals = self.terminal.line().signals();
        let _watching = signals.watch(&control, false);
        while control.stop() == Stop::No && !done() {
            std::thread::sleep(SLICE / 2);
        }
        control.stop()
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
            Given::Note(line) if self.style.reports && !self.style.json => {
                say(&serde_json::json!({"event": "note", "text": line}));
                Ok(())
            }
            // No result: programs that read standard output do not get it.
            Given::Note(line) if !self.style.json => {
                remark(&format!("note: {line}"));
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

    /// Writes an object as a line of standard output.
    ///
    /// # Errors
    /// As [`Runner::put`].
    pub fn line_of_json(&mut self, value: &serde_json::Value) -> Result<()> {
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
        let diagnostic = Diagnostic { source: source.clone(), error: error.clone() };
        if self.style.json {
            // A closed standard output cannot show the error.
            let _ = json::diagnostics(&diagnostic).try_for_each(|e| self.line_of_json(&e));
        }
        if self.style.reports {
            for error in json::diagnostics(&diagnostic) {
                let mut object = serde_json::json!({"event": "error"});
                if let (Some(all), serde_json::Value::Object(fields)) =
                    (object.as_object_mut(), error)
                {
                    all.extend(fields);
                }
                say(&object);
            }
            return;
        }
        let colour = self.painter.terminal.colours != Colours::None;
        complain(source, error, colour);
    }
}

/// Waits for an event and writes objects about it, and about the progress until then, to stderr.
fn reported(report: &mut Report, wait: &mut dyn FnMut(Duration) -> Came<Event>) -> Event {
    loop {
        match wait(Duration::from_secs(1)) {
            Came::Progress(progress) => {
                report.progress(&progress, Instant::now()).iter().for_each(say)
            }
            Came::Event(event) => {
                report.event(&event, Instant::now()).iter().for_each(say);
                return event;
            }
            Came::Nothing => {}
        }
    }
}

/// Writes a line to stderr.
pub fn remark(line: &str) {
    // A closed stderr cannot show it.
    let _ = io::stderr().lock().write_all(ascii::text(&format!("{line}\n")).as_bytes());
}

/// Writes an object as a line of stderr.
pub fn say(object: &serde_json::Value) {
    // A closed stderr loses only reports.
    let _ = writeln!(io::stderr().lock(), "{object}");
}

/// Number of bytes between two checks for a Ctrl-C.
const PART: usize = 1 << 14;
/// Ends a picture or a colour that was cut, shows the cursor, and tells the user.
const CUT: &[u8] = b"\x1b\\\x1b[0m\x1b[?2026l\x1b[?25h\r\n(cut by Ctrl-C)\r\n";

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
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let size = window_size().ok().filter(|s| terminal && s.columns > 0);
    let columns = size.map_or(usize::MAX, |s| usize::from(s.columns));
    let shown = fitted(source, error, colour, columns);
    // A closed stderr cannot show the error.
    let _ = io::stderr().lock().write_all(ascii::text(&shown).as_bytes());
}
