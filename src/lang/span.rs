//! Source texts, and errors shown on them.

use crate::error::{Elsewhere, Error, Kind, Result, Span};
use crate::limits::LIMITS;
use crate::safe::{Safe, is_safe};
use codespan_reporting::diagnostic::{Diagnostic, Label};
use codespan_reporting::files::{self, Files};
use codespan_reporting::term::termcolor::{Ansi, Color, ColorSpec, NoColor, WriteColor};
use codespan_reporting::term::{self, Config};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// A source text with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: Arc<str>,
}

impl Source {
    /// A source text; refused when it is larger than [`crate::limits::Limits::source_bytes`].
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Result<Self> {
        let (name, text): (String, String) = (name.into(), text.into());
        if text.len() > LIMITS.source_bytes {
            let message = format!(
                "{}: {} bytes, but a source has at most {}",
                Safe(&name),
                text.len(),
                LIMITS.source_bytes
            );
            return Err(Error::new(Kind::Limit, message).hint("split it into several scripts"));
        }
        Ok(Self { name, text: text.into() })
    }

    /// The error with its places in this text, which a program imports at `from`.
    pub fn holds(&self, error: Error, from: Span) -> Error {
        error.within(&self.name, &self.text, from)
    }

    /// `lib.gnt:3:12`: name, line and column of a byte.
    pub fn named_location(&self, byte: usize) -> String {
        let (line, column) = self.location(byte);
        format!("{}:{line}:{column}", self.name)
    }

    /// The file's name, or a label in its place (`[3]` at the prompt).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span; what lies outside the source is left out.
    pub fn slice(&self, span: Span) -> &str {
        let (start, end) = (floor(&self.text, span.start), floor(&self.text, span.end));
        &self.text[start..end.max(start)]
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn location(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, byte)];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

/// The last character boundary at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Shows an error and the others of its pass: message, line, underlined span, labels, notes, and
/// `try:` with the repair. Ends in a newline. Text from outside comes out as [`crate::safe`] allows it, and underlines stay
/// below what they mean. An error in an imported file is shown on that file.
pub fn render(source: &Source, error: &Error, colour: bool) -> String {
    fitted(source, error, colour, usize::MAX)
}

/// As [`render`], with notes and repairs in lines of at most `columns` columns where their words
/// allow it.
pub fn fitted(source: &Source, error: &Error, colour: bool, columns: usize) -> String {
    let how = How { colour, columns };
    let own: Vec<&Error> = error.iter().filter(|e| e.elsewhere().is_none()).collect();
    let shown = Shown::new(source, &skipped(source, &own));
    let block = |e: &Error| match e.elsewhere() {
        None => shown.render(e, how),
        Some(file) => imported(file, source, e, how),
    };
    let blocks: Vec<String> = error.iter().map(block).collect();
    blocks.join("\n")
}

/// An error on the imported file that it is in.
fn imported(file: &Elsewhere, importer: &Source, error: &Error, how: How) -> String {
    let source = Source { name: file.name.clone(), text: file.text.clone() };
    let at = importer.named_location(file.from.start);
    let error = error.clone().note(format!("imported at {at}"));
    Shown::new(&source, &skipped(&source, &[&error])).render(&error, how)
}

/// How errors are shown.
#[derive(Clone, Copy)]
struct How {
    colour: bool,
    /// Columns of the notes and the repair.
    columns: usize,
}

/// A text with line breaks at blanks, so that its lines have at most `columns` characters where
/// its words allow it.
fn folded(text: &str, columns: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        out.push_str(if i > 0 { "\n" } else { "" });
        let mut used = 0;
        for (k, word) in line.split(' ').enumerate() {
            let wide = word.chars().count();
            if k > 0 && used + 1 + wide > columns && used > 0 {
                out.push('\n');
                used = 0;
            } else if k > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += wide;
        }
    }
    out
}

/// Bytes of a line from which only the parts around errors are shown.
const LONG: usize = 240;
/// Bytes that are shown on either side of the beginning and the end of a span in such a line.
const AROUND: usize = 50;

