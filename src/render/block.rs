//! The parts of a result, independent of layout.
//!
//! A result is a list of blocks. Terminals draw them ([`super::Painter`]), journals keep their text
//! ([`words`]), other programs get them as JSON ([`super::json`]).

use super::chart::Plot;
use super::plot::{number, rounded};
use super::text::{cut, described, indented, printable};
use crate::error::{Error, Result};
use crate::image::Raster;
use crate::lang::span::Source;
use crate::safe::Safe;
use unicode_width::UnicodeWidthStr;

/// A part of a result. Texts may come from outside; drawing escapes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Pictures, from left to right.
    Pictures(Vec<Picture>),
    /// Rows in columns.
    Table(Table),
    /// Numbers drawn.
    Plot(Plot),
    /// Named numbers with units.
    Numbers(Numbers),
    /// Lines of text.
    Text(Vec<String>),
    /// An error on its source.
    Diagnostic(Box<Diagnostic>),
}

/// A picture and its caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The picture.
    pub raster: Raster,
    /// A short text under the picture; may be empty.
    pub caption: String,
    /// The width in columns that is asked for; `None` for the usual one.
    pub columns: Option<u16>,
    /// What it shows, in words; empty where nothing was read in it.
    pub words: String,
    /// What its file is named after when it has no caption; may be empty.
    pub name: String,
}

impl Picture {
    /// A picture of the usual width.
    pub fn new(raster: Raster, caption: impl Into<String>) -> Self {
        let (words, name) = (String::new(), String::new());
        Self { raster, caption: caption.into(), columns: None, words, name }
    }

    /// What its file is named after.
    pub(super) fn file_name(&self) -> &str {
        if self.caption.is_empty() { &self.name } else { &self.caption }
    }

    /// The text that replaces it: `[picture 64×64 rgb: a woman of about 40, smiling]`, or its mean
    /// colour where nothing was read in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn described(&self) -> Result<String> {
        described(&self.raster, &self.words)
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column headers.
    pub columns: Vec<String>,
    /// Rows, with one cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number and its digits after the decimal point.
    Number(f64, usize),
}

/// Named numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// The numbers.
    pub all: Vec<Number>,
    /// Whether each number gets its own line, with four digits and its definition.
    pub defined: bool,
}

/// A named number.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its name.
    pub name: String,
    /// The value, or several values of one kind.
    pub values: Vec<f64>,
    /// Its unit; may be empty.
    pub unit: String,
    /// Its definition.
    pub definition: String,
}

/// An error on its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// The source that its spans refer to.
    pub source: Source,
    /// The error.
    pub error: Error,
}

impl Block {
    /// Lines of text.
    pub fn text(lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Text(lines.into_iter().map(Into::into).collect())
    }

    /// Its pictures; `None` for another block.
    pub fn pictures_mut(&mut self) -> Option<&mut Vec<Picture>> {
        if let Self::Pictures(all) = self { Some(all) } else { None }
    }

    /// The block as lines of any length, without its pictures; a plot takes `COLUMNS`. Texts from
    /// outside are not escaped yet.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Table(table) => table.lines(),
            _ => self.lines_in(COLUMNS),
        }
    }

    /// As [`lines`](Self::lines), with tables and plots in at most `columns` columns.
    pub fn lines_in(&self, columns: usize) -> Vec<String> {
        match self {
            Self::Pictures(_) => Vec::new(),
            Self::Table(table) => table.continued(columns),
            Self::Plot(plot) => plot.lines(columns),
            Self::Numbers(numbers) => numbers.lines(),
            Self::Text(lines) => lines.clone(),
            Self::Diagnostic(d) => crate::lang::span::render(&d.source, &d.error, false)
                .lines()
                .map(Into::into)
                .collect(),
        }
    }
}

/// A result as unwrapped lines of text, for a journal, a log or a screen reader.
///
/// # Errors
/// When a picture cannot be read.
pub fn words(blocks: &[Block]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for block in blocks {
        if let Block::Pictures(all) = block {
            for p in all {
                lines.push(captioned(&p.caption, &p.described()?));
            }
        }
        lines.extend(block.lines().iter().map(|l| printable(l)));
    }
    Ok(lines)
}

/// A picture's caption, followed by the text that replaces the picture.
pub(super) fn captioned(caption: &str, rest: &str) -> String {
    let caption = printable(caption);
    if caption.is_empty() { rest.to_string() } else { format!("{caption}: {rest}") }
}

