//! The prompt: a line editor that gets the language through [`Assist`].

use super::ascii;
use super::history::{ENTRIES, History};
use super::line_keys::{Break, Suspend, Wipe};
use super::listing::{self, Candidate};
use super::screen::{self, Colour, Screen as _, Stdout};
use super::terminal::{Line, Terminal, words};
use crate::error::{Error, Kind, Result};
use crate::render::text::width;
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, CompletionType, Configurer, EditMode};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::{History as _, MemHistory, SearchDirection};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Config, Context, EventHandler, Helper, KeyEvent};
use signal_hook::consts::SIGINT;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// The language support that the editor needs.
pub trait Assist {
    /// Whether Enter continues the text on another line instead of running it.
    fn incomplete(&self, text: &str) -> bool;

    /// The line with SGR colours, with the cursor at byte `pos`. The visible characters must not
    /// change.
    fn highlight(&self, line: &str, pos: usize) -> String;

    /// Start of the word before byte `pos`, and its completions.
    fn complete(&self, line: &str, pos: usize) -> (usize, Vec<Candidate>);

    /// A hint after the cursor at byte `pos`, such as a signature. It is never inserted.
    fn hint(&self, line: &str, pos: usize) -> Option<String>;
}

/// Presses of Ctrl-C in a row, on an empty line, after which the prompt says how to leave.
const LOST: usize = 2;

/// The key bindings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// As in Emacs and most shells.
    #[default]
    Emacs,
    /// As in vi.
    Vi,
}

/// Input from the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A text to run, of one or more lines, never blank.
    Text(String),
    /// Ctrl-D, `:quit`, or the end of piped input.
    End,
}

/// The line editor.
pub struct Editor<A: Assist> {
    inner: rustyline::Editor<Bridge<A>, MemHistory>,
    history: History,
    fresh: bool,
    /// Text for the next prompt.
    offered: Option<String>,
    /// Whether Ctrl-C was pressed at the prompt.
    broken: Arc<AtomicBool>,
    /// How often Ctrl-C was pressed on an empty line without other input between.
    idle: Arc<AtomicUsize>,
    /// What Ctrl-L writes before the screen is cleared.
    wipe: Arc<Mutex<Vec<u8>>>,
}

impl<A: Assist> Editor<A> {
    /// Makes an editor with the history file `history`; `None` keeps no history.
    ///
    /// # Errors
    /// When the terminal cannot be set up.
    pub fn new(assist: A, keys: Keys, history: Option<PathBuf>) -> Result<Self> {
        let mode = mode(keys);
        let config = Config::builder()
            .edit_mode(mode)
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            .max_history_size(ENTRIES)
            .map_err(|e| failed(&e))?
            .build();
        let memory = MemHistory::with_config(&config);
        let mut inner = rustyline::Editor::with_history(config, memory).map_err(|e| failed(&e))?;
        let bridge = Bridge {
            assist,
            colour: Colour::None,
            last: Cell::new(false),
            ends: Cell::new(false),
            drawn: RefCell::default(),
            prompt: Cell::new(0),
            waited: RefCell::default(),
        };
        inner.set_helper(Some(bridge));
        let broken = Arc::<AtomicBool>::default();
        let idle = Arc::<AtomicUsize>::default();
        let interrupt = Break { broken: broken.clone(), idle: idle.clone() };
        let interrupt = EventHandler::Conditional(Box::new(interrupt));
        inner.bind_sequence(KeyEvent::ctrl('C'), interrupt);
        let suspend = EventHandler::Conditional(Box::new(Suspend));
        inner.bind_sequence(KeyEvent::ctrl('Z'), suspend);
        let wipe = Arc::<Mutex<Vec<u8>>>::default();
        let clear = EventHandler::Conditional(Box::new(Wipe(wipe.clone())));
        inner.bind_sequence(KeyEvent::ctrl('L'), clear);
        Ok(Self {
            inner,
            history: History(history),
            fresh: true,
            offered: None,
            broken,
            idle,
            wipe,
        })
    }

