//! Completions, search, the outline, the list of keys, and the mouse.

use super::app::{Completion, Mode, NotebookApp, WHEEL, held};
use super::editor::{Move, Place};
use crate::ui::line::Assist;
use crate::ui::listing::Candidate;
use crate::ui::words::Words;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

impl NotebookApp {
    pub(super) fn complete(&mut self) {
        self.name_things();
        let (text, at) = (self.notebook.editor.text().to_owned(), self.place().at);
        let line = text[..at].rfind('\n').map_or(0, |n| n + 1);
        if text[line..at].trim().is_empty() {
            return self.notebook.editor.insert("  ");
        }
        let (from, all) = self.language.complete(&text[..at], at);
        match all.len() {
            0 => self.notebook.say("nothing completes this"),
            1 => self.notebook.editor.splice(from, at, &all[0].replacement),
            _ => {
                let common = common(&all);
                if common.len() > at - from && common.starts_with(&text[from..at]) {
                    self.notebook.editor.splice(from, at, &common);
                }
                self.completion = Some(Completion { from, all, chosen: 0 });
            }
        }
    }

    /// Handles a key while completions are listed; returns whether it was one for them.
    pub(super) fn choose(&mut self, key: KeyEvent) -> bool {
        let Some(list) = &mut self.completion else { return false };
        let count = list.all.len();
        match key.code {
            KeyCode::Tab | KeyCode::Down => list.chosen = (list.chosen + 1) % count,
            KeyCode::BackTab | KeyCode::Up => list.chosen = (list.chosen + count - 1) % count,
            KeyCode::Esc => self.completion = None,
            KeyCode::Enter => {
                let (from, new) = (list.from, list.all[list.chosen].replacement.clone());
                let at = self.place().at;
                self.completion = None;
                self.notebook.editor.splice(from.min(at), at, &new);
            }
            KeyCode::Char(c) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() => {
                self.notebook.editor.insert(c.encode_utf8(&mut [0; 4]));
                self.narrow();
            }
            KeyCode::Backspace => {
                self.notebook.editor.delete(Move::Left);
                self.narrow();
            }
            _ => {
                self.completion = None;
                return false;
            }
        }
        true
    }

    /// Asks for the completions again after a letter.
    fn narrow(&mut self) {
        let (text, at) = (self.notebook.editor.text().to_owned(), self.place().at);
        let (from, all) = self.language.complete(&text[..at], at);
        let old = self.completion.take();
        let same = old.is_some_and(|o| o.from == from);
        if same && !all.is_empty() && from < at {
            self.completion = Some(Completion { from, all, chosen: 0 });
        }
    }

    /// The signature of the call at the cursor.
    pub(super) fn hint(&mut self, columns: u16) -> Vec<String> {
        if self.mode != Mode::Edit || self.reads {
            return Vec::new();
        }
        self.name_things();
        self.language.columns = usize::from(columns);
        let (text, at) = (self.notebook.editor.text(), self.place().at);
        let hint = self.language.hint(&text[..at], at).unwrap_or_default();
        hint.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
    }

    /// Updates the names for colours and completion.
    pub(super) fn name_things(&mut self) {
        let now = (self.notebook.revision(), self.notebook.editor.version());
        if self.named == Some(now) {
            return;
        }
        self.named = Some(now);
        let snapshot = self.notebook.session.snapshot();
        let mut words = Words::of(&snapshot.state);
        snapshot.missing.iter().for_each(|name| words.promise(name));
        let cell = self.place().cell;
        // Names of cells that did not run yet.
        for links in &self.notebook.links()[..=cell] {
            links.writes.iter().filter(|n| *n != "load").for_each(|n| words.promise(n));
        }
        self.language.words = words;
    }

    // ---- other modes

