//! The editor of a notebook: a cursor in its cells, a selection, undo, search and replace.

use super::document::Document;
use super::text;

/// Number of changes that can be undone.
const HISTORY: usize = 2000;

/// A movement of the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// To the previous character.
    Left,
    /// To the next character.
    Right,
    /// Up by lines, into the cell above from the first.
    Up(usize),
    /// Down by lines, into the cell below from the last.
    Down(usize),
    /// To the beginning of the word before.
    WordLeft,
    /// To the beginning of the next word.
    WordRight,
    /// To the end of the word.
    WordEnd,
    /// To the beginning of the line.
    Home,
    /// To the end of the line.
    End,
    /// To the beginning of the cell.
    Top,
    /// To the end of the cell.
    Bottom,
}

/// What a change is, so that a run of the same kind is undone together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Typing,
    Deleting,
    Other,
}

/// A place in the notebook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of the cell.
    pub cell: usize,
    /// Byte in its text.
    pub at: usize,
}

/// The cells of a notebook with a cursor.
#[derive(Debug)]
pub struct Editor {
    document: Document,
    place: Place,
    /// The other end of the selection, in the same cell.
    anchor: Option<usize>,
    /// The column that vertical movements keep to.
    column: Option<usize>,
    past: Vec<(Document, Place)>,
    future: Vec<(Document, Place)>,
    /// The kind of the last change, unless something came between.
    last: Option<Kind>,
    clipboard: String,
    /// Changes with every change of the document.
    version: u64,
}

impl Editor {
    /// Begins with the cursor in the first cell.
    pub fn new(document: Document) -> Self {
        Self {
            document,
            place: Place::default(),
            anchor: None,
            column: None,
            past: Vec::new(),
            future: Vec::new(),
            last: None,
            clipboard: String::new(),
            version: 0,
        }
    }

    /// The cells.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Where the cursor is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The text of the cell with the cursor.
    pub fn text(&self) -> &str {
        &self.document.cells()[self.place.cell].text
    }

    /// The identity of the cell with the cursor.
    pub fn id(&self) -> u64 {
        self.document.cells()[self.place.cell].id
    }

    /// The selected bytes of the cell with the cursor.
    pub fn selection(&self) -> Option<(usize, usize)> {
        let anchor = self.anchor.filter(|a| *a != self.place.at)?;
        Some((anchor.min(self.place.at), anchor.max(self.place.at)))
    }

    /// The clipboard.
    pub fn clipboard(&self) -> &str {
        &self.clipboard
    }

    /// A number that changes with every change of the document.
    pub fn version(&self) -> u64 {
        self.version
    }

    // ---- the cursor

    /// Moves the cursor; with `select`, the selection grows.
    pub fn go(&mut self, movement: Move, select: bool) {
        match (select, self.anchor) {
            (true, None) => self.anchor = Some(self.place.at),
            (false, Some(_)) => self.anchor = None,
            _ => {}
        }
        let (t, at) = (self.text(), self.place.at);
        let to = match movement {
            Move::Left => text::before(t, at),
            Move::Right => text::after(t, at),
            Move::WordLeft => text::word_before(t, at),
            Move::WordRight => text::next_word(t, at),
            Move::WordEnd => text::word_end(t, at),
            Move::Home => text::line_start(t, at),
            Move::End => text::line_end(t, at),
            Move::Top => 0,
            Move::Bottom => t.len(),
            Move::Up(n) => return self.vertical(n, false, select),
            Move::Down(n) => return self.vertical(n, true, select),
        };
        self.place.at = text::snap(self.text(), to);
        (self.column, self.last) = (None, None);
    }

    fn vertical(&mut self, lines: usize, down: bool, select: bool) {
        let wanted = self.column.unwrap_or_else(|| text::column(self.text(), self.place.at));
        for _ in 0..lines {
            let (t, at) = (self.text(), self.place.at);
            let start = if down {
                let end = text::line_end(t, at);
                (end < t.len()).then_some(end + 1)
            } else {
                let start = text::line_start(t, at);
                (start > 0).then(|| text::line_start(t, start - 1))
            };
            match start {
                Some(start) => self.place.at = text::at_column(t, start, wanted),
                None if select || !self.step(down) => break,
                None => {
                    let t = self.text();
                    let start = if down { 0 } else { text::line_start(t, t.len()) };
                    self.place.at = text::at_column(t, start, wanted);
                }
            }
        }
        (self.column, self.last) = (Some(wanted), None);
    }

