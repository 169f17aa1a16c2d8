//! The list of completions below the line.
//!
//! The line editor would write it over the hint and then erase as many rows above its line as the
//! hint has below, which are those of the list. Here the hint is erased first, and room is made for
//! the rows that the editor erases.

use crate::render::text::{cut, width};

/// Columns between two completions.
const GAP: usize = 2;

/// A completion of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Text in the list: `invert — find the code of a picture`.
    pub display: String,
    /// Text that is inserted.
    pub replacement: String,
}

impl rustyline::completion::Candidate for Candidate {
    fn display(&self) -> &str {
        &self.display
    }

    fn replacement(&self) -> &str {
        &self.replacement
    }
}

/// The size of the terminal and of what is drawn on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Columns of the terminal.
    pub(super) columns: usize,
    /// Rows of the terminal.
    pub(super) rows: usize,
    /// Rows of the typed line beyond the first.
    pub(super) wrapped: usize,
    /// Rows of the hint below the line.
    pub(super) hint: usize,
}

/// The longest beginning that all replacements share.
pub(super) fn common(all: &[Candidate]) -> String {
    let mut words = all.iter().map(|c| c.replacement.as_str());
    let first = words.next().unwrap_or_default();
    let shared = |a: &str, b: &str| {
        let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y);
        same.map(|(c, _)| c.len_utf8()).sum::<usize>()
    };
    let length = words.fold(first.len(), |n, word| n.min(shared(first, word)));
    first[..length].to_owned()
}

/// The bytes that list the completions below the line, with the cursor at the end of the text. They
/// leave the cursor where the editor draws its line again.
pub(super) fn bytes(all: &[Candidate], room: Room) -> String {
    let mut out = String::from("\x1b[J");
    for line in lines(all, room.columns, room.rows.saturating_sub(room.hint + 2).max(1)) {
        out.push_str("\r\n");
        out.push_str(&line);
    }
    out.push_str(&"\r\n".repeat(1 + room.wrapped));
    if room.hint > 0 {
        out.push_str(&"\r\n".repeat(room.hint));
        out.push_str(&format!("\x1b[{}A", room.hint));
    }
    out
}

/// The completions in columns, down and then across; what is more than `most` rows is counted.
fn lines(all: &[Candidate], columns: usize, most: usize) -> Vec<String> {
    let widest = all.iter().map(|c| width(&c.display)).max().unwrap_or(0);
    let across = ((columns + GAP) / (widest + GAP)).max(1);
    let rows = all.len().div_ceil(across);
    let (shown, left) = if rows > most {
        let shown = (most.saturating_sub(1)).max(1) * across;
        (&all[..shown.min(all.len())], all.len().saturating_sub(shown))
    } else {
        (all, 0)
    };
    let rows = shown.len().div_ceil(across);
    let mut lines: Vec<String> = (0..rows)
        .map(|row| {
            let cells = (0..across).filter_map(|k| shown.get(k * rows + row));
            let padded = cells.map(|c| {
                let pad = (widest + GAP).saturating_sub(width(&c.display));
                format!("{}{}", c.display, " ".repeat(pad))
            });
            cut(padded.collect::<String>().trim_end(), columns)
        })
        .collect();
    if left > 0 {
        lines.push(cut(&format!("… {left} more: type a letter"), columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Vec<Candidate> {
        let one = |w: &&str| Candidate { display: (*w).into(), replacement: (*w).into() };
        words.iter().map(one).collect()
    }

    #[test]
    fn columns_are_filled_downwards() {
        assert_eq!(lines(&all(&["aa", "b", "cc", "d", "e"]), 9, 9), ["aa  d", "b   e", "cc"]);
        assert_eq!(lines(&all(&["a long text", "b"]), 12, 9), ["a long text", "b"]);
        assert_eq!(lines(&all(&["a long text"]), 6, 9), ["a lon…"]);
        let many: Vec<String> = (0..50).map(|i| format!("word number {i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shown = lines(&all(&many), 20, 8);
        assert!(shown.len() == 8 && shown[7].starts_with("… 43 more"), "{shown:?}");
        for columns in 1..40 {
            assert!(lines(&all(&many), columns, 8).iter().all(|l| width(l) <= columns.max(1)));
        }
    }

    #[test]
    fn the_beginning_that_all_share() {
        assert_eq!(common(&all(&["strip(", "strength"])), "str");
        assert_eq!(common(&all(&["äb", "äc"])), "ä");
        assert_eq!(common(&all(&["a", "b"])), "");
    }

    #[test]
    fn room_is_made_for_the_hint() {
        let room = Room { columns: 80, rows: 24, wrapped: 1, hint: 2 };
        let bytes = bytes(&all(&["a", "b"]), room);
        assert!(
            bytes.starts_with("\x1b[J\r\na  b\r\n\r\n") && bytes.ends_with("\x1b[2A"),
            "{bytes:?}"
        );
        assert_eq!(bytes.matches("\r\n").count(), 1 + 2 + 2);
    }
}
