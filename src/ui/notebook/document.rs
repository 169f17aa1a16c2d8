//! A notebook's text as cells: `#%%` begins a code cell, `#%% md` a text cell.
//!
//! Printing a document gives the bytes that it was read from, whatever wrote them.

use crate::lang::lex::{self, TokenKind};
use std::sync::Arc;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its identity while the document is open; never reused.
    pub id: u64,
    /// The `#%%` line with its newline; empty for what comes before the first one.
    marker: Arc<str>,
    /// The text, without the blank end of the cell.
    pub text: Arc<str>,
    /// The blanks and newlines up to the next marker.
    tail: Arc<str>,
    /// Whether only its first line is shown.
    pub folded: bool,
}

impl Cell {
    /// Whether it holds words rather than statements.
    pub fn is_text(&self) -> bool {
        lex::marker(self.marker.trim()).0
    }

    /// The words after `#%%` or `#%% md`.
    pub fn title(&self) -> &str {
        lex::marker(self.marker.trim()).1
    }

    /// The cell as it is in the file.
    pub fn source(&self) -> String {
        format!("{}{}{}", self.marker, self.text, self.tail)
    }

    /// Bytes of the file before its text.
    fn head(&self) -> usize {
        self.marker.len()
    }
}

/// The cells of a notebook. Never empty. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Document {
    cells: Vec<Cell>,
    next: u64,
    /// Whether every line ends in `\r\n`; inside, all lines end in `\n`.
    carriage: bool,
}

/// The blank end of a cell that another one follows.
const BETWEEN: &str = "\n\n";

impl Document {
    /// Reads a document.
    pub fn parse(text: &str) -> Self {
        let lines = text.matches('\n').count();
        let carriage = lines > 0 && text.matches("\r\n").count() == lines;
        // A lone `\r` would not come back where it was.
        let carriage = carriage && text.matches('\r').count() == lines;
        let text = if carriage { text.replace("\r\n", "\n") } else { text.to_owned() };
        let mut document = Self { cells: Vec::new(), next: 1, carriage };
        document.cells = document.split(&text);
        if document.cells.is_empty() {
            let cell = document.new_cell(if text.is_empty() { "#%%\n" } else { "" }, "");
            document.cells.push(Cell { tail: text.into(), ..cell });
        }
        document
    }

    /// The bytes of the file.
    pub fn print(&self) -> String {
        let text: String = self.cells.iter().map(Cell::source).collect();
        if self.carriage { text.replace('\n', "\r\n") } else { text }
    }

    /// The text as the language reads it, and the byte at which each cell's own text begins in it.
    pub fn program(&self) -> (String, Vec<usize>) {
        let (mut text, mut starts) = (String::new(), Vec::new());
        for cell in &self.cells {
            starts.push(text.len() + cell.head());
            text.push_str(&cell.source());
        }
        (text, starts)
    }

    /// The cells in order.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The place of a cell.
    pub fn place(&self, id: u64) -> Option<usize> {
        self.cells.iter().position(|c| c.id == id)
    }

    /// Changes whether only the first line of a cell is shown.
    pub fn fold(&mut self, at: usize, folded: bool) {
        if let Some(cell) = self.cells.get_mut(at) {
            cell.folded = folded;
        }
    }

    /// Replaces a cell's text. Markers in it stay text until [`Document::settle`].
    pub fn set_text(&mut self, at: usize, text: &str) {
        let last = at + 1 == self.cells.len();
        let Some(cell) = self.cells.get_mut(at) else { return };
        cell.text = text.into();
        if cell.tail.is_empty() {
            cell.tail = if last { "\n" } else { BETWEEN }.into();
        }
        // Text before the first marker begins where the file begins.
    }

    /// Cuts cells at the markers that their texts contain; returns whether there were any.
    pub fn settle(&mut self) -> bool {
        let text: String = self.cells.iter().map(Cell::source).collect();
        let marked =
            |text: &str| lex::tokens(text).iter().filter(|t| t.kind == TokenKind::Marker).count();
        let own = self.cells.iter().filter(|c| !c.marker.is_empty()).count();
        if marked(&text) == own {
            return false;
        }
        let old = std::mem::take(&mut self.cells);
        self.cells = self.split(&text);
        self.keep_identities(&old);
        true
    }