    /// Goes to the next or previous cell; returns whether there is one.
    pub fn step(&mut self, down: bool) -> bool {
        let to = if down { self.place.cell + 1 } else { self.place.cell.wrapping_sub(1) };
        if to >= self.document.cells().len() {
            return false;
        }
        self.jump(Place { cell: to, at: 0 });
        true
    }

    /// Goes to a place.
    pub fn jump(&mut self, place: Place) {
        let cell = place.cell.min(self.document.cells().len() - 1);
        self.place.cell = cell;
        self.place.at = text::snap(self.text(), place.at);
        (self.anchor, self.column, self.last) = (None, None, None);
    }

    /// Extends the selection to a byte of the cell with the cursor.
    pub fn select_to(&mut self, at: usize) {
        self.anchor.get_or_insert(self.place.at);
        self.place.at = text::snap(self.text(), at);
        (self.column, self.last) = (None, None);
    }

    /// Selects the text of the cell.
    pub fn select_all(&mut self) {
        self.anchor = Some(0);
        self.place.at = self.text().len();
    }

    /// Drops the selection.
    pub fn unselect(&mut self) {
        self.anchor = None;
    }

    // ---- changes

    /// Remembers the state before a change.
    fn begin(&mut self, kind: Kind) {
        if kind == Kind::Other || self.last != Some(kind) {
            self.past.push((self.document.clone(), self.place));
            if self.past.len() > HISTORY {
                self.past.remove(0);
            }
        }
        self.future.clear();
        self.last = Some(kind);
        self.column = None;
        self.version += 1;
    }

    /// Replaces bytes of the cell; the cursor goes after the new text.
    fn replace(&mut self, from: usize, to: usize, new: &str) {
        let t = self.text();
        let whole = format!("{}{new}{}", &t[..from], &t[to..]);
        self.document.set_text(self.place.cell, &whole);
        // A combining character may join the one before it.
        self.place.at = text::snap(self.text(), from + new.len());
        if self.place.at < from + new.len() {
            self.place.at = text::after(self.text(), self.place.at);
        }
        self.anchor = None;
    }

    /// Replaces some bytes of the cell, for a completion.
    pub fn splice(&mut self, from: usize, to: usize, new: &str) {
        if self.text().get(from..to).is_some() {
            self.begin(Kind::Other);
            self.replace(from, to, new);
        }
    }

    /// Replaces the text of a cell. The cursor stays, as far as its own cell's text reaches.
    pub fn rewrite(&mut self, cell: usize, new: &str) {
        self.begin(Kind::Other);
        self.document.set_text(cell, new);
        self.place.at = text::snap(self.text(), self.place.at);
        self.anchor = None;
    }

    /// Types a text in place of the selection.
    pub fn insert(&mut self, new: &str) {
        let (from, to) = self.selection().unwrap_or((self.place.at, self.place.at));
        let alone = from == to && !new.contains(char::is_whitespace);
        self.begin(if alone { Kind::Typing } else { Kind::Other });
        self.replace(from, to, new);
    }

    /// Pastes a text; line ends of every kind become newlines.
    pub fn paste(&mut self, new: &str) {
        self.last = None;
        self.insert(&new.replace("\r\n", "\n").replace('\r', "\n"));
        self.last = None;
    }

    /// Begins a new line with the indent of this one.
    pub fn newline(&mut self) {
        let t = self.text();
        let start = text::line_start(t, self.place.at);
        let line = &t[start..self.place.at];
        let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        self.insert(&format!("\n{indent}"));
    }

    /// Deletes the selection, or from the cursor to where a movement leads.
    pub fn delete(&mut self, movement: Move) {
        let (from, to) = self.selection().unwrap_or_else(|| {
            let here = self.place;
            self.go(movement, false);
            let there = if self.place.cell == here.cell { self.place.at } else { here.at };
            self.place = here;
            (here.at.min(there), here.at.max(there))
        });
        if from < to {
            // The movement above is not one of the user.
            let kind = if to - from <= 4 { Kind::Deleting } else { Kind::Other };
            self.begin(kind);
            self.replace(from, to, "");
            self.last = Some(kind);
        }
    }