    pub(super) fn find(
        &mut self,
        key: KeyEvent,
        (mut wanted, mut new, mut second): (String, Option<String>, bool),
    ) {
        let (ctrl, alt) = (held(key, KeyModifiers::CONTROL), held(key, KeyModifiers::ALT));
        let editor = &mut self.notebook.editor;
        let mut found = true;
        match key.code {
            KeyCode::Esc => {
                self.mode = Mode::Edit;
                return;
            }
            KeyCode::Tab | KeyCode::BackTab => {
                second = !second;
                new.get_or_insert_default();
            }
            KeyCode::Enter if second => {
                found = editor.replace_one(&wanted, new.as_deref().unwrap_or(""));
            }
            KeyCode::Enter | KeyCode::Down => found = editor.find(&wanted, true),
            KeyCode::Up => found = editor.find(&wanted, false),
            KeyCode::Char('a') if ctrl => {
                let count = editor.replace_all(&wanted, new.as_deref().unwrap_or(""));
                self.notebook.say(format!("{count} replaced"));
            }
            KeyCode::Backspace => {
                let text = if second { new.get_or_insert_default() } else { &mut wanted };
                text.pop();
            }
            KeyCode::Char(c) if !ctrl && !alt => {
                let text = if second { new.get_or_insert_default() } else { &mut wanted };
                text.push(c);
                if !second {
                    // From the beginning of what was found so far.
                    if let Some((from, _)) = editor.selection() {
                        editor.jump(Place { at: from, ..editor.place() });
                    }
                    found = editor.find(&wanted, true);
                }
            }
            _ => {}
        }
        if !found && !wanted.is_empty() {
            self.notebook.say("not found");
        }
        self.screen.follow = true;
        self.mode = Mode::Find(wanted, new, second);
    }

    pub(super) fn outline(&mut self, key: KeyEvent, at: usize) {
        let last = self.notebook.editor.document().cells().len() - 1;
        let at = match key.code {
            KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => (at + 1).min(last),
            KeyCode::PageUp => at.saturating_sub(10),
            KeyCode::PageDown => (at + 10).min(last),
            KeyCode::Home => 0,
            KeyCode::End => last,
            KeyCode::Enter => {
                self.notebook.editor.jump(Place { cell: at, at: 0 });
                self.screen.follow = true;
                self.mode = Mode::Command;
                return;
            }
            _ => {
                self.mode = Mode::Command;
                return;
            }
        };
        self.mode = Mode::Outline(at);
    }

    pub(super) fn help(&mut self, key: KeyEvent, top: usize) {
        self.mode = match key.code {
            KeyCode::Up => Mode::Help(top.saturating_sub(1)),
            KeyCode::Down => Mode::Help(top + 1),
            KeyCode::PageUp => Mode::Help(top.saturating_sub(10)),
            KeyCode::PageDown | KeyCode::Char(' ') => Mode::Help(top + 10),
            _ if self.editing => Mode::Edit,
            _ => Mode::Command,
        };
    }

    // ---- the mouse

    pub(super) fn mouse(&mut self, mouse: MouseEvent) {
        let at = (mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.scroll(-WHEEL),
            MouseEventKind::ScrollDown => self.scroll(WHEEL),
            MouseEventKind::Down(MouseButton::Left) => {
                self.completion = None;
                let Some((cell, byte)) = self.screen.hit(at, self.notebook.editor.document())
                else {
                    return;
                };
                self.notebook.hush();
                if self.notebook.editor.document().cells()[cell].folded {
                    self.notebook.editor.fold(cell, false);
                }
                self.notebook.editor.jump(Place { cell, at: byte.unwrap_or(0) });
                self.mode = if byte.is_some() { Mode::Edit } else { Mode::Command };
            }
            MouseEventKind::Drag(MouseButton::Left) if self.mode == Mode::Edit => {
                if let Some((cell, Some(byte))) =
                    self.screen.hit(at, self.notebook.editor.document())
                    && cell == self.place().cell
                {
                    self.notebook.editor.select_to(byte);
                }
            }
            _ => {}
        }
    }

    pub(super) fn scroll(&mut self, rows: i64) {
        self.screen.scroll(rows);
        (self.screen.follow, self.screen.watched) = (false, None);
    }
}

/// The beginning that all completions share.
fn common(all: &[Candidate]) -> String {
    let mut common = all.first().map_or("", |c| &c.replacement[..]);
    for c in all {
        let same = common.chars().zip(c.replacement.chars()).take_while(|(a, b)| a == b);
        let length: usize = same.map(|(a, _)| a.len_utf8()).sum();
        common = &common[..length];
    }
    common.to_owned()
}