/// The parts of long lines that are far from every span of the errors.
fn skipped(source: &Source, errors: &[&Error]) -> Vec<Range<usize>> {
    let spans = errors.iter().flat_map(|e| {
        let others = e.labels().iter().map(|l| l.span);
        e.span().into_iter().chain(others).collect::<Vec<_>>()
    });
    let places: Vec<usize> = spans.flat_map(|s| [s.start, s.end]).collect();
    let mut all = Vec::new();
    let mut from = 0;
    for line in source.text.split_inclusive('\n') {
        let (start, end) = (from, from + line.trim_end().len());
        from += line.len();
        if end - start <= LONG {
            continue;
        }
        let mut kept: Vec<usize> =
            places.iter().copied().filter(|p| (start..=end).contains(p)).collect();
        kept.sort_unstable();
        let mut shown = start + AROUND;
        for place in kept.into_iter().chain([usize::MAX]) {
            let next = place.saturating_sub(AROUND).min(end);
            if next > shown + 1 {
                all.push(floor(&source.text, shown)..floor(&source.text, next));
            }
            shown = shown.max(place.saturating_add(AROUND));
        }
    }
    all.retain(|r| !r.is_empty());
    all
}

/// A source as displayed: unsafe characters are escaped, parts of long lines are left out, and byte
/// offsets are mapped to the displayed ones.
struct Shown<'a> {
    source: &'a Source,
    name: String,
    text: String,
    /// Byte in the source → byte in `text`, at every place where the difference changes.
    moved: Vec<(usize, usize)>,
    lines: Vec<usize>,
}

impl<'a> Shown<'a> {
    fn new(source: &'a Source, skipped: &[Range<usize>]) -> Self {
        let (mut text, mut moved) = (String::with_capacity(source.text.len()), vec![(0, 0)]);
        let mut skipped = skipped.iter().peekable();
        for (i, c) in source.text.char_indices() {
            if let Some(part) = skipped.peek().filter(|part| i >= part.start) {
                if i == part.start {
                    text.push('…');
                }
                if i + c.len_utf8() >= part.end {
                    moved.push((i + c.len_utf8(), text.len()));
                    skipped.next();
                }
                continue;
            }
            if is_safe(c) {
                text.push(c);
                continue;
            }
            // The carriage return of a Windows line end is expected and not shown.
            if !(c == '\r' && source.text[i + 1..].starts_with('\n')) {
                let _ = write!(text, "{}", Safe(c.encode_utf8(&mut [0; 4])));
            }
            moved.push((i + c.len_utf8(), text.len()));
        }
        let lines = files::line_starts(&text).collect();
        Self { source, name: Safe(&source.name).to_string(), text, moved, lines }
    }

    fn place(&self, byte: usize) -> usize {
        let byte = floor(&self.source.text, byte);
        let (from, to) = self.moved[self.moved.partition_point(|m| m.0 <= byte).saturating_sub(1)];
        // Within an escaped character only its first byte is looked up, so plain addition is right.
        floor(&self.text, to + (byte - from))
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.place(span.start);
        start..self.place(span.end).max(start)
    }

    fn render(&self, error: &Error, how: How) -> String {
        let How { colour, columns } = how;
        let text = if colour {
            let mut out = Ansi::new(Vec::new());
            self.write(error, columns, &mut out);
            out.into_inner()
        } else {
            let mut out = NoColor::new(Vec::new());
            self.write(error, columns, &mut out);
            out.into_inner()
        };
        let text = compact(&String::from_utf8_lossy(&text));
        let Some(repair) = error.repair() else { return text };
        let margin = margin(&text);
        let word = if colour { "\u{1b}[1m\u{1b}[32mtry:\u{1b}[0m" } else { "try:" };
        let room = columns.saturating_sub(margin.len() + "try: ".len());
        let repair =
            folded(&Safe(repair).to_string(), room).replace('\n', &format!("\n{margin}     "));
        format!("{text}{margin}{word} {repair}\n")
    }

    fn write(&self, error: &Error, columns: usize, out: &mut dyn WriteColor) {
        let result = if error.span().is_some() {
            let diagnostic = self.diagnostic(error, columns);
            term::emit_to_write_style(out, &Config::default(), self, &diagnostic)
                .map_err(|e| e.to_string())
        } else {
            write_plain(error, columns, out).map_err(|e| e.to_string())
        };
        // Writing into memory does not fail; if the layout ever did, the message must still arrive.
        if let Err(e) = result {
            let _ = writeln!(out, "error: {} ({e})", Safe(&error.to_string()));
        }
    }

    fn diagnostic(&self, error: &Error, columns: usize) -> Diagnostic<()> {
        let line = self.line_index((), self.place(error.span().unwrap_or_default().start));
        let digits = (line.unwrap_or_default() + 1).to_string().len();
        let room = columns.saturating_sub(digits + " = ".len() + 1);
        let primary = Label::primary((), self.range(error.span().unwrap_or_default()))
            .with_message(Safe(error.span_text()).to_string());
        let others = error.labels().iter().map(|l| {
            Label::secondary((), self.range(l.span)).with_message(Safe(&l.text).to_string())
        });
        Diagnostic::error()
            .with_message(Safe(error.message()))
            .with_labels(std::iter::once(primary).chain(others).collect())
            .with_notes(error.notes().iter().map(|n| folded(&Safe(n).to_string(), room)).collect())
    }
}