    /// Copies the selection; returns whether there is one.
    pub fn copy(&mut self) -> bool {
        let Some((from, to)) = self.selection() else { return false };
        self.clipboard = self.text()[from..to].to_owned();
        true
    }

    /// Copies and deletes the selection.
    pub fn cut(&mut self) {
        if self.copy() {
            self.begin(Kind::Other);
            if let Some((from, to)) = self.selection() {
                self.replace(from, to, "");
            }
        }
    }

    /// Puts a text on the clipboard.
    pub fn keep(&mut self, text: &str) {
        text.clone_into(&mut self.clipboard);
    }

    // ---- cells

    /// Changes the document as a whole.
    fn change(&mut self, what: impl FnOnce(&mut Document, &mut Place)) {
        self.begin(Kind::Other);
        what(&mut self.document, &mut self.place);
        self.anchor = None;
        self.jump(self.place);
        self.version += 1;
    }

    /// Makes cells of the markers that were typed into texts. The cursor stays on its character.
    pub fn settle(&mut self) {
        let before = self.program_place();
        if self.document.settle() {
            self.version += 1;
            let (_, starts) = self.document.program();
            let cell = starts.iter().rposition(|s| *s <= before).unwrap_or(0);
            self.jump(Place { cell, at: before.saturating_sub(starts[cell]) });
        }
    }

    fn program_place(&self) -> usize {
        self.document.program().1[self.place.cell] + self.place.at
    }

    /// Adds a cell below or above the one with the cursor, and goes there.
    pub fn add(&mut self, below: bool, is_text: bool) {
        self.change(|document, place| {
            let at = place.cell + usize::from(below);
            document.insert(at, is_text, "");
            *place = Place { cell: at, at: 0 };
        });
    }

    /// Removes the cell with the cursor; its text goes on the clipboard.
    pub fn remove(&mut self) {
        self.clipboard = self.text().to_owned();
        self.change(|document, place| {
            document.remove(place.cell);
            place.at = 0;
        });
    }

    /// Moves the cell with the cursor.
    pub fn shift(&mut self, down: bool) {
        let cell = self.place.cell;
        let fits = if down { cell + 1 < self.document.cells().len() } else { cell > 0 };
        if fits {
            self.change(|document, place| {
                document.swap(if down { cell } else { cell - 1 });
                place.cell = if down { cell + 1 } else { cell - 1 };
            });
        }
    }

    /// Cuts the cell at the cursor.
    pub fn split(&mut self) {
        self.change(|document, place| {
            if document.cut(place.cell, place.at).is_some() {
                *place = Place { cell: place.cell + 1, at: 0 };
            }
        });
    }

    /// Appends the next cell to this one.
    pub fn merge(&mut self) {
        if self.place.cell + 1 < self.document.cells().len() {
            self.change(|document, place| {
                place.at = document.merge(place.cell).unwrap_or(place.at);
            });
        }
    }

    /// Makes code of a text cell, and the other way round.
    pub fn turn(&mut self) {
        self.change(|document, place| document.turn(place.cell));
    }

    /// Folds or unfolds a cell; no change of the file.
    pub fn fold(&mut self, cell: usize, folded: bool) {
        self.document.fold(cell, folded);
    }

    /// Takes another text, for example of another program; it can be undone.
    pub fn load(&mut self, text: &str) {
        self.change(|document, _| document.reload(text));
    }

    // ---- undo