impl Cell {
    /// The cell as it is shown. A number that its digits would show as 0 has two of its own.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(s) => Safe(s).to_string(),
            Self::Number(v, digits) if vanishes(*v, *digits) => format!("{v:.1e}"),
            Self::Number(v, digits) => format!("{v:.digits$}"),
        }
    }
}

/// Whether a number other than 0 has only zeros among so many digits after the point.
fn vanishes(v: f64, digits: usize) -> bool {
    digits > 0 && v != 0.0 && v.is_finite() && format!("{:.digits$}", v.abs()).parse() == Ok(0f64)
}

/// Columns that a text keeps in a table that is too wide.
const LEAST: usize = 8;
/// Blanks between two columns.
const BETWEEN: usize = 2;

impl Table {
    /// The rows in aligned columns, the header first: text to the left, numbers to the right.
    pub fn lines(&self) -> Vec<String> {
        self.continued(usize::MAX)
    }

    /// As [`Table::lines`], in `width` columns: columns without room are continued below, beside
    /// the first one. Nothing is cut, so lines of long texts stay wider.
    pub fn continued(&self, width: usize) -> Vec<String> {
        let rows = self.shown();
        let widths = self.widths(&rows, usize::MAX);
        self.drawn(&rows, &widths, width)
    }

    /// As [`Table::continued`], in at most `width` columns: the widest texts are cut until the
    /// table fits.
    pub fn fitted(&self, width: usize) -> Vec<String> {
        let rows = self.shown();
        let widths = self.widths(&rows, width);
        self.drawn(&rows, &widths, width).iter().map(|l| cut(l, width)).collect()
    }

    /// The header and the rows as they are shown.
    fn shown(&self) -> Vec<Vec<String>> {
        let header = self.columns.iter().map(|c| Safe(c).to_string()).collect();
        let row = |r: &Vec<Cell>| r.iter().map(Cell::shown).collect();
        std::iter::once(header).chain(self.rows.iter().map(row)).collect()
    }

    fn drawn(&self, rows: &[Vec<String>], widths: &[usize], most: usize) -> Vec<String> {
        let padded = |row: &Vec<String>, k: usize| {
            let text = cut(row.get(k).map_or("", String::as_str), widths[k]);
            let blank = " ".repeat(widths[k].saturating_sub(text.width()));
            if self.is_numeric(k) { blank + &text } else { text + &blank }
        };
        let part = |columns: Vec<usize>| {
            let line = |row: &Vec<String>| {
                let cells: Vec<String> = columns.iter().map(|k| padded(row, *k)).collect();
                cells.join(&" ".repeat(BETWEEN)).trim_end().to_owned()
            };
            rows.iter().map(line).collect::<Vec<_>>()
        };
        let parts: Vec<Vec<String>> = parts(widths, most).into_iter().map(part).collect();
        parts.join(&String::new())
    }

    /// Whether a column has numbers.
    pub fn is_numeric(&self, column: usize) -> bool {
        self.rows.iter().any(|r| matches!(r.get(column), Some(Cell::Number(..))))
    }

    /// The widths of the columns of a table that is to be `most` columns wide.
    fn widths(&self, rows: &[Vec<String>], most: usize) -> Vec<usize> {
        let width = |k: usize| rows.iter().filter_map(|r| r.get(k)).map(|s| s.width()).max();
        let mut widths: Vec<usize> =
            (0..self.columns.len()).map(|k| width(k).unwrap_or(0)).collect();
        let gaps = BETWEEN * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > most {
            let texts = (0..widths.len()).filter(|k| !self.is_numeric(*k) && widths[*k] > LEAST);
            let Some(widest) = texts.max_by_key(|k| widths[*k]) else { break };
            widths[widest] -= 1;
        }
        widths
    }
}

/// The columns that are beside each other; the first one begins every part.
fn parts(widths: &[usize], columns: usize) -> Vec<Vec<usize>> {
    let mut parts = vec![Vec::new()];
    let mut used = 0;
    for (k, width) in widths.iter().enumerate() {
        let full = used + BETWEEN + width > columns;
        if k > 1 && full {
            parts.push(vec![0]);
            used = widths[0];
        }
        if let Some(part) = parts.last_mut() {
            part.push(k);
        }
        used += width + if k > 0 { BETWEEN } else { 0 };
    }
    parts
}

/// Indent of a definition in columns.
const INDENT: usize = 4;
/// Width of lines whose window is not known, and of definitions.
const COLUMNS: usize = 79;

