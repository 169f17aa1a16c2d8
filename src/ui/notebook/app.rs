//! The notebook on the screen: keys, the mouse, and what runs beside them.

use super::checker::{Checker, Mistake};
use super::editor::{Move, Place};
use super::model::{Mark, Notebook};
use super::room::Room;
use super::screen::Screen;
use super::vi::Vi;
use crate::error::Error;
use crate::eval::State;
use crate::ui::Colour;
use crate::ui::assist::Language;
use crate::ui::full::{Change, Image, control};
use crate::ui::listing::Candidate;
use crate::ui::signals::{Signals, Watching};
use crate::ui::view::View;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;
use std::time::Instant;

/// Rows that the wheel scrolls.
pub(super) const WHEEL: i64 = 3;

/// What keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Letters are commands for cells.
    Command,
    /// Keys edit the text.
    Edit,
    /// A text is searched: the text, what replaces it, and whether that is being typed.
    Find(String, Option<String>, bool),
    /// The list of cells: the chosen one.
    Outline(usize),
    /// The list of keys, from this line on.
    Help(usize),
}

/// A list of completions.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    /// First byte of the word.
    pub(super) from: usize,
    /// The completions.
    pub(super) all: Vec<Candidate>,
    /// The chosen one.
    pub(super) chosen: usize,
}

/// The progress of the running cell on the screen.
pub(super) struct Live {
    pub(super) id: u64,
    pub(super) view: View,
    pub(super) begun: Instant,
    /// Number of reports that it has taken.
    pub(super) reports: u64,
    /// The preview that is shown.
    pub(super) shown: Option<Arc<Image>>,
}

/// The notebook's screen.
pub struct NotebookApp {
    pub(super) notebook: Notebook,
    pub(super) mode: Mode,
    /// The keys of vi, if the user wants them.
    pub(super) vi: Option<Vi>,
    pub(super) completion: Option<Completion>,
    pub(super) language: Language,
    /// The revision and version that the language's names belong to.
    pub(super) named: Option<(u64, u64)>,
    pub(super) checker: Checker,
    /// The session before the first cell.
    pub(super) base: State,
    /// The version that was checked last, and its mistakes by cell.
    pub(super) checked: u64,
    pub(super) mistakes: Vec<(usize, Mistake)>,
    /// The version that was last seen, and when it was first seen.
    pub(super) typed: (u64, Instant),
    pub(super) live: Option<Live>,
    /// The screens above the notebook; the last one has the keys.
    pub(super) rooms: Vec<Room>,
    pub(super) screen: Screen,
    pub(super) colour: Colour,
    /// A line about the generator and the device.
    pub(super) about: String,
    pub(super) change: Change,
    /// The first key of a command of two keys.
    pressed: Option<char>,
    /// Whether the last key ran cells: their results are read now, not the signature at the cursor.
    pub(super) reads: bool,
    /// Whether the keys are shown while a text is edited.
    pub(super) editing: bool,
    /// The signals of the process, which give running work time to end; `None` in tests.
    pub(super) signals: Option<&'static Signals>,
    pub(super) watching: Option<Watching>,
    pub(super) leaving: bool,
    pub(super) ending: bool,
}

impl NotebookApp {
    /// Makes the screen of a notebook. `base` is the session before the first cell.
    pub fn new(
        mut notebook: Notebook,
        base: State,
        (colour, vi): (Colour, bool),
        about: String,
    ) -> Self {
        let typed = (notebook.editor.version(), Instant::now());
        let fresh = notebook.editor.document().cells().iter().all(|c| c.text.is_empty());
        if fresh {
            // Many terminals send the same bytes for Shift-Enter as for Enter.
            let runs = if vi { "Alt-Enter" } else { "Ctrl-R" };
            notebook.say(format!("a new notebook: {runs} runs, ? keys"));
        } else if notebook.message().is_none() {
            notebook.say("nothing has run: s runs what is stale, ? shows the keys");
        }
        Self {
            notebook,
            mode: if fresh { Mode::Edit } else { Mode::Command },
            vi: vi.then(Vi::default),
            completion: None,
            language: Language::default(),
            named: None,
            checker: Checker::start(),
            base,
            checked: u64::MAX,
            mistakes: Vec::new(),
            typed,
            live: None,
            rooms: Vec::new(),
            screen: Screen::default(),
            colour,
            about,
            change: Change::All,
            pressed: None,
            reads: false,
            editing: false,
            signals: None,
            watching: None,
            leaving: false,
            ending: false,
        }
    }