    /// The language support, for example to update its names.
    pub fn assist(&mut self) -> Option<&mut A> {
        self.inner.helper_mut().map(|b| &mut b.assist)
    }

    /// The latest `most` different entries of the history that hold all the words, oldest first.
    pub fn find(&self, words: &str, most: usize) -> Vec<String> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let history = self.inner.history();
        let mut found: Vec<String> = Vec::new();
        for k in (0..history.len()).rev() {
            let Ok(Some(entry)) = history.get(k, SearchDirection::Reverse) else { continue };
            let entry = entry.entry.into_owned();
            let lower = entry.to_lowercase();
            let holds = words.iter().all(|w| lower.contains(w));
            if holds && !entry.starts_with(":history") && !found.contains(&entry) {
                found.push(entry);
            }
            if found.len() == most {
                break;
            }
        }
        found.reverse();
        found
    }

    /// Changes the key bindings from the next prompt on.
    pub fn set_keys(&mut self, keys: Keys) {
        self.inner.set_edit_mode(mode(keys));
    }

    /// Sets the bytes that remove pictures from the screen, which clearing text leaves there.
    pub fn set_wipe(&mut self, bytes: Vec<u8>) {
        *self.wipe.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// Puts a text of one or more lines on the next prompt that is free for it: Enter runs it,
    /// Ctrl-C clears it.
    pub fn offer(&mut self, text: String) {
        self.offered = Some(text);
    }

    /// Whether an offered text still waits for a prompt.
    pub fn offers(&self) -> bool {
        self.offered.is_some()
    }

    /// Reads the next text to run. Ctrl-C clears the line; several lines that arrive at once are
    /// returned one by one.
    ///
    /// # Errors
    /// When the terminal fails.
    pub fn read(&mut self, terminal: &mut Terminal<Line>, prompt: &str) -> Result<Input> {
        if std::mem::take(&mut self.fresh) {
            for entry in self.history.load() {
                // A full history drops its oldest entry; `add` has no other failure.
                let _ = self.inner.history_mut().add(&entry);
            }
        }
        loop {
            if terminal.line().signals().ended() {
                return Ok(Input::End);
            }
            let read = self.once(terminal, prompt);
            if read.is_ok() {
                self.idle.store(0, SeqCst);
            }
            match read {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) if matches!(text.trim(), ":quit" | ":q") => return Ok(Input::End),
                Ok(text) => return Ok(Input::Text(self.keep(text))),
                Err(ReadlineError::Interrupted) if self.idle.load(SeqCst) == LOST => {
                    // If the terminal is gone, the next prompt says so.
                    let _ = terminal.print(":quit or Ctrl-D leaves\n");
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(Input::End),
                // The terminal is gone; acknowledged cells are in the journal.
                Err(e) if terminal.line().signals().ended() || gone(&e) => return Ok(Input::End),
                Err(e) => return Err(failed(&e)),
            }
        }
    }

    fn once(&mut self, terminal: &mut Terminal<Line>, prompt: &str) -> rustyline::Result<String> {
        let colour = terminal.colour();
        self.inner.set_color_mode(if colour == Colour::None {
            ColorMode::Disabled
        } else {
            ColorMode::Enabled
        });
        if let Some(bridge) = self.inner.helper_mut() {
            bridge.colour = colour;
            bridge.prompt.set(width(prompt));
        }
        let line = terminal.line();
        line.settle();
        let _at_prompt = line.signals().at_prompt();
        let waits = !line.typed.is_empty() || !words(&line.held).trim().is_empty();
        let mut typed = String::new();
        if waits || self.offered.is_some() {
            match self.earlier(terminal, prompt)? {
                Earlier::Line(text) => return Ok(text),
                Earlier::Begun(text) => typed = text,
            }
        }
        let line = terminal.line();
        typed.push_str(&std::mem::take(&mut line.typed).replace('\r', "\n"));
        if let Some((first, rest)) = typed.split_once('\n')
            && !self.incomplete(first)
        {
            let (first, rest) = (first.to_string(), rest.to_string());
            // Shows the line as if it had been typed at this prompt.
            let _ = terminal.print(&format!("{prompt}{}\n", crate::safe::Safe(&first)));
            terminal.type_ahead(&rest);
            return Ok(first);
        }
        let held = words(&std::mem::take(&mut line.held));
        typed.push_str(&held);
        // A Return without a text before it runs nothing.
        let typed = typed.trim_start();
        if let Some(bridge) = self.inner.helper().filter(|_| !held.trim().is_empty()) {
            bridge.waited.replace(Some(typed.to_owned()));
        }
        // Keys that the user typed meanwhile take precedence over the offered text.
        let offered = if typed.is_empty() { self.offered.take() } else { None };
        let initial = offered.as_deref().unwrap_or(typed);
        let read = self.inner.readline_with_initial(prompt, (initial, ""));
        self.inner.helper().and_then(|bridge| bridge.waited.take());
        line.ended_line();
        read
    }

    /// Reads what the editor still holds of keys that were typed before the last work began: the
    /// rest of several lines that were pasted at once. It comes before any text that waits for a
    /// prompt.
    ///
    /// Only the editor knows whether it holds keys. It looks for signals when it holds none, and
    /// then before it reads the terminal: so a signal that it gets as it begins ends it exactly
    /// there, and later keys stay where they are.
    fn earlier(
        &mut self,
        terminal: &mut Terminal<Line>,
        prompt: &str,
    ) -> rustyline::Result<Earlier> {
        // With a printer, the editor looks for signals also when no key makes it wait. An editor
        // without a terminal of its own has none, and holds no keys.
        let Ok(_printer) = self.inner.create_external_printer() else {
            return Ok(Earlier::Begun(String::new()));
        };
        if let Some(bridge) = self.inner.helper() {
            bridge.ends.set(true);
        }
        self.broken.store(false, SeqCst);
        let read = self.inner.readline(prompt);
        terminal.line().ended_line();
        match read {
            Err(ReadlineError::Interrupted) if !self.broken.load(SeqCst) => {}
            other => return other.map(Earlier::Line),
        }
        let (begun, rows) = self.inner.helper().map_or_else(Default::default, |bridge| {
            let begun = bridge.drawn.take();
            let rows = 1 + bridge.wrapped(&begun, usize::from(terminal.size().0.max(1)));
            (begun, rows)
        });
        // The next prompt takes the place of this one. If the terminal is gone, that one says so.
        let _ = terminal.print(&format!("\x1b[{rows}A\r\x1b[J"));
        terminal.line().ended_line();
        Ok(Earlier::Begun(begun))
    }

    fn incomplete(&self, text: &str) -> bool {
        self.inner.helper().is_some_and(|b| b.assist.incomplete(text))
    }

    fn keep(&mut self, text: String) -> String {
        // A Return that was typed while work ran ends the text that waited for this one.
        let text = text.trim_end_matches('\n').to_owned();
        // A failure to write the history must not refuse the text.
        if self.inner.history_mut().add(&text).unwrap_or(false) {
            let _ = self.history.append(&text);
        }
        text
    }
}

