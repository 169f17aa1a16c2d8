//! The keys of vi in the editor: movements, operators with counts, insertion and selection.

use super::editor::{Editor, Move, Place};
use super::text;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The state of vi.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Normal,
    Insert,
    /// Selecting, by lines if so.
    Visual(bool),
}

/// What keys so far mean.
#[derive(Debug, Default)]
pub struct Vi {
    state: State,
    count: usize,
    /// `d`, `c`, `y`, `g`, `r`, `>` or `<`, waiting for what follows.
    pending: Option<char>,
    /// Whether the last deleted or copied text was whole lines.
    by_lines: bool,
}

impl Vi {
    /// Whether keys are commands.
    pub fn is_normal(&self) -> bool {
        self.state == State::Normal
    }

    /// The name of the state, for the status line.
    pub fn name(&self) -> &'static str {
        match self.state {
            State::Normal => "NORMAL",
            State::Insert => "INSERT",
            State::Visual(false) => "VISUAL",
            State::Visual(true) => "LINES",
        }
    }

    /// Handles a key; returns whether it was one of vi. Others mean what they mean without vi.
    pub fn key(&mut self, editor: &mut Editor, key: KeyEvent) -> bool {
        let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        if self.state == State::Insert {
            if key.code != KeyCode::Esc {
                return false;
            }
            self.state = State::Normal;
            if editor.place().at > text::line_start(editor.text(), editor.place().at) {
                editor.go(Move::Left, false);
            }
            return true;
        }
        let KeyCode::Char(c) = key.code else {
            // Escape first takes back what waits; then it leaves the editor.
            if key.code == KeyCode::Esc {
                let waits = self.pending.take().is_some() || std::mem::take(&mut self.count) > 0;
                let selects = matches!(self.state, State::Visual(_));
                self.state = State::Normal;
                editor.unselect();
                return waits || selects;
            }
            return matches!(key.code, KeyCode::Enter | KeyCode::Tab | KeyCode::Backspace)
                && self.enter(editor, key.code);
        };
        if key.modifiers.contains(KeyModifiers::CONTROL) && c == 'r' {
            editor.redo();
            return true;
        }
        if !plain {
            return false;
        }
        self.letter(editor, c);
        true
    }

    /// Enter and Backspace move in normal state.
    fn enter(&mut self, editor: &mut Editor, code: KeyCode) -> bool {
        match code {
            KeyCode::Enter => editor.go(Move::Down(1), false),
            KeyCode::Backspace => editor.go(Move::Left, false),
            _ => {}
        }
        true
    }

    fn letter(&mut self, editor: &mut Editor, c: char) {
        match self.pending.take() {
            Some('r') => {
                let at = editor.place().at;
                let end = text::after(editor.text(), at).min(text::line_end(editor.text(), at));
                if end > at {
                    editor.splice(at, end, c.encode_utf8(&mut [0; 4]));
                    editor.go(Move::Left, false);
                }
                self.count = 0;
                return;
            }
            Some('g') => {
                if c == 'g' {
                    editor.jump(Place { cell: editor.place().cell, at: 0 });
                }
                self.count = 0;
                return;
            }
            Some(operator) => return self.operate(editor, operator, c),
            None => {}
        }
        if c.is_ascii_digit() && (c != '0' || self.count > 0) {
            self.count = (self.count * 10 + (c as usize - '0' as usize)).min(9999);
            return;
        }
        if let State::Visual(lines) = self.state
            && self.selected(editor, c, lines)
        {
            return;
        }
        if self.movement(editor, c) {
            return;
        }
        self.command(editor, c);
    }

    fn times(&mut self) -> usize {
        std::mem::take(&mut self.count).max(1)
    }

    /// Moves the cursor; returns whether the letter is a movement.
    fn movement(&mut self, editor: &mut Editor, c: char) -> bool {
        let select = matches!(self.state, State::Visual(_));
        let by = match c {
            'h' => Move::Left,
            'l' | ' ' => Move::Right,
            'j' => Move::Down(1),
            'k' => Move::Up(1),
            'w' => Move::WordRight,
            'b' => Move::WordLeft,
            'e' => Move::WordEnd,
            '0' | '^' => Move::Home,
            '$' => Move::End,
            'G' => Move::Bottom,
            _ => return false,
        };
        for _ in 0..self.times() {
            editor.go(by, select);
        }
        if c == '^' {
            let at = editor.place().at;
            let line = &editor.text()[at..text::line_end(editor.text(), at)];
            let blanks = line.len() - line.trim_start().len();
            for _ in 0..blanks {
                editor.go(Move::Right, select);
            }
        }
        true
    }

    /// Handles a letter while selecting; returns whether it ends the selection.
    fn selected(&mut self, editor: &mut Editor, c: char, lines: bool) -> bool {
        match c {
            'd' | 'x' | 'y' | 'c' => {
                self.state = State::Normal;
                if lines {
                    let at = editor.place().at;
                    let (from, to) = editor.selection().unwrap_or((at, at));
                    let from = text::line_start(editor.text(), from);
                    let to = text::line_end(editor.text(), to);
                    editor.jump(Place { at: from, ..editor.place() });
                    self.lines(editor, if c == 'x' { 'd' } else { c }, (from, to));
                    return true;
                }
                editor.go(Move::Right, true);
                self.by_lines = false;
                if c == 'y' {
                    editor.copy();
                    let from = editor.selection().map_or(editor.place().at, |s| s.0);
                    editor.jump(Place { at: from, ..editor.place() });
                } else {
                    editor.cut();
                }
                if c == 'c' {
                    self.state = State::Insert;
                }
                true
            }
            'v' | 'V' => {
                editor.unselect();
                self.state = State::Normal;
                true
            }
            _ => false,
        }
    }

    /// Does an operator over a movement.
    fn operate(&mut self, editor: &mut Editor, operator: char, c: char) {
        if c.is_ascii_digit() && c != '0' {
            self.count = c as usize - '0' as usize;
            self.pending = Some(operator);
            return;
        }
        let here = editor.place();
        if c == operator {
            let times = self.times();
            let from = text::line_start(editor.text(), here.at);
            let mut to = text::line_end(editor.text(), here.at);
            for _ in 1..times {
                to = text::line_end(editor.text(), (to + 1).min(editor.text().len()));
            }
            return self.lines(editor, operator, (from, to));
        }
        // `cw` changes to the end of the word, not the blank after it.
        let to_end = (operator == 'c' && c == 'w') || c == 'e';
        let moved = if to_end { self.movement(editor, 'e') } else { self.movement(editor, c) };
        let mut there = editor.place();
        if to_end {
            there.at = text::after(editor.text(), there.at);
        }
        editor.jump(here);
        if !moved || there.cell != here.cell {
            return;
        }
        let (from, to) = (here.at.min(there.at), here.at.max(there.at));
        if matches!(c, 'j' | 'k' | 'G') {
            let lines = (text::line_start(editor.text(), from), text::line_end(editor.text(), to));
            return self.lines(editor, operator, lines);
        }
        self.by_lines = false;
        let part = editor.text()[from..to].to_owned();
        editor.keep(&part);
        if operator == 'y' {
            editor.jump(Place { at: from, ..here });
        } else if from < to {
            editor.splice(from, to, "");
        }
        if operator == 'c' {
            self.state = State::Insert;
        }
    }

    /// Does an operator over whole lines.
    fn lines(&mut self, editor: &mut Editor, operator: char, (from, to): (usize, usize)) {
        let text = editor.text().to_owned();
        editor.keep(&text[from..to]);
        self.by_lines = true;
        match operator {
            'd' => {
                // The newline after them, or the one before the last line.
                let (from, to) =
                    if to < text.len() { (from, to + 1) } else { (from.saturating_sub(1), to) };
                editor.splice(from, to, "");
            }
            'c' => {
                editor.splice(from, to, "");
                self.state = State::Insert;
            }
            _ => {}
        }
    }

    fn command(&mut self, editor: &mut Editor, c: char) {
        let times = self.times();
        match c {
            'i' => self.state = State::Insert,
            'a' => {
                let at = editor.place().at;
                if at < text::line_end(editor.text(), at) {
                    editor.go(Move::Right, false);
                }
                self.state = State::Insert;
            }
            'I' | 'A' => {
                editor.go(if c == 'I' { Move::Home } else { Move::End }, false);
                self.state = State::Insert;
            }
            'o' => {
                editor.go(Move::End, false);
                editor.newline();
                self.state = State::Insert;
            }
            'O' => {
                editor.go(Move::Home, false);
                editor.insert("\n");
                editor.go(Move::Left, false);
                self.state = State::Insert;
            }
            'x' => {
                for _ in 0..times {
                    let at = editor.place().at;
                    if at < text::line_end(editor.text(), at) {
                        editor.delete(Move::Right);
                    }
                }
            }
            'D' | 'C' => {
                editor.delete(Move::End);
                if c == 'C' {
                    self.state = State::Insert;
                }
            }
            'p' | 'P' => self.put(editor, c == 'p'),
            'u' => drop(editor.undo()),
            'J' => {
                editor.go(Move::End, false);
                let at = editor.place().at;
                if at < editor.text().len() {
                    let rest = &editor.text()[at..];
                    let blanks = rest.len() - rest.trim_start().len();
                    editor.splice(at, at + blanks, " ");
                }
            }
            'v' | 'V' => self.state = State::Visual(c == 'V'),
            'd' | 'c' | 'y' | 'g' | 'r' => {
                self.pending = Some(c);
                // A count before an operator counts its movement.
                self.count = if times > 1 { times } else { 0 };
            }
            _ => {}
        }
    }

    fn put(&mut self, editor: &mut Editor, after: bool) {
        let text = editor.clipboard().to_owned();
        if !self.by_lines {
            let at = editor.place().at;
            if after && at < text::line_end(editor.text(), at) {
                editor.go(Move::Right, false);
            }
            return editor.paste(&text);
        }
        let at = editor.place().at;
        if after {
            let end = text::line_end(editor.text(), at);
            editor.splice(end, end, &format!("\n{text}"));
            editor.jump(Place { at: end + 1, ..editor.place() });
        } else {
            let start = text::line_start(editor.text(), at);
            editor.splice(start, start, &format!("{text}\n"));
            editor.jump(Place { at: start, ..editor.place() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Document;
    use super::*;
    use proptest::prelude::*;

    fn typed(text: &str, keys: &str) -> (String, usize) {
        let mut editor = Editor::new(Document::parse(text));
        let mut vi = Vi::default();
        for c in keys.chars() {
            let (code, held) = match c {
                '\u{1b}' => (KeyCode::Esc, KeyModifiers::NONE),
                '®' => (KeyCode::Char('r'), KeyModifiers::CONTROL),
                c => (KeyCode::Char(c), KeyModifiers::NONE),
            };
            if !vi.key(&mut editor, KeyEvent::new(code, held))
                && let KeyCode::Char(c) = code
            {
                editor.insert(c.encode_utf8(&mut [0; 4]));
            }
        }
        let place = editor.place();
        assert!(editor.text().is_char_boundary(place.at));
        (editor.text().to_owned(), place.at)
    }

    #[test]
    fn as_in_vi() {
        const TEXT: &str = "one two three\nfour five\nsix";
        for (keys, wanted) in [
            ("x", "ne two three\nfour five\nsix"),
            ("3x", " two three\nfour five\nsix"),
            ("dw", "two three\nfour five\nsix"),
            ("d2w", "three\nfour five\nsix"),
            ("2dw", "three\nfour five\nsix"),
            ("wcwX\u{1b}", "one X three\nfour five\nsix"),
            ("dd", "four five\nsix"),
            ("jddp", "one two three\nsix\nfour five"),
            ("yyjp", "one two three\nfour five\none two three\nsix"),
            ("wD", "one \nfour five\nsix"),
            ("oX\u{1b}", "one two three\nX\nfour five\nsix"),
            ("OX\u{1b}", "X\none two three\nfour five\nsix"),
            ("AX\u{1b}u", "one two three\nfour five\nsix"),
            ("xu®", "ne two three\nfour five\nsix"),
            ("vey$p", "one two threeone\nfour five\nsix"),
            ("Vjd", "six"),
            ("J", "one two three four five\nsix"),
            ("rX", "Xne two three\nfour five\nsix"),
            ("jd$", "one two three\n\nsix"),
            ("jdj", "one two three"),
            ("ggdG", ""),
        ] {
            assert_eq!(typed(TEXT, keys).0, wanted, "{keys}");
        }
    }

    proptest! {
        #[test]
        fn any_keys_are_accepted(keys in "[a-zA-Z0-9$^\u{1b}® é]{0,40}") {
            typed("x = é顔\n\n  y e\u{301}\n#%% md\nw", &keys);
        }
    }
}