    /// Lets the signals of the process stop running work.
    pub fn heed(&mut self, signals: &'static Signals) {
        self.signals = Some(signals);
    }

    /// The notebook.
    #[cfg(any(test, feature = "internals"))]
    pub fn notebook(&mut self) -> &mut Notebook {
        &mut self.notebook
    }

    /// Waits for the end of a cell that was asked to stop, and saves. Returns the error that was
    /// not shown: the text is then not on the disk.
    pub fn finish(mut self) -> Option<Error> {
        while self.notebook.running().is_some() {
            self.notebook.wait();
        }
        self.notebook.close_safely()
    }

    // ---- keys

    pub(super) fn key(&mut self, key: KeyEvent) {
        let event = Event::Key(key);
        self.notebook.hush();
        self.reads = false;
        if self.notebook.conflict() && self.decide(key) {
            return;
        }
        if control(&event, 'c') {
            return self.interrupt_or_copy();
        }
        if self.in_every_mode(key) {
            return;
        }
        match self.mode.clone() {
            Mode::Command => self.command(key),
            Mode::Edit => self.edit(key),
            Mode::Find(wanted, new, second) => self.find(key, (wanted, new, second)),
            Mode::Outline(at) => self.outline(key, at),
            Mode::Help(top) => self.help(key, top),
        }
    }

