//! Text in place of pictures, and text layout: descriptions, wrapping, cutting.

use super::sink::{ImageSink, unwritten};
use crate::error::Result;
use crate::image::Raster;
use crate::safe::Safe;
use std::io::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Describes a picture: `[picture 64×64 rgb, mean #8a7060]`. The mean is over its pixels, with
/// alpha over white.
pub fn describe(picture: &Raster) -> Result<String> {
    let rgb = picture.converted(3)?.0;
    let pixels = (rgb.width * rgb.height) as u64;
    let mean = |c: usize| {
        let sum: u64 = rgb.data.iter().skip(c).step_by(3).map(|&v| u64::from(v)).sum();
        (sum + pixels / 2) / pixels
    };
    let (w, h, mode) = (picture.width, picture.height, picture.mode());
    Ok(format!("[picture {w}×{h} {mode}, mean #{:02x}{:02x}{:02x}]", mean(0), mean(1), mean(2)))
}

/// The text that replaces a picture: `[picture 64×64 rgb: a woman of about 40, smiling]`, or as
/// [`describe`] where there are no words for it.
///
/// # Errors
/// When the picture cannot be read.
pub fn described(picture: &Raster, words: &str) -> Result<String> {
    if words.is_empty() {
        return describe(picture);
    }
    let (w, h, mode) = (picture.width, picture.height, picture.mode());
    Ok(format!("[picture {w}×{h} {mode}: {}]", printable(words)))
}

/// The sink for terminals without pictures: it describes them.
pub struct Described;

impl ImageSink for Described {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, _: (u16, u16)) -> Result<()> {
        write!(out, "{}", describe(picture)?).map_err(unwritten)
    }

    fn cells(&self, _: &Raster, room: (u16, u16)) -> (u16, u16) {
        (room.0.max(1), 1)
    }

    fn columns(&self, _: &Raster) -> (u16, u16) {
        (1, 80)
    }

    fn is_text(&self) -> bool {
        true
    }
}

/// Text from outside as one printable line, with escapes shown and tabs and line ends as spaces.
pub fn printable(text: &str) -> String {
    Safe(text).to_string().replace(['\n', '\t'], " ")
}

/// Width of printable text in columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to `columns` columns; an ellipsis marks the cut.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_string();
    }
    let (kept, _) = take(text, columns.saturating_sub(1));
    format!("{kept}{}", if columns > 0 { "…" } else { "" })
}

/// The longest beginning of the text that fits, and the rest.
fn take(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    let fits = |(_, c): &(usize, char)| {
        used += c.width().unwrap_or(0);
        used > columns
    };
    let at = text.char_indices().find(fits).map_or(text.len(), |(i, _)| i);
    text.split_at(at)
}

/// Wraps text to lines of at most `columns` columns, at spaces where possible. Continuation lines
/// keep the indent.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(4);
    let mut lines = Vec::new();
    for line in Safe(text).to_string().replace('\t', "    ").split('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let indent = " ".repeat(indent.min(columns / 2));
        let mut rest = line.to_string();
        while rest.width() > columns {
            let (head, _) = take(&rest, columns);
            // Breaks at a space right after the head, else at the last space inside it, else in the
            // middle of a word.
            let whole = rest[head.len()..].starts_with(' ');
            let space = head.rfind(' ').filter(|&at| !head[..at].trim().is_empty());
            let at = if whole { head.len() } else { space.unwrap_or(head.len()) };
            let tail = rest.split_off(at.max(rest.chars().next().map_or(1, char::len_utf8)));
            lines.push(
                std::mem::replace(&mut rest, format!("{indent}{}", tail.trim_start()))
                    .trim_end()
                    .to_string(),
            );
        }
        lines.push(rest);
    }
    lines
}

/// The text of a constant without the line breaks of its source.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Wraps text to indented lines of at most `columns` columns, indent included.
pub fn indented(text: &str, indent: usize, columns: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    wrap(&one_line(text), columns.saturating_sub(indent))
        .into_iter()
        .map(|l| format!("{blank}{l}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn described() {
        let p = Raster::new(2, 1, 3, vec![0x8a, 0x70, 0x60, 0x8a, 0x70, 0x60]).unwrap();
        assert_eq!(describe(&p).unwrap(), "[picture 2×1 rgb, mean #8a7060]");
        let clear = Raster::filled(1, 1, &[0, 0, 0, 0]).unwrap();
        assert_eq!(describe(&clear).unwrap(), "[picture 1×1 rgba, mean #ffffff]");
    }

    #[test]
    fn wrapped_and_cut() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("  abcdefghij", 6), ["  abcd", "  efgh", "  ij"]);
        assert_eq!(wrap("顔顔顔顔", 5), ["顔顔", "顔顔"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("\u{1b}[2J", 80), ["\\u{1b}[2J"]);
        assert_eq!(
            (cut("abcdef", 4), cut("abcd", 4), cut("abc", 0)),
            ("abc…".into(), "abcd".into(), String::new())
        );
        assert_eq!(printable("a\nb\u{7}"), "a b\\u{7}");
    }

    #[test]
    fn nothing_is_ever_too_wide_or_lost() {
        let text = "offsets from W: 0.31 σ (edits stay safe below 0.5) · 顔 :details for losses and \
                    the ladder";
        for columns in 4..90 {
            let lines = wrap(text, columns);
            assert!(lines.iter().all(|l| l.width() <= columns), "{columns}: {lines:?}");
            let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text));
        }
    }
}
