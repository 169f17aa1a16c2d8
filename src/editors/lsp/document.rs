//! An open document: its text, and places in it as editors count them.

use crate::error::{Result, Span};
use crate::eval::State;
use crate::lang::import::Imports;
use crate::lang::span::Source;
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// An open document.
pub(super) struct Document {
    /// Its source, or the reason why its text cannot be one.
    pub(super) source: Result<Source>,
    /// The version that the editor gave it.
    pub(super) version: Json,
    /// Location of the files that it imports.
    imports: Imports,
    /// First byte of every line.
    lines: Vec<usize>,
}

impl Document {
    pub(super) fn new(uri: &str, version: Json, text: &str) -> Self {
        let source = Source::new(name(uri), text);
        let lines = source.as_ref().map_or_else(|_| vec![0], |s| starts(s.text()));
        let imports = path(uri).map_or_else(Imports::default, |p| Imports::beside(&p));
        Self { source, version, imports, lines }
    }

    /// The session in which it is checked.
    pub(super) fn session(&self, state: &State) -> State {
        let mut session = state.clone();
        session.options.imports.clone_from(&self.imports);
        session
    }

    /// The text; empty for one that is refused.
    pub(super) fn text(&self) -> &str {
        self.source.as_ref().map_or("", Source::text)
    }

    /// The byte of a position: a line and UTF-16 units in it, both from 0. What lies outside the
    /// text counts as the nearest place in it.
    pub(super) fn byte(&self, position: &Json) -> usize {
        let number = |key: &str| {
            let n = position[key].as_u64().unwrap_or(0);
            usize::try_from(n).unwrap_or(usize::MAX)
        };
        let (line, units) = (number("line"), number("character"));
        let Some(&start) = self.lines.get(line) else { return self.text().len() };
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text().len());
        let text = self.text().get(start..end).unwrap_or_default().trim_end_matches(['\r', '\n']);
        let mut at = 0;
        for (i, c) in text.char_indices() {
            if at + c.len_utf16() > units {
                return start + i;
            }
            at += c.len_utf16();
        }
        start + text.len()
    }

    /// The position of a byte.
    pub(super) fn position(&self, byte: usize) -> Json {
        let line = self.lines.partition_point(|&start| start <= byte).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let before = self.text().get(start..byte.min(self.text().len())).unwrap_or_default();
        json!({"line": line, "character": before.encode_utf16().count()})
    }

    /// The range of a span.
    pub(super) fn range(&self, span: Span) -> Json {
        json!({"start": self.position(span.start), "end": self.position(span.end)})
    }
}

/// First byte of every line. Lines end in `\n`, `\r\n` or `\r`.
fn starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = (0..bytes.len()).filter(|&i| match bytes[i] {
        b'\n' => true,
        b'\r' => bytes.get(i + 1) != Some(&b'\n'),
        _ => false,
    });
    std::iter::once(0).chain(ends.map(|i| i + 1)).collect()
}

/// The name of a document in messages: the path of a `file:` URI, else the URI.
fn name(uri: &str) -> String {
    path(uri).map_or_else(|| uri.to_owned(), |p| p.to_string_lossy().into_owned())
}

/// The path of a `file:` URI.
pub(super) fn path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // A host is left out: a server and its files are on one machine.
    let encoded = &rest[rest.find('/')?..];
    let (mut bytes, mut rest) = (Vec::with_capacity(encoded.len()), encoded.as_bytes());
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let escaped = digits.filter(|_| *first == b'%');
        match escaped.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u64, character: u64) -> Json {
        json!({"line": line, "character": character})
    }

    #[test]
    fn places_are_counted_in_utf_16() {
        let document = Document::new("file:///a%20b/c.gnt", json!(1), "ab\r\nä😀x\r\n\ny");
        assert_eq!(document.source.as_ref().unwrap().name(), "/a b/c.gnt");
        for (position, byte) in [
            (at(0, 0), 0),
            (at(0, 2), 2),
            (at(1, 0), 4),
            (at(1, 1), 6),
            (at(1, 3), 10),
            (at(3, 1), 15),
        ] {
            assert_eq!(document.byte(&position), byte, "{position}");
            assert_eq!(document.position(byte), position);
        }
        // Within a pair of surrogates, beyond a line, beyond the text, and no position at all.
        for (position, byte) in [
            (at(1, 2), 6),
            (at(0, 9), 2),
            (at(2, 7), 13),
            (at(u64::MAX, u64::MAX), 15),
            (json!({"line": -1}), 0),
            (json!("x"), 0),
        ] {
            assert_eq!(document.byte(&position), byte, "{position}");
        }
        assert_eq!(document.position(usize::MAX), at(3, 1));
    }

    #[test]
    fn uris_become_paths() {
        for (uri, want) in [
            ("file:///data%2Fx/%C3%A4.gnt", Some("/data/x/ä.gnt")),
            ("file://host/a", Some("/a")),
            ("file:///a%", Some("/a%")),
            ("file:///a%zz", Some("/a%zz")),
            ("file://", None),
            ("untitled:Untitled-1", None),
        ] {
            assert_eq!(path(uri), want.map(PathBuf::from), "{uri}");
        }
        let big = " ".repeat(crate::limits::LIMITS.source_bytes + 1);
        let document = Document::new("untitled:1", json!(0), &big);
        assert!(document.source.is_err() && document.text().is_empty());
        assert_eq!(document.byte(&at(0, 5)), 0);
    }
}