    /// Takes another text, for example of another program. Cells that are the same stay themselves.
    pub fn reload(&mut self, text: &str) {
        let old = std::mem::take(&mut self.cells);
        let new = Self::parse(text);
        self.carriage = new.carriage;
        self.cells = new.cells;
        for cell in &mut self.cells {
            cell.id = self.next;
            self.next += 1;
        }
        self.keep_identities(&old);
    }

    /// Gives cells that have the same text as old ones their identity, in order.
    fn keep_identities(&mut self, old: &[Cell]) {
        let mut rest = old.iter();
        for cell in &mut self.cells {
            let same = rest.clone().position(|o| o.text == cell.text && o.marker == cell.marker);
            if let Some(found) = same.and_then(|n| rest.nth(n)) {
                (cell.id, cell.folded) = (found.id, found.folded);
            }
        }
    }

    /// Puts a new cell before the cell at `at`, or at the end.
    pub fn insert(&mut self, at: usize, is_text: bool, text: &str) -> u64 {
        let at = at.min(self.cells.len());
        let cell = self.new_cell(if is_text { "#%% md\n" } else { "#%%\n" }, text);
        let id = cell.id;
        self.cells.insert(at, cell);
        self.space(at.saturating_sub(1));
        self.space(at);
        self.headed(at + 1, true);
        id
    }

    /// Removes a cell. The last one leaves an empty one.
    pub fn remove(&mut self, at: usize) {
        if at < self.cells.len() {
            self.cells.remove(at);
        }
        if self.cells.is_empty() {
            let cell = self.new_cell("#%%\n", "");
            self.cells.push(cell);
        }
        self.headed(0, at == 0);
    }

    /// Exchanges a cell with the next one.
    pub fn swap(&mut self, at: usize) {
        if at + 1 >= self.cells.len() {
            return;
        }
        self.headed(at, true);
        self.headed(at + 1, true);
        let tails = [at, at + 1].map(|k| self.cells[k].tail.clone());
        self.cells.swap(at, at + 1);
        // The spaces belong to the places.
        let [first, second] = tails;
        (self.cells[at].tail, self.cells[at + 1].tail) = (first, second);
        self.space(at);
        self.space(at + 1);
    }

    /// Cuts a cell's text in two cells of its kind; returns the identity of the second.
    pub fn cut(&mut self, at: usize, byte: usize) -> Option<u64> {
        let cell = self.cells.get(at)?;
        let (first, second) =
            (cell.text.get(..byte)?.to_owned(), cell.text.get(byte..)?.to_owned());
        let (is_text, tail) = (cell.is_text(), cell.tail.clone());
        self.set_text(at, first.trim_end_matches('\n'));
        self.cells[at].tail = BETWEEN.into();
        let id = self.insert(at + 1, is_text, second.trim_start_matches('\n'));
        self.cells[at + 1].tail = tail;
        self.space(at + 1);
        Some(id)
    }

    /// Appends the next cell's text to a cell; returns the byte at which it begins.
    pub fn merge(&mut self, at: usize) -> Option<usize> {
        if at + 1 >= self.cells.len() {
            return None;
        }
        let next = self.cells.remove(at + 1);
        let cell = &mut self.cells[at];
        let between = if cell.text.is_empty() || next.text.is_empty() { "" } else { "\n" };
        let begin = cell.text.len() + between.len();
        cell.text = format!("{}{between}{}", cell.text, next.text).into();
        cell.tail = next.tail;
        self.space(at);
        Some(begin)
    }

    /// Makes a code cell of a text cell, and the other way round. Its title stays.
    pub fn turn(&mut self, at: usize) {
        let Some(cell) = self.cells.get_mut(at) else { return };
        let head = if cell.is_text() { "#%%" } else { "#%% md" };
        let marker = format!("{head} {}", cell.title());
        cell.marker = format!("{}\n", marker.trim_end()).into();
    }