    /// Another program has changed the file: takes the user's decision.
    fn decide(&mut self, key: KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('r') => self.notebook.reload(),
            KeyCode::Char('k') => self.notebook.keep_both(),
            // Everything else waits; only an interrupt passes.
            _ => return !(key.code == KeyCode::Char('c') && held(key, KeyModifiers::CONTROL)),
        }
        self.screen.follow = true;
        true
    }

    fn interrupt_or_copy(&mut self) {
        if self.notebook.interrupt() {
            self.notebook.say("stopping");
        } else if self.notebook.editor.copy() {
            self.notebook.say("copied");
        } else {
            self.notebook.say("nothing runs; q or Ctrl-Q quits");
        }
    }

    /// Handles the keys that mean the same in every mode.
    fn in_every_mode(&mut self, key: KeyEvent) -> bool {
        let (ctrl, alt) = (held(key, KeyModifiers::CONTROL), held(key, KeyModifiers::ALT));
        let shift = held(key, KeyModifiers::SHIFT);
        match key.code {
            KeyCode::Char('q') if ctrl => self.leave(),
            KeyCode::Char('s') if ctrl => self.save(),
            KeyCode::Char('r') if ctrl && !self.vi_keys() => self.run(false),
            KeyCode::Enter if ctrl || alt => self.run(false),
            KeyCode::Enter if shift => self.run(true),
            KeyCode::Char('t') if ctrl => self.run_stale(),
            KeyCode::Char('f') if ctrl => {
                self.completion = None;
                self.mode = Mode::Find(String::new(), None, false);
            }
            KeyCode::Char('o') if ctrl => self.mode = Mode::Outline(self.place().cell),
            KeyCode::Char('l') if ctrl => {}
            KeyCode::F(1) => self.show_keys(),
            KeyCode::F(5) => self.run_all(),
            KeyCode::Up if alt => self.notebook.editor.shift(false),
            KeyCode::Down if alt => self.notebook.editor.shift(true),
            KeyCode::Char('n') if alt => self.add(true),
            KeyCode::Char('s') if alt => self.notebook.editor.split(),
            KeyCode::Char('j') if alt => self.notebook.editor.merge(),
            KeyCode::Char('m') if alt => self.notebook.editor.turn(),
            KeyCode::Char('f') if alt => self.fold(),
            _ => return false,
        }
        self.screen.follow = true;
        true
    }

    fn vi_keys(&self) -> bool {
        self.vi.is_some() && self.mode == Mode::Edit
    }

    pub(super) fn place(&self) -> Place {
        self.notebook.editor.place()
    }

    /// Letters as commands for cells.
    fn command(&mut self, key: KeyEvent) {
        let pressed = self.pressed.take();
        self.screen.follow = true;
        match key.code {
            KeyCode::Enter | KeyCode::Char('e' | 'i') => self.mode = Mode::Edit,
            KeyCode::Char('j') | KeyCode::Down => drop(self.notebook.editor.step(true)),
            KeyCode::Char('k') | KeyCode::Up => drop(self.notebook.editor.step(false)),
            KeyCode::Char('g') | KeyCode::Home => self.notebook.editor.jump(Place::default()),
            KeyCode::Char('G') | KeyCode::End => {
                self.notebook.editor.jump(Place { cell: usize::MAX, at: 0 });
            }
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(self.screen.page()),
            KeyCode::PageUp => self.scroll(-self.screen.page()),
            KeyCode::Char('r') => self.run(false),
            KeyCode::Char('n') => self.run(true),
            KeyCode::Char('R') => self.notebook.run_all(),
            KeyCode::Char('s') => self.run_stale(),
            KeyCode::Char('a') => self.add(false),
            KeyCode::Char('b') => self.add(true),
            KeyCode::Char('d') if pressed == Some('d') => self.notebook.editor.remove(),
            KeyCode::Char('d') => {
                self.pressed = Some('d');
                self.notebook.say("d again removes the cell");
            }
            KeyCode::Char('J') => self.notebook.editor.shift(true),
            KeyCode::Char('K') => self.notebook.editor.shift(false),
            KeyCode::Char('M') => self.notebook.editor.merge(),
            KeyCode::Char('m') => self.notebook.editor.turn(),
            KeyCode::Char('f') => self.fold(),
            KeyCode::Char('u') => self.undo(),
            KeyCode::Char('U') => self.redo(),
            KeyCode::Char('o') => self.view_result(),
            KeyCode::Char('t') => self.mode = Mode::Outline(self.place().cell),
            KeyCode::Char('/') => self.mode = Mode::Find(String::new(), None, false),
            KeyCode::Char('w') => self.save(),
            KeyCode::Char('?') => self.show_keys(),
            KeyCode::Char('q') => self.leave(),
            _ => self.notebook.say("? shows the keys, Enter edits the cell"),
        }
    }

    /// Keys that edit the text.
    fn edit(&mut self, key: KeyEvent) {
        self.screen.follow = true;
        if self.completion.is_some() && self.choose(key) {
            return;
        }
        // No program begins so.
        if key.code == KeyCode::Char('?') && self.notebook.editor.text().trim().is_empty() {
            return self.show_keys();
        }
        if let Some(mut vi) = self.vi.take() {
            let (editor, code) = (&mut self.notebook.editor, key.code);
            let taken = vi.key(editor, key);
            let normal = vi.is_normal();
            self.vi = Some(vi);
            if taken {
                return;
            }
            if normal && code == KeyCode::Esc {
                self.leave_text();
                return;
            }
        }
        let (ctrl, alt) = (held(key, KeyModifiers::CONTROL), held(key, KeyModifiers::ALT));
        let select = held(key, KeyModifiers::SHIFT);
        let editor = &mut self.notebook.editor;
        match key.code {
            KeyCode::Esc if editor.selection().is_some() => editor.unselect(),
            KeyCode::Esc => self.leave_text(),
            KeyCode::Left if ctrl || alt => editor.go(Move::WordLeft, select),
            KeyCode::Right if ctrl || alt => editor.go(Move::WordRight, select),
            KeyCode::Left => editor.go(Move::Left, select),
            KeyCode::Right => editor.go(Move::Right, select),
            KeyCode::Up => self.vertical(Move::Up(1), select),
            KeyCode::Down => self.vertical(Move::Down(1), select),
            KeyCode::PageUp => self.vertical(Move::Up(10), select),
            KeyCode::PageDown => self.vertical(Move::Down(10), select),
            KeyCode::Home if ctrl => editor.go(Move::Top, select),
            KeyCode::End if ctrl => editor.go(Move::Bottom, select),
            KeyCode::Home => editor.go(Move::Home, select),
            KeyCode::End => editor.go(Move::End, select),
            KeyCode::Char('a') if ctrl => editor.select_all(),
            KeyCode::Char('e') if ctrl => editor.go(Move::End, false),
            KeyCode::Char('u' | '_') if ctrl => self.undo(),
            KeyCode::Char('y') if ctrl => self.redo(),
            KeyCode::Char('x') if ctrl => editor.cut(),
            KeyCode::Char('v') if ctrl => {
                let text = editor.clipboard().to_owned();
                editor.paste(&text);
            }
            KeyCode::Char('k') if ctrl => editor.delete(Move::End),
            KeyCode::Char('w') if ctrl => editor.delete(Move::WordLeft),
            KeyCode::Char('h') if ctrl => editor.delete(Move::Left),
            KeyCode::Char('d') if ctrl => editor.delete(Move::Right),
            KeyCode::Char('j') if ctrl => editor.newline(),
            KeyCode::Backspace if ctrl || alt => editor.delete(Move::WordLeft),
            KeyCode::Delete if ctrl || alt => editor.delete(Move::WordRight),
            KeyCode::Backspace => editor.delete(Move::Left),
            KeyCode::Delete => editor.delete(Move::Right),
            KeyCode::Enter => editor.newline(),
            KeyCode::Tab => self.complete(),
            KeyCode::Char(c) if !ctrl && !alt => editor.insert(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
    }

    fn show_keys(&mut self) {
        self.editing = self.mode == Mode::Edit || (self.editing && self.shows_keys());
        self.mode = Mode::Help(0);
    }

    fn shows_keys(&self) -> bool {
        matches!(self.mode, Mode::Help(_))
    }

    fn leave_text(&mut self) {
        self.notebook.editor.settle();
        self.mode = Mode::Command;
    }

    fn vertical(&mut self, movement: Move, select: bool) {
        let cell = self.notebook.editor.id();
        self.notebook.editor.go(movement, select);
        if self.notebook.editor.id() != cell {
            self.notebook.editor.settle();
        }
    }

    fn undo(&mut self) {
        if !self.notebook.editor.undo() {
            self.notebook.say("nothing to undo");
        }
    }

    fn redo(&mut self) {
        if !self.notebook.editor.redo() {
            self.notebook.say("nothing to redo");
        }
    }

    fn add(&mut self, below: bool) {
        self.notebook.editor.settle();
        self.notebook.editor.add(below, false);
        self.mode = Mode::Edit;
    }

    fn fold(&mut self) {
        let place = self.place();
        let folded = self.notebook.editor.document().cells()[place.cell].folded;
        self.notebook.editor.fold(place.cell, !folded);
        self.notebook.editor.jump(Place { at: 0, ..place });
    }

    // ---- running

    /// Runs the cell, and goes to the next one if asked; from the last to a new one.
    fn run(&mut self, onwards: bool) {
        self.completion = None;
        self.notebook.editor.settle();
        let at = self.place().cell;
        self.notebook.run(at);
        self.reads = true;
        if onwards && !self.notebook.editor.step(true) {
            self.add(true);
        }
        self.screen.watched = Some(self.notebook.editor.id());
    }

    fn run_stale(&mut self) {
        self.reads = true;
        if self.notebook.run_stale() == 0 {
            self.notebook.say("nothing is stale");
        }
    }

    fn run_all(&mut self) {
        self.reads = true;
        self.notebook.run_all();
    }

    fn save(&mut self) {
        self.notebook.editor.settle();
        if self.notebook.save() {
            self.notebook.say("saved");
        }
    }

    fn leave(&mut self) {
        if self.notebook.busy() && !self.leaving && self.notebook.running().is_some() {
            self.leaving = true;
            self.notebook.say("a cell runs: q again stops it and quits, Ctrl-C keeps its best");
            return;
        }
        if self.notebook.close() {
            self.notebook.checkpoint();
            self.ending = true;
        }
    }
}

/// Whether a key is pressed with this modifier.
pub(super) fn held(key: KeyEvent, modifier: KeyModifiers) -> bool {
    key.modifiers.contains(modifier)
}

/// The symbol of a state.
pub(super) fn symbol(mark: Mark) -> &'static str {
    match mark {
        Mark::None => " ",
        Mark::Fresh => "●",
        Mark::Stale => "○",
        Mark::Running => "◐",
        Mark::Waiting => "◔",
        Mark::Failed => "✗",
    }
}
