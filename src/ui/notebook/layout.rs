//! The rows of a cell on the screen.

use super::document::Cell;
use super::outputs::{Piece, Shown};
use super::text;
use crate::render::in_a_row;
use crate::render::text::{printable, wrap};
use crate::ui::full::Canvas;
use crate::words::count;
use std::rc::Rc;

/// Columns before the text of a cell: a bar, its number, and its state.
pub(super) const MARGIN: u16 = 7;
/// Least columns of a picture in a row of several.
const LEAST: usize = 14;
/// Most columns of a picture.
const MOST: usize = 60;
/// Columns between pictures.
const GAP: usize = 1;
/// Rows of a running cell's progress.
pub(super) const PROGRESS: u16 = 5;
/// Rows of a running cell's progress with a preview.
pub(super) const PREVIEW: u16 = 15;

/// How a line of output is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// As text.
    Plain,
    /// As the header of a table.
    Head,
    /// As an error.
    Bad,
    /// As a warning.
    Warn,
}

/// A row of a cell.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// The title of a cell.
    Title(String),
    /// Bytes of the cell's text.
    Source(usize, usize),
    /// A line of output.
    Words(String, Ink),
    /// A row of a band of pictures.
    Band(Rc<Band>, u16),
    /// The captions of a band.
    Captions(Rc<Band>),
    /// A row of the progress of the running cell.
    Live(u16),
    /// What is folded away.
    Folded(String),
}

/// Pictures side by side.
#[derive(Debug)]
pub(super) struct Band {
    /// The pictures, their columns from the left, and their sizes.
    pub(super) all: Vec<(Shown, u16, (u16, u16))>,
    /// Rows without the captions.
    pub(super) rows: u16,
}

/// What a layout is made for.
pub(super) struct Room {
    /// Columns for text and pictures.
    pub(super) columns: u16,
    /// Rows of the screen.
    pub(super) rows: u16,
}

/// The rows of a cell; `output` is what it has shown, `remark` a warning about its text.
pub(super) fn rows(
    cell: &Cell,
    (remark, output): (Option<&str>, &[Piece]),
    live: Option<bool>,
    room: &Room,
    canvas: &Canvas<'_>,
) -> Vec<Row> {
    let mut all = Vec::new();
    let title = cell.title();
    if !title.is_empty() {
        all.push(Row::Title(printable(title)));
    }
    let (mut start, width) = (0, usize::from(room.columns));
    for line in cell.text.split('\n') {
        let rows = text::rows(line, width);
        all.extend(rows.into_iter().map(|(from, to)| Row::Source(start + from, start + to)));
        start += line.len() + 1;
        if cell.folded {
            break;
        }
    }
    if cell.folded {
        let lines = count(cell.text.split('\n').count(), "line");
        let shows = if output.is_empty() { "" } else { ", output" };
        all.push(Row::Folded(format!("⋯ {lines}{shows}")));
        return all;
    }
    words(&mut all, &remark.map(str::to_owned).into_iter().collect::<Vec<_>>(), Ink::Warn, width);
    for piece in output {
        match piece {
            Piece::Text { lines } => words(&mut all, lines, Ink::Plain, width),
            Piece::Error { lines } => words(&mut all, lines, Ink::Bad, width),
            Piece::Table { .. } => table(&mut all, piece.lines(width)),
            Piece::Pictures { all: pictures } if canvas.describes() => {
                let named = |p: &Shown| match p.caption.as_str() {
                    "" => p.words.clone(),
                    caption => format!("{caption}: {}", p.words),
                };
                words(&mut all, &pictures.iter().map(named).collect::<Vec<_>>(), Ink::Plain, width);
            }
            Piece::Pictures { all: pictures } => {
                bands(&mut all, pictures, room, &|pixels, room| canvas.fit_size(pixels, room));
            }
        }
    }
    if let Some(preview) = live {
        let rows = if preview { PREVIEW.min(room.rows / 2).max(PROGRESS) } else { PROGRESS };
        all.extend((0..rows).map(Row::Live));
    }
    all
}

fn words(all: &mut Vec<Row>, lines: &[String], ink: Ink, width: usize) {
    let cut = lines.iter().flat_map(|l| wrap(l, width));
    all.extend(cut.map(|l| Row::Words(l, ink)));
}