    /// Undoes the last change; returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some((document, place)) = self.past.pop() else { return false };
        self.future.push((self.document.clone(), self.place));
        self.back_to(document, place);
        true
    }

    /// Redoes the change that was undone last.
    pub fn redo(&mut self) -> bool {
        let Some((document, place)) = self.future.pop() else { return false };
        self.past.push((self.document.clone(), self.place));
        self.back_to(document, place);
        true
    }

    fn back_to(&mut self, document: Document, place: Place) {
        self.document.restore(document);
        self.version += 1;
        self.jump(place);
    }

    // ---- search

    /// Goes to the next occurrence of a text and selects it, or to the one before; returns whether
    /// there is one. Upper and lower case differ only when the text has upper case.
    pub fn find(&mut self, wanted: &str, forward: bool) -> bool {
        if wanted.is_empty() {
            return false;
        }
        let (cells, here) = (self.document.cells().len(), self.place);
        let from = self.selection().map_or(here.at, |s| s.0);
        for n in 0..=cells {
            let cell = if forward { here.cell + n } else { here.cell + cells * 2 - n } % cells;
            let text = &self.document.cells()[cell].text;
            let found = occurrences(text, wanted);
            let fits = |at: &usize| match (n, forward) {
                (0, true) => *at > from || (*at == from && self.anchor.is_none()),
                (0, false) => *at < from,
                _ => true,
            };
            let mut fitting = found.into_iter().filter(fits);
            let at = if forward { fitting.next() } else { fitting.next_back() };
            if let Some(at) = at {
                self.jump(Place { cell, at: at + wanted.len() });
                self.anchor = Some(at);
                return true;
            }
        }
        false
    }

    /// Replaces the selection if it is an occurrence, then goes to the next one.
    pub fn replace_one(&mut self, wanted: &str, new: &str) -> bool {
        if let Some((from, to)) = self.selection()
            && occurrences(&self.text()[from..to], wanted) == [0]
            && to - from == wanted.len()
        {
            self.splice(from, to, new);
        }
        self.find(wanted, true)
    }

    /// Replaces every occurrence in all cells; returns their number.
    pub fn replace_all(&mut self, wanted: &str, new: &str) -> usize {
        let mut count = 0;
        if wanted.is_empty() {
            return 0;
        }
        self.begin(Kind::Other);
        for cell in 0..self.document.cells().len() {
            let text = self.document.cells()[cell].text.clone();
            let (mut out, mut from) = (String::new(), 0);
            for at in occurrences(&text, wanted) {
                if at < from {
                    continue;
                }
                out.push_str(&text[from..at]);
                out.push_str(new);
                from = at + wanted.len();
                count += 1;
            }
            if from > 0 {
                out.push_str(&text[from..]);
                self.document.set_text(cell, &out);
            }
        }
        if count == 0 {
            self.past.pop();
        }
        self.jump(self.place);
        count
    }
}