/// What the editor held of earlier keys.
enum Earlier {
    /// A whole line.
    Line(String),
    /// The beginning of a line, possibly empty.
    Begun(String),
}

fn mode(keys: Keys) -> EditMode {
    if keys == Keys::Vi { EditMode::Vi } else { EditMode::Emacs }
}

fn gone(error: &ReadlineError) -> bool {
    // EIO means that the other end of the terminal is closed.
    match error {
        ReadlineError::Io(e) => e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
        ReadlineError::Errno(e) => *e as i32 == rustix::io::Errno::IO.raw_os_error(),
        _ => false,
    }
}

fn failed(error: &ReadlineError) -> Error {
    Error::new(Kind::Io, format!("the prompt failed: {error}"))
        .hint("run a script instead: gannet run FILE.gnt")
}

/// Adapts [`Assist`] to rustyline.
struct Bridge<A> {
    assist: A,
    colour: Colour,
    /// Whether the line is drawn for the last time, without a cursor.
    last: Cell<bool>,
    /// Whether the next drawing of the line sends the signal that ends the editor.
    ends: Cell<bool>,
    /// The line as it was last drawn.
    drawn: RefCell<String>,
    /// Columns of the prompt.
    prompt: Cell<usize>,
    /// The text that was typed while work ran, as the prompt begins with it.
    waited: RefCell<Option<String>>,
}