/// The lines of a table are never wrapped: the columns stay aligned.
fn table(all: &mut Vec<Row>, lines: Vec<String>) {
    let ink = |k: usize| if k == 0 { Ink::Head } else { Ink::Plain };
    all.extend(lines.into_iter().enumerate().map(|(k, l)| Row::Words(l, ink(k))));
}

/// The size in cells of a picture of so many pixels in a room of columns and rows.
type Fit<'a> = dyn Fn((usize, usize), (u16, u16)) -> (u16, u16) + 'a;

/// A row for each sequence of pictures, or as few even rows as the width allows.
fn bands(all: &mut Vec<Row>, pictures: &[Shown], room: &Room, fit: &Fit<'_>) {
    let (width, n) = (usize::from(room.columns), pictures.len());
    if n == 0 {
        return;
    }
    let most = ((width + GAP) / (LEAST + GAP)).clamp(1, n);
    let captions: Vec<&str> = pictures.iter().map(|p| &p.caption[..]).collect();
    let across = in_a_row(&captions, width).unwrap_or(n.div_ceil(n.div_ceil(most)));
    let each = ((width + GAP) / across).saturating_sub(GAP).clamp(1, MOST);
    let high = (room.rows * 3 / 5).clamp(3, 40);
    for chunk in pictures.chunks(across) {
        let mut band = Band { all: Vec::new(), rows: 0 };
        let mut x = 0;
        for one in chunk {
            let size = fit((one.width, one.height), (each as u16, high));
            band.all.push((one.clone(), x, size));
            band.rows = band.rows.max(size.1);
            // A narrow picture keeps room for its caption.
            x += size.0.max((each as u16).min(LEAST as u16)) + GAP as u16;
        }
        let band = Rc::new(band);
        all.extend((0..band.rows).map(|row| Row::Band(band.clone(), row)));
        if band.all.iter().any(|(one, ..)| !one.caption.is_empty()) {
            all.push(Row::Captions(band));
        }
    }
}

/// The row of a byte of the cell's text, and the column in it.
pub(super) fn place(rows: &[Row], text: &str, at: usize) -> (usize, u16) {
    use unicode_segmentation::UnicodeSegmentation;
    let mut found = (0, 0);
    for (k, row) in rows.iter().enumerate() {
        if let Row::Source(from, to) = row
            && *from <= at
        {
            let before = text.get(*from..at.min(*to)).unwrap_or("");
            let columns: usize = before.graphemes(true).map(text::columns).sum();
            found = (k, columns as u16);
        }
    }
    found
}

/// The byte of the cell's text at a column of a row; `None` for rows without text.
pub(super) fn byte(row: &Row, text: &str, column: u16) -> Option<usize> {
    use unicode_segmentation::UnicodeSegmentation;
    let Row::Source(from, to) = row else { return None };
    let (mut at, mut used) = (*from, 0);
    for grapheme in text.get(*from..*to)?.graphemes(true) {
        used += text::columns(grapheme);
        if used > usize::from(column) {
            break;
        }
        at += grapheme.len();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sink::fit_size;

    #[test]
    fn a_strip_is_one_row_and_other_pictures_have_even_rows() {
        let rows = |columns: u16, n: usize, caption: &dyn Fn(usize) -> String| {
            let one = |i| Shown {
                hash: String::new(),
                width: 128,
                height: 128,
                caption: caption(i),
                words: String::new(),
            };
            let (pictures, mut all) = ((0..n).map(one).collect::<Vec<_>>(), Vec::new());
            let room = Room { columns: columns - MARGIN, rows: 24 };
            bands(&mut all, &pictures, &room, &|pixels, room| fit_size(pixels, (8, 16), room));
            let first = |row: &Row| match row {
                Row::Band(band, 0) => {
                    let (_, x, size) = band.all.last().unwrap();
                    assert!(x + size.0 <= room.columns, "{columns}");
                    Some(band.all.len())
                }
                _ => None,
            };
            all.iter().filter_map(first).collect::<Vec<_>>()
        };
        let strength = |i: usize| format!("{:+}", i as i64 % 7 - 3);
        for columns in [80, 120] {
            assert_eq!(rows(columns, 7, &strength), [7]);
            assert_eq!(rows(columns, 14, &strength), [7, 7]);
        }
        assert_eq!(rows(80, 16, &|_| String::new()), [4; 4]);
        assert_eq!(rows(120, 16, &|_| String::new()), [6, 6, 4]);
    }
}
