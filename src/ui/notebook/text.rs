//! Places in a text: graphemes, words, lines and columns. All places are bytes at the edge of a
//! grapheme.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};
use unicode_width::UnicodeWidthStr;

/// The place after the grapheme at `at`.
pub(super) fn after(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.next_boundary(text, 0).ok().flatten().unwrap_or(text.len())
}

/// The place before the grapheme that ends at `at`.
pub(super) fn before(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0)
}

/// The nearest place at or before a byte.
pub(super) fn snap(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let cursor = |at| GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0);
    if cursor(at).unwrap_or(true) { at } else { before(text, at) }
}

/// Kind of a character for words: blank, part of a name, other.
fn kind(c: char) -> u8 {
    match c {
        c if c.is_whitespace() => 0,
        c if c.is_alphanumeric() || c == '_' => 1,
        _ => 2,
    }
}

/// The beginning of the next word.
pub(super) fn next_word(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let Some(first) = rest.chars().next().map(kind) else { return at };
    let word = rest.find(|c| kind(c) != first || first == 0).unwrap_or(rest.len());
    let blank = rest[word..].find(|c: char| kind(c) != 0).unwrap_or(rest.len() - word);
    at + word + blank
}

/// The end of the word at or after a place: its last character.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let from = after(text, at).min(text.len());
    let blank = text[from..].find(|c: char| kind(c) != 0).map_or(text.len(), |n| from + n);
    let Some(first) = text[blank..].chars().next().map(kind) else { return text.len() };
    let end = text[blank..].find(|c| kind(c) != first).map_or(text.len(), |n| blank + n);
    before(text, end)
}

/// The beginning of the word before a place.
pub(super) fn word_before(text: &str, at: usize) -> usize {
    let head = text[..at].trim_end_matches(|c: char| kind(c) == 0);
    let Some(last) = head.chars().next_back().map(kind) else { return 0 };
    head.rfind(|c| kind(c) != last)
        .map_or(0, |n| n + head[n..].chars().next().map_or(0, char::len_utf8))
}

/// The beginning of the line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

/// The end of the line, before its newline.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// Width of a grapheme in columns: a tab is four wide, what cannot be shown one.
pub(super) fn columns(grapheme: &str) -> usize {
    match grapheme {
        "\t" => 4,
        g => g.width().max(1),
    }
}

/// The column of a place in its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].graphemes(true).map(columns).sum()
}

/// The place in the line that begins at `start` whose column is at most `wanted`.
pub(super) fn at_column(text: &str, start: usize, wanted: usize) -> usize {
    let (mut at, mut column) = (start, 0);
    for grapheme in text[start..line_end(text, start)].graphemes(true) {
        column += columns(grapheme);
        if column > wanted {
            break;
        }
        at += grapheme.len();
    }
    at
}

/// Cuts a line in rows of at most `width` columns; their bytes within the line. At least one row.
pub(super) fn rows(line: &str, width: usize) -> Vec<(usize, usize)> {
    let (mut rows, mut from, mut used) = (Vec::new(), 0, 0);
    for (at, grapheme) in line.grapheme_indices(true) {
        let wide = columns(grapheme);
        if used + wide > width.max(4) {
            rows.push((from, at));
            (from, used) = (at, 0);
        }
        used += wide;
    }
    rows.push((from, line.len()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn graphemes_words_and_columns() {
        let t = "e\u{301}x 顔 = f(ab_1)\nnext";
        assert_eq!((after(t, 0), before(t, 3)), (3, 0));
        assert_eq!(snap(t, 1), 0);
        let mut at = 0;
        let mut words = Vec::new();
        while at < t.len() {
            words.push(&t[at..]);
            at = next_word(t, at);
        }
        let firsts: Vec<char> = words.iter().map(|w| w.chars().next().unwrap()).collect();
        // The accent is a word of its own for `char`s, but no place is inside the grapheme.
        assert_eq!(firsts.iter().filter(|c| "顔=f(a)n".contains(**c)).count(), 7);
        assert_eq!((column(t, 8), at_column(t, 0, 4), at_column(t, 0, 3)), (5, 5, 5));
        assert_eq!(&t[word_before(t, t.len())..], "next");
        assert_eq!(word_end("ab cd", 0), 1);
        assert_eq!(word_end("ab cd", 1), 4);
        assert_eq!(rows("abcdefg", 4), [(0, 4), (4, 7)]);
        assert_eq!(rows("", 9), [(0, 0)]);
    }

    proptest! {
        #[test]
        fn no_place_leaves_the_text(
            text in "[ab \t\né顔e\u{301}_(]{0,20}", byte in 0usize..40, wide in 0usize..9
        ) {
            let at = snap(&text, byte);
            prop_assert!(text.is_char_boundary(at));
            let places = [
                after(&text, at), before(&text, at), next_word(&text, at), word_before(&text, at),
                word_end(&text, at), line_start(&text, at), line_end(&text, at),
                at_column(&text, line_start(&text, at), wide),
            ];
            for to in places {
                prop_assert!(to <= text.len() && text.is_char_boundary(to), "{to}");
            }
            let parts = |line: &str| -> String {
                rows(line, wide).into_iter().map(|(from, to)| &line[from..to]).collect()
            };
            let joined: String = text.lines().map(parts).collect();
            prop_assert_eq!(joined, text.replace('\n', ""));
        }
    }
}