impl Numbers {
    fn lines(&self) -> Vec<String> {
        if self.defined {
            let defined = |n: &Number| {
                let values: Vec<String> = n.values.iter().map(|v| number(*v)).collect();
                let line = format!("{} {} {}", n.name, values.join(" "), n.unit);
                let definition = indented(&n.definition, INDENT, COLUMNS);
                std::iter::once(line.trim_end().to_owned()).chain(definition)
            };
            return self.all.iter().flat_map(defined).collect();
        }
        let brief = |n: &Number| {
            let short = ["psnr", "ssim", "mse", "mae", "rmse"].contains(&n.name.as_str());
            let name = if short { n.name.to_uppercase() } else { n.name.clone() };
            let values: Vec<String> = n.values.iter().map(|v| rounded(*v, &n.unit)).collect();
            format!("{name} {} {}", values.join(" "), n.unit).trim_end().to_owned()
        };
        vec![self.all.iter().map(brief).collect::<Vec<_>>().join(" · ")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_one_line_or_with_their_definitions() {
        let number = |name: &str, values: &[f64], unit: &str| Number {
            name: name.into(),
            values: values.to_vec(),
            unit: unit.into(),
            definition: format!("the {name}"),
        };
        let all = vec![number("psnr", &[29.41], "dB"), number("perceptual", &[0.1094], "")];
        let mut brief = Numbers { all: all.clone(), defined: false };
        assert_eq!(brief.lines(), ["PSNR 29.4 dB · perceptual 0.109"]);
        brief.all.push(number("mse", &[8.96e-5], ""));
        assert_eq!(brief.lines(), ["PSNR 29.4 dB · perceptual 0.109 · MSE 9.0e-5"]);
        let defined = Numbers { all, defined: true };
        let lines = ["psnr 29.41 dB", "    the psnr", "perceptual 0.1094", "    the perceptual"];
        assert_eq!(defined.lines(), lines);
    }

    #[test]
    fn tables_are_aligned() {
        let rows = vec![
            vec![Cell::Text("a".into()), Cell::Number(1.0, 2)],
            vec![Cell::Text("顔b".into()), Cell::Number(-10.0, 2)],
        ];
        let table = Table { columns: vec!["name".into(), "value".into()], rows };
        assert_eq!(table.lines(), ["name   value", "a       1.00", "顔b   -10.00"]);
        let words = Cell::Text("a long remark about it".into());
        let wide = Table {
            columns: vec!["name".into(), "value".into(), "remark".into()],
            rows: vec![vec![Cell::Text("a".into()), Cell::Number(1.0, 2), words]],
        };
        assert_eq!(wide.fitted(26), ["name  value  remark", "a      1.00  a long remar…"]);
        let parts = ["name  va…", "a      1…", "", "name  re…", "a     a …"];
        assert_eq!(wide.fitted(9), parts);
    }

    #[test]
    fn a_small_number_is_not_shown_as_nothing() {
        for (v, digits, wanted) in [
            (1.7e-5, 4, "1.7e-5"),
            (-1.7e-5, 4, "-1.7e-5"),
            (0.00005, 4, "0.0001"),
            (0.0, 4, "0.0000"),
            (0.2, 0, "0"),
            (f64::NAN, 2, "NaN"),
            (41.0, 2, "41.00"),
        ] {
            assert_eq!(Cell::Number(v, digits).shown(), wanted);
        }
    }

    #[test]
    fn a_wide_table_continues_below() {
        let names = ["name", "one", "two", "three"].map(String::from);
        let row = |name: &str| {
            let numbers = [1.0, -2.0, 3.0].map(|v| Cell::Number(v, 2));
            std::iter::once(Cell::Text(name.into())).chain(numbers).collect()
        };
        let table = Table { columns: names.to_vec(), rows: vec![row("a"), row("b")] };
        assert_eq!(table.continued(40), table.lines());
        let wanted = [
            "name   one    two",
            "a     1.00  -2.00",
            "b     1.00  -2.00",
            "",
            "name  three",
            "a      3.00",
            "b      3.00",
        ];
        assert_eq!(table.continued(20), wanted);
        assert_eq!(table.continued(1).len(), 3 * 3 + 2);
    }

    #[test]
    fn words_escape_and_describe() {
        let raster = Raster::filled(2, 2, &[1, 2, 3]).unwrap();
        let blocks =
            [Block::Pictures(vec![Picture::new(raster, "a\u{1b}")]), Block::text(["x\ty"])];
        let want = ["a\\u{1b}: [picture 2×2 rgb, mean #010203]", "x y"];
        assert_eq!(words(&blocks).unwrap(), want);
    }
}