/// Writes an error without a position in a source: one line, then notes.
fn write_plain(error: &Error, columns: usize, out: &mut dyn WriteColor) -> std::io::Result<()> {
    out.set_color(ColorSpec::new().set_bold(true).set_intense(true).set_fg(Some(Color::Red)))?;
    write!(out, "error")?;
    out.reset()?;
    writeln!(out, ": {}", Safe(error.message()))?;
    let room = columns.saturating_sub("  = ".len());
    error.notes().iter().try_for_each(|n| {
        writeln!(out, "  = {}", folded(&Safe(n).to_string(), room).replace('\n', "\n    "))
    })
}

/// Removes the lines that contain only the border.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let bare = without_colour(line);
        if !matches!(bare.trim(), "" | "│") {
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

/// Blanks before the frame's corner; two if there is no frame.
fn margin(text: &str) -> String {
    let width = text.lines().map(without_colour).find_map(|l| {
        let rest = l.trim_start();
        rest.starts_with("┌─").then(|| l.len() - rest.len())
    });
    " ".repeat(width.unwrap_or(2))
}

/// A line without the colour sequences that this module itself wrote; text from outside holds none.
fn without_colour(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    out + rest
}

impl<'f> Files<'f> for Shown<'_> {
    type FileId = ();
    type Name = &'f str;
    type Source = &'f str;

    fn name(&'f self, (): ()) -> Result<Self::Name, files::Error> {
        Ok(&self.name)
    }

    fn source(&'f self, (): ()) -> Result<Self::Source, files::Error> {
        Ok(&self.text)
    }

    fn column_number(&'f self, (): (), _line: usize, byte: usize) -> Result<usize, files::Error> {
        // The column in the source, where parts of the line may be left out.
        let at = self.moved.partition_point(|m| m.1 <= byte).saturating_sub(1);
        let (from, to) = self.moved[at];
        Ok(self.source.location(from + (byte - to)).1)
    }

    fn line_index(&'f self, (): (), byte: usize) -> Result<usize, files::Error> {
        Ok(self.lines.partition_point(|&start| start <= byte).saturating_sub(1))
    }

    fn line_range(&'f self, (): (), line: usize) -> Result<Range<usize>, files::Error> {
        let max = self.lines.len().saturating_sub(1);
        let start = *self.lines.get(line).ok_or(files::Error::LineTooLarge { given: line, max })?;
        Ok(start..self.lines.get(line + 1).copied().unwrap_or(self.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("edit.gnt", text).unwrap()
    }

    #[test]
    fn an_error_looks_as_on_the_screen() {
        let text = "x = 1\n\n\nshow w + 2*old\n";
        let e = Error::check("cannot add a Z direction to a W+ code")
            .at(Span::new(19, 22))
            .found("direction in Z of stylegan2-ffhq (ab12…)")
            .label(Span::new(13, 14), "W+ code of faces (77f0…)")
            .note("these belong to different generators as well: faces and stylegan2-ffhq")
            .hint("direction(\"age\") from faces");
        let expected = "\
error: cannot add a Z direction to a W+ code
  ┌─ edit.gnt:4:12
4 │ show w + 2*old
  │      -     ^^^ direction in Z of stylegan2-ffhq (ab12…)
  │      │
  │      W+ code of faces (77f0…)
  = these belong to different generators as well: faces and stylegan2-ffhq
  try: direction(\"age\") from faces
";
        assert_eq!(render(&source(text), &e, false), expected);
        let coloured = render(&source(text), &e, true);
        assert!(
            coloured.contains("\u{1b}[") && coloured.lines().count() == expected.lines().count()
        );
        assert_eq!(
            coloured.lines().map(without_colour).collect::<Vec<_>>().join("\n") + "\n",
            expected
        );
    }

    #[test]
    fn of_a_long_line_the_part_around_the_error_is_shown() {
        let text = format!("a = 1\nshow {} + bad + {}\n", "w + ".repeat(800), "w + ".repeat(800));
        let at = text.find("bad").unwrap();
        let e = Error::check("wrong").at(Span::new(at, at + 3)).label(Span::new(6, 10), "here");
        let shown = render(&source(&text), &e, false);
        assert!(shown.lines().all(|l| l.chars().count() < 300), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].ends_with(&format!("edit.gnt:2:{}", at - 5)), "{shown}");
        let column = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
        let line = lines.iter().position(|l| l.contains("bad")).unwrap();
        assert_eq!(column(lines[line], "bad"), column(lines[line + 1], "^^^"), "{shown}");
        assert_eq!(lines[line].matches('…').count(), 2, "{shown}");
    }

    #[test]
    fn control_characters_do_not_move_the_underline() {
        let text = "a = \"\u{1b}[2J\u{202e}\" + bad\r\nb = 2\r\n";
        let start = text.find("bad").unwrap();
        let e = Error::check("x").at(Span::new(start, start + 3));
        let shown = render(&source(text), &e, false);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(shown.chars().all(is_safe), "{shown}");
        assert_eq!(lines[2], "1 │ a = \"\\u{1b}[2J\\u{202e}\" + bad");
        let column = |line: &str, what: &str| line[..line.find(what).unwrap()].chars().count();
        assert_eq!(column(lines[2], "bad"), column(lines[3], "^^^"));
    }

    #[test]
    fn names_and_messages_from_outside_are_shown_safely() {
        let s = Source::new("\u{1b}]0;x\u{7}.gnt", "a").unwrap();
        let evil = "\u{1b}[31m";
        let placed = Error::check(evil)
            .at(Span::new(0, 1))
            .found(evil)
            .label(Span::new(0, 1), evil)
            .note(evil);
        for e in [placed.hint(evil), Error::check(evil).note(evil).hint(evil)] {
            let shown = render(&s, &e, false);
            assert!(shown.chars().all(is_safe), "{shown:?}");
        }
    }

    #[test]
    fn an_error_without_a_place_is_one_line_and_its_repair() {
        let e = Error::runtime("no file a.png").hint("b.png");
        assert_eq!(render(&source(""), &e, false), "error: no file a.png\n  try: b.png\n");
    }

    #[test]
    fn notes_and_repairs_are_folded_at_blanks_where_the_screen_is_narrow() {
        let words = "one two three four five six seven eight nine ten";
        let placed = Error::check("m").at(Span::new(0, 1)).note(words).hint(words);
        for (error, columns) in
            [(placed.clone(), 20), (Error::check("m").note(words).hint(words), 24)]
        {
            let shown = fitted(&source("w"), &error, false, columns);
            assert!(shown.lines().all(|l| l.chars().count() <= columns), "{shown}");
            let said: Vec<&str> = shown.split_whitespace().collect();
            assert!(said.join(" ").matches(words).count() == 2, "{shown}");
        }
        // A path is never cut.
        let long = "x".repeat(50);
        assert!(
            fitted(&source("w"), &Error::check("m").hint(long.clone()), false, 20).contains(&long)
        );
        assert_eq!(
            fitted(&source("w"), &placed, false, usize::MAX),
            render(&source("w"), &placed, false)
        );
    }

    #[test]
    fn several_errors_are_blocks_with_a_blank_line_between() {
        let e =
            Error::check("one").at(Span::new(0, 1)).and(Error::check("two").at(Span::new(2, 3)));
        let shown = render(&source("a b"), &e, false);
        assert_eq!(shown.split("\n\n").count(), 2);
        assert!(shown.starts_with("error: one\n") && shown.contains("\n\nerror: two\n"));
    }

    #[test]
    fn spans_that_lie_outside_never_panic() {
        for text in ["", "ä", "ä\n", "\r\n\u{1b}"] {
            for (a, b) in [(0, 0), (0, 9), (1, 1), (1, 2), (5, 1), (3, 3), (usize::MAX, usize::MAX)]
            {
                let shown = render(&source(text), &Error::check("x").at(Span::new(a, b)), false);
                assert!(shown.starts_with("error: x\n"), "{shown}");
            }
        }
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let s = source("ab\nä!x\n");
        assert_eq!(
            [0, 2, 3, 5, 6, 99].map(|b| s.location(b)),
            [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)]
        );
        assert_eq!(s.slice(Span::new(3, 6)), "ä!");
    }

    #[test]
    fn a_source_too_large_is_refused() {
        assert_eq!(
            Source::new("x", " ".repeat(LIMITS.source_bytes + 1)).unwrap_err().kind(),
            Kind::Limit
        );
        assert!(Source::new("x", " ".repeat(LIMITS.source_bytes)).is_ok());
    }
}