/// The hint after a text that was typed while work ran.
const WAITED: &str = "typed while it ran: Enter runs it";

impl<A: Assist> Bridge<A> {
    /// What to say about a line: that it waits for Enter, until it changes; then what the language
    /// says.
    fn about(&self, line: &str, pos: usize) -> Option<String> {
        if self.waited.borrow().as_deref() == Some(line) {
            // After a Return the cursor is on a line of its own.
            let place = if line.ends_with('\n') { "" } else { "\n" };
            return Some(format!("{place}    ╰─ {WAITED}"));
        }
        self.assist.hint(line, pos)
    }

    /// The rows and columns around a list of completions.
    fn room(&self, line: &str, pos: usize) -> listing::Room {
        let (columns, rows) = Stdout.size();
        let columns = usize::from(columns.max(1));
        let hint = self.about(line, pos).map_or(0, |hint| hint.matches('\n').count());
        let wrapped = self.wrapped(line, columns);
        listing::Room { columns, rows: usize::from(rows), wrapped, hint }
    }

    /// The rows that the line takes beyond the first.
    fn wrapped(&self, line: &str, columns: usize) -> usize {
        let drawn = line.split('\n').enumerate();
        let before = |k: usize| if k == 0 { self.prompt.get() } else { 0 };
        let lines = drawn.map(|(k, l)| 1 + (before(k) + width(l)) / columns);
        lines.sum::<usize>().saturating_sub(1)
    }
}

impl<A: Assist> Helper for Bridge<A> {}

impl<A: Assist> Validator for Bridge<A> {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(if self.assist.incomplete(ctx.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl<A: Assist> Completer for Bridge<A> {
    type Candidate = Candidate;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Candidate>)> {
        let (start, mut found) = self.assist.complete(line, pos);
        if found.len() > 1 {
            found.iter_mut().for_each(|c| c.display = ascii::text(&c.display));
            Stdout.put(listing::bytes(&found, self.room(line, pos)).as_bytes())?;
            // One completion is inserted without a list: what all share.
            let replacement = listing::common(&found);
            found = vec![Candidate { display: String::new(), replacement }];
        }
        Ok((start, found))
    }
}

/// A hint that is shown but never inserted.
struct Shown(String);

impl Hint for Shown {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl<A: Assist> Hinter for Bridge<A> {
    type Hint = Shown;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Shown> {
        // rustyline requests hints whenever it draws the line, with its signal handlers set.
        line.clone_into(&mut self.drawn.borrow_mut());
        if self.ends.take() {
            // The call can only fail for a signal that does not exist.
            let _ = signal_hook::low_level::raise(SIGINT);
        }
        self.about(line, pos).map(|hint| Shown(ascii::text(&hint)))
    }
}

impl<A: Assist> Highlighter for Bridge<A> {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        let pos = if self.last.get() { usize::MAX } else { pos };
        Cow::Owned(self.assist.highlight(line, pos))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        Cow::Owned(screen::inked(screen::ACCENT, prompt))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        // Without colours the hint is plain text.
        if self.colour == Colour::None {
            Cow::Borrowed(hint)
        } else {
            Cow::Owned(screen::inked(screen::QUIET, hint))
        }
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.last.set(kind == CmdKind::ForcedRefresh);
        true
    }
}