    /// Becomes an earlier or another document; identities are not reused.
    pub fn restore(&mut self, mut old: Self) {
        old.next = old.next.max(self.next);
        *self = old;
    }

    /// Cuts a text at its markers.
    fn split(&mut self, text: &str) -> Vec<Cell> {
        let tokens = lex::tokens(text);
        let markers: Vec<usize> =
            tokens.iter().filter(|t| t.kind == TokenKind::Marker).map(|t| t.span.start).collect();
        let first = markers.first().copied().unwrap_or(text.len());
        let mut cells = Vec::new();
        if first > 0 {
            let cell = self.read("", &text[..first]);
            cells.push(cell);
        }
        for (k, &from) in markers.iter().enumerate() {
            let end = markers.get(k + 1).copied().unwrap_or(text.len());
            let own = &text[from..end];
            let line = own.find('\n').map_or(own.len(), |n| n + 1);
            let cell = self.read(&own[..line], &own[line..]);
            cells.push(cell);
        }
        cells
    }

    fn read(&mut self, marker: &str, body: &str) -> Cell {
        let text = body.trim_end_matches(['\n', ' ', '\t']);
        // Blanks after the last word of a line belong to it.
        let cut = text.len() + body[text.len()..].find('\n').unwrap_or(body.len() - text.len());
        let cut = if text.is_empty() { 0 } else { cut };
        let cell = self.new_cell(marker, &body[..cut]);
        Cell { tail: body[cut..].into(), ..cell }
    }

    fn new_cell(&mut self, marker: &str, text: &str) -> Cell {
        let id = self.next;
        self.next += 1;
        let tail = if text.is_empty() { "" } else { "\n" };
        Cell { id, marker: marker.into(), text: text.into(), tail: tail.into(), folded: false }
    }

    /// Makes sure that a cell ends before the next one begins, and that its marker's line ends.
    fn space(&mut self, at: usize) {
        let last = at + 1 >= self.cells.len();
        let Some(cell) = self.cells.get_mut(at) else { return };
        let tight = !cell.tail.contains('\n');
        if !cell.marker.is_empty() && !cell.marker.ends_with('\n') {
            cell.marker = format!("{}\n", cell.marker).into();
        }
        if !last && (tight || &*cell.tail == "\n") {
            cell.tail = BETWEEN.into();
        } else if last && (tight || &*cell.tail == BETWEEN) && !cell.text.is_empty() {
            cell.tail = "\n".into();
        }
        self.headed(at, at > 0);
    }