/// The bytes at which a text occurs in another.
fn occurrences(text: &str, wanted: &str) -> Vec<usize> {
    let exact = wanted.chars().any(char::is_uppercase);
    // Only ASCII letters are compared without case, so that places stay the same.
    let fold = |s: &str| if exact { s.to_owned() } else { s.to_ascii_lowercase() };
    let (text, wanted) = (fold(text), fold(wanted));
    text.match_indices(&wanted).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn editor(text: &str) -> Editor {
        Editor::new(Document::parse(text))
    }

    fn all(e: &Editor) -> Vec<&str> {
        e.document().cells().iter().map(|c| &*c.text).collect()
    }

    #[test]
    fn typing_is_undone_word_by_word() {
        let mut e = editor("");
        "one two".chars().for_each(|c| e.insert(&c.to_string()));
        e.newline();
        e.paste("a\r\nb");
        assert_eq!(e.text(), "one two\na\nb");
        let mut seen = Vec::new();
        while e.undo() {
            seen.push(e.text().to_owned());
        }
        assert_eq!(seen, ["one two\n", "one two", "one ", "one", ""]);
        while e.redo() {}
        assert_eq!(e.text(), "one two\na\nb");
    }

    #[test]
    fn the_cursor_moves_by_what_is_seen() {
        let mut e = editor("e\u{301}顔x\nab\n#%%\nlonger line\n");
        e.go(Move::Right, false);
        assert_eq!(e.place().at, 3);
        e.go(Move::Right, false);
        e.go(Move::Down(1), false);
        assert_eq!(e.place(), Place { cell: 0, at: 10 });
        e.go(Move::Down(1), false);
        assert_eq!(e.place(), Place { cell: 1, at: 3 }, "the column is kept through a short line");
        e.go(Move::Up(2), false);
        assert_eq!(e.place(), Place { cell: 0, at: 6 });
        e.delete(Move::Left);
        assert_eq!(e.text(), "e\u{301}x\nab");
        e.delete(Move::Left);
        assert_eq!(e.text(), "x\nab");
    }

    #[test]
    fn selections_are_copied_cut_and_replaced() {
        let mut e = editor("alpha beta");
        e.go(Move::WordRight, true);
        assert!(e.copy());
        e.insert("X");
        assert_eq!(e.text(), "Xbeta");
        let kept = e.clipboard().to_owned();
        e.paste(&kept);
        assert_eq!(e.text(), "Xalpha beta");
        e.select_all();
        e.cut();
        assert_eq!((e.text(), e.clipboard()), ("", "Xalpha beta"));
        e.undo();
        assert_eq!(e.text(), "Xalpha beta");
    }

    #[test]
    fn search_goes_through_the_cells_and_round() {
        let mut e = editor("a cat\n#%%\nCat cat\n");
        let mut places = Vec::new();
        for _ in 0..4 {
            assert!(e.find("cat", true));
            places.push((e.place().cell, e.selection().unwrap().0));
        }
        assert_eq!(places, [(0, 2), (1, 0), (1, 4), (0, 2)]);
        assert!(e.find("cat", false));
        assert_eq!(e.place().cell, 1);
        assert!(!e.find("dog", true) && e.find("Cat", true));
        assert_eq!(e.replace_all("cat", "dog"), 3);
        assert_eq!(all(&e), ["a dog", "dog dog"]);
        e.undo();
        assert_eq!(all(&e), ["a cat", "Cat cat"]);
        e.jump(Place::default());
        e.find("cat", true);
        e.replace_one("cat", "cow");
        assert_eq!(all(&e)[0], "a cow");
    }

    #[test]
    fn typed_markers_become_cells_under_the_cursor() {
        let mut e = editor("a\n");
        e.go(Move::Bottom, false);
        e.paste("\n#%%\nb");
        e.settle();
        assert_eq!((all(&e), e.place()), (vec!["a", "b"], Place { cell: 1, at: 1 }));
    }

    proptest! {
        /// Any keys: the cursor stays inside, the file stays readable, and undo leads back.
        #[test]
        fn any_changes_can_be_undone(
            ops in proptest::collection::vec((0u8..20, 0usize..4), 0..60)
        ) {
            const MOVES: [Move; 4] = [Move::Left, Move::WordRight, Move::Up(2), Move::Down(1)];
            let mut e = editor("x = 1\n\n#%% md\nwords é\n\n#%%\ny = x\n");
            let first = e.document().print();
            for (op, k) in ops {
                match op {
                    0 | 1 => e.insert(["a", " ", "é", "#%%\n"][k]),
                    2 => e.newline(),
                    3 => e.delete([Move::Left, Move::Right, Move::WordLeft, Move::End][k]),
                    4 => e.paste(["p\r\nq", "#%% md\nz", "", "\u{301}"][k]),
                    5 => e.cut(),
                    6 | 7 => e.go(MOVES[k], k == 1),
                    8 => e.add(k % 2 == 0, k > 1),
                    9 => e.remove(),
                    10 => e.shift(k % 2 == 0),
                    11 => e.split(),
                    12 => e.merge(),
                    13 => e.turn(),
                    14 => drop(e.undo()),
                    15 => drop(e.redo()),
                    16 => drop(e.find(["a", "x", "\n", ""][k], k % 2 == 0)),
                    17 => drop(e.replace_all(["a", "x", " ", ""][k], "yy")),
                    18 => e.settle(),
                    _ => e.jump(Place { cell: k, at: k * 3 }),
                }
                let place = e.place();
                prop_assert!(place.cell < e.document().cells().len());
                prop_assert!(e.text().is_char_boundary(place.at), "{:?} in {:?}", place, e.text());
                let printed = e.document().print();
                prop_assert_eq!(Document::parse(&printed).print(), printed);
            }
            while e.undo() {}
            prop_assert_eq!(e.document().print(), first);
        }
    }
}
