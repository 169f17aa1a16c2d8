//! The prompt: a line editor that gets the language through [`Assist`].

use super::ascii;
use super::history::{ENTRIES, History};
use super::listing::{self, Candidate};
use super::screen::{self, Colour, Screen as _, Stdout};
use super::terminal::{Line, Terminal};
use crate::error::{Error, Kind, Result};
use crate::render::text::width;
use rustyline::completion::Completer;
use rustyline::config::{BellStyle, CompletionType, Configurer, EditMode};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::{History as _, MemHistory, SearchDirection};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, ColorMode, ConditionalEventHandler, Config, Context, Event, EventContext, EventHandler,
    Helper, KeyCode, KeyEvent, Modifiers, Movement,
};
use std::borrow::Cow;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    held: Arc<Mutex<Held>>,
    /// What Ctrl-L writes before the screen is cleared.
    wipe: Arc<Mutex<Vec<u8>>>,
}

/// A key within this time after the prompt was drawn was already in the input buffer.
const SOON: Duration = Duration::from_millis(50);

/// Keys that were typed while work ran and are offered on the prompt.
#[derive(Default)]
struct Held {
    /// The held keys, until the first key of the user.
    text: String,
    /// When the prompt was drawn.
    drawn: Option<Instant>,
    /// The held keys after they were taken off the prompt again.
    back: String,
    /// The first key of the line that came instead. The editor performs one action for each key,
    /// and that key removed the held text, so the key is inserted with the next one.
    first: Option<char>,
}

/// Handles the first key at a prompt. The editor's buffer may still hold keys from before the work:
/// the rest of several lines that were pasted at once. Those come first, so the held keys are taken
/// off and wait.
struct FirstKey(Arc<Mutex<Held>>);

impl ConditionalEventHandler for FirstKey {
    fn handle(&self, event: &Event, _: u16, _: bool, _: &EventContext) -> Option<Cmd> {
        let key = match event.get(0) {
            Some(KeyEvent(KeyCode::Char(c), Modifiers::NONE)) => Some(*c),
            _ => None,
        };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(first), Some(second)) = (held.first, key) {
            held.first = None;
            return Some(Cmd::Insert(1, format!("{first}{second}")));
        }
        let text = std::mem::take(&mut held.text);
        if text.is_empty() || held.drawn.is_none_or(|d| d.elapsed() >= SOON) {
            return None;
        }
        // Ctrl-C clears the line in any case.
        if event.get(0) == Some(&KeyEvent::ctrl('C')) {
            return None;
        }
        held.back = text;
        held.first = key;
        Some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Ctrl-Z: suspends with the terminal's original modes.
struct Suspend;

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: u16, _: bool, _: &EventContext) -> Option<Cmd> {
        super::restore::suspend();
        Some(Cmd::Repaint)
    }
}

/// Ctrl-L: clears the screen, pictures included.
struct Wipe(Arc<Mutex<Vec<u8>>>);

impl ConditionalEventHandler for Wipe {
    fn handle(&self, _: &Event, _: u16, _: bool, _: &EventContext) -> Option<Cmd> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // If the terminal is gone, the editor notices it when it clears the text.
        let _ = Stdout.put(&bytes);
        Some(Cmd::ClearScreen)
    }
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
        let held = Arc::<Mutex<Held>>::default();
        let bridge = Bridge {
            assist,
            colour: Colour::None,
            last: Cell::new(false),
            held: held.clone(),
            prompt: Cell::new(0),
        };
        inner.set_helper(Some(bridge));
        let any = EventHandler::Conditional(Box::new(FirstKey(held.clone())));
        inner.bind_sequence(Event::Any, any);
        let suspend = EventHandler::Conditional(Box::new(Suspend));
        inner.bind_sequence(KeyEvent::ctrl('Z'), suspend);
        let wipe = Arc::<Mutex<Vec<u8>>>::default();
        let clear = EventHandler::Conditional(Box::new(Wipe(wipe.clone())));
        inner.bind_sequence(KeyEvent::ctrl('L'), clear);
        Ok(Self { inner, history: History(history), fresh: true, offered: None, held, wipe })
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

    /// Puts a text of one or more lines on the next prompt: Enter runs it, Ctrl-C clears it.
    pub fn offer(&mut self, text: String) {
        self.offered = Some(text);
    }

    /// Reads the next text to run. Ctrl-C clears the line; several lines that arrive at once are
    /// returned one by one.
    ///
    /// # Errors
    /// When the terminal fails.
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
            match self.once(terminal, prompt) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) if matches!(text.trim(), ":quit" | ":q") => return Ok(Input::End),
                Ok(text) => return Ok(Input::Text(self.keep(text))),
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
        let typed = std::mem::take(&mut line.typed).replace('\r', "\n");
        let was_held = typed.is_empty() && !line.held.is_empty();
        let initial = match typed.split_once('\n') {
            Some((first, rest)) if !self.incomplete(first) => {
                let (first, rest) = (first.to_string(), rest.to_string());
                // Shows the line as if it had been typed at this prompt.
                let _ = terminal.print(&format!("{prompt}{}\n", crate::safe::Safe(&first)));
                terminal.type_ahead(&rest);
                return Ok(first);
            }
            // Keys that the user typed meanwhile take precedence over the offered text.
            _ if !typed.is_empty() => typed,
            _ if !line.held.is_empty() => std::mem::take(&mut line.held),
            _ => self.offered.take().unwrap_or_default(),
        };
        *self.held() = Held {
            text: if was_held { initial.clone() } else { String::new() },
            ..Held::default()
        };
        let _at_prompt = line.signals().at_prompt();
        let read = self.inner.readline_with_initial(prompt, (&initial, ""));
        line.ended_line();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        line.held.insert_str(0, &std::mem::take(&mut held.back));
        let first = held.first.take();
        read.map(|text| first.into_iter().chain(text.chars()).collect())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incomplete(&self, text: &str) -> bool {
        self.inner.helper().is_some_and(|b| b.assist.incomplete(text))
    }

    fn keep(&mut self, text: String) -> String {
        // A failure to write the history must not refuse the text.
        if self.inner.history_mut().add(&text).unwrap_or(false) {
            let _ = self.history.append(&text);
        }
        text
    }
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
    held: Arc<Mutex<Held>>,
    /// Columns of the prompt.
    prompt: Cell<usize>,
}

impl<A: Assist> Bridge<A> {
    /// The rows and columns around a list of completions.
    fn room(&self, line: &str, pos: usize) -> listing::Room {
        let (columns, rows) = Stdout.size();
        let columns = usize::from(columns.max(1));
        let hint = self.assist.hint(line, pos).map_or(0, |hint| hint.matches('\n').count());
        let drawn = line.split('\n').enumerate();
        let before = |k: usize| if k == 0 { self.prompt.get() } else { 0 };
        let lines = drawn.map(|(k, l)| 1 + (before(k) + width(l)) / columns);
        let wrapped = lines.sum::<usize>().saturating_sub(1);
        listing::Room { columns, rows: usize::from(rows), wrapped, hint }
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
        // rustyline requests hints whenever it draws the line.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.drawn.get_or_insert_with(Instant::now);
        drop(held);
        self.assist.hint(line, pos).map(|hint| Shown(ascii::text(&hint)))
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