    /// Gives a cell a marker if it has none and needs one.
    fn headed(&mut self, at: usize, needed: bool) {
        if let Some(cell) = self.cells.get_mut(at)
            && needed
            && cell.marker.is_empty()
        {
            cell.marker = "#%%\n".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(d: &Document) -> Vec<(bool, &str)> {
        d.cells().iter().map(|c| (c.is_text(), &*c.text)).collect()
    }

    #[test]
    fn markers_cut_a_file_into_cells() {
        let d = Document::parse(
            "# head\n\n#%% md About\nWords\n#not a marker\n\n#%% 2\nx = 1\n  + 2  \n",
        );
        let wanted = [(false, "# head"), (true, "Words\n#not a marker"), (false, "x = 1\n  + 2  ")];
        assert_eq!(texts(&d), wanted);
        assert_eq!(d.cells()[1].title(), "About");
        assert_eq!(texts(&Document::parse("")), [(false, "")]);
        assert_eq!(Document::parse("").print(), "#%%\n");
        assert_eq!(texts(&Document::parse("a = 1")), [(false, "a = 1")]);
    }

    #[test]
    fn foreign_bytes_stay() {
        for text in [
            "a = 1",
            "\n\n",
            "\r\n#%%\r\na\r\n",
            "#%%\r\nmixed\n",
            "#%%",
            "#%% md\n\u{feff}\0é",
            "x = 1; #%% y\n",
            "  #%% indented\n\tz\n \n  ",
            "#%%\n#%%\n#%% md",
            "\r",
            "a\r\nb\r",
        ] {
            assert_eq!(Document::parse(text).print(), text, "{text:?}");
        }
    }

    #[test]
    fn cells_are_cut_merged_moved_and_turned() {
        let mut d = Document::parse("a = 1\nb = 2\n#%% md T\nwords\n");
        d.cut(0, 6).unwrap();
        assert_eq!(d.print(), "a = 1\n\n#%%\nb = 2\n#%% md T\nwords\n".replace("2\n#", "2\n\n#"));
        d.swap(1);
        assert_eq!(texts(&d), [(false, "a = 1"), (true, "words"), (false, "b = 2")]);
        d.turn(1);
        assert_eq!((d.cells()[1].is_text(), d.cells()[1].title()), (false, "T"));
        assert_eq!(d.merge(0), Some(6));
        assert_eq!(d.print(), "a = 1\nwords\n\n#%%\nb = 2\n");
        d.insert(0, true, "first");
        assert_eq!(d.print(), "#%% md\nfirst\n\n#%%\na = 1\nwords\n\n#%%\nb = 2\n");
        (0..5).for_each(|_| d.remove(0));
        assert_eq!(d.print(), "#%%\n");
    }

    #[test]
    fn a_typed_marker_makes_a_cell_and_the_others_stay_themselves() {
        let mut d = Document::parse("#%%\na\n\n#%%\nb\n");
        let ids: Vec<u64> = d.cells().iter().map(|c| c.id).collect();
        d.set_text(0, "a\n#%% md\nwords");
        assert!(d.settle() && !d.settle());
        assert_eq!(texts(&d), [(false, "a"), (true, "words"), (false, "b")]);
        assert_eq!(d.cells()[2].id, ids[1]);
        let all: std::collections::BTreeSet<u64> = d.cells().iter().map(|c| c.id).collect();
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn the_program_is_the_file_and_knows_where_cells_begin() {
        let d = Document::parse("x\n#%% md\nw\n#%%\ny = 1\n");
        let (text, starts) = d.program();
        assert_eq!(text, d.print());
        assert_eq!(starts.iter().map(|s| &text[*s..=*s]).collect::<String>(), "xwy");
    }

    proptest! {
        #[test]
        fn print_gives_what_was_parsed(
            parts in proptest::collection::vec(0usize..14, 0..24)
        ) {
            const ALL: [&str; 14] = [
                "#%%", "#%% md", "\n", "\r\n", "a = 1", "words é", " ", "\t", "\"#%%", ";", "# c",
                "(", "\r", "0",
            ];
            let text: String = parts.iter().map(|p| ALL[*p]).collect();
            let d = Document::parse(&text);
            let wanted = if text.is_empty() { "#%%\n" } else { &text };
            prop_assert_eq!(d.print(), wanted);
            prop_assert!(!d.cells().is_empty());
        }

        #[test]
        fn after_any_change_the_file_reads_back_as_the_cells(
            changes in proptest::collection::vec((0u8..7, 0usize..5, 0usize..6), 0..30)
        ) {
            const TEXTS: [&str; 6] = ["", "a = 1", "b\nc", "é = \"#%%\"", "#%% md\nx", "  y\n\n"];
            let mut d = Document::parse("p = 1\n#%%\nq\n#%% md\nwords");
            for (what, at, text) in changes {
                let at = at % d.cells().len();
                match what {
                    0 => d.set_text(at, TEXTS[text]),
                    1 => drop(d.insert(at, text % 2 == 0, TEXTS[text])),
                    2 => d.remove(at),
                    3 => d.swap(at),
                    4 => drop(d.cut(at, text)),
                    5 => drop(d.merge(at)),
                    _ => d.turn(at),
                }
                d.settle();
                let again = Document::parse(&d.print());
                let cells = |d: &Document| -> Vec<(bool, String)> {
                    d.cells().iter().map(|c| (c.is_text(), c.source())).collect()
                };
                prop_assert_eq!(cells(&again), cells(&d), "{:?} at {}", what, at);
            }
        }
    }
}
