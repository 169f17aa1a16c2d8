//! The parts of a result, independent of layout.
//!
//! A result is a list of blocks. Terminals draw them ([`super::Painter`]), journals keep their text
//! ([`words`]), other programs get them as JSON ([`super::json`]).

use super::plot::{bars, number, rounded};
use super::text::{describe, indented, printable};
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
    /// Curves over a common axis.
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
}

impl Picture {
    /// A picture of the usual width.
    pub fn new(raster: Raster, caption: impl Into<String>) -> Self {
        Self { raster, caption: caption.into(), columns: None }
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

/// Curves over a common axis, on a logarithmic scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// Title above the curves.
    pub title: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// A curve of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Its values, from left to right.
    pub values: Vec<f64>,
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

    /// The block as lines of any length, without its pictures. Texts from outside are not escaped
    /// yet.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Pictures(_) => Vec::new(),
            Self::Table(table) => table.lines(),
            Self::Plot(plot) => plot.lines(),
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
                lines.push(captioned(&p.caption, &describe(&p.raster)?));
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
    /// The cell as it is shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(s) => Safe(s).to_string(),
            Self::Number(v, digits) => format!("{v:.digits$}"),
        }
    }
}

/// Columns that a text keeps in a table that is too wide.
const LEAST: usize = 8;
/// Blanks between two columns.
const BETWEEN: usize = 2;

impl Table {
    /// The rows in aligned columns, the header first: text to the left, numbers to the right.
    pub fn lines(&self) -> Vec<String> {
        self.fitted(usize::MAX)
    }

    /// As [`Table::lines`], in at most `width` columns: the widest texts are cut until the table
    /// fits.
    pub fn fitted(&self, width: usize) -> Vec<String> {
        let row = |r: &Vec<Cell>| r.iter().map(Cell::shown).collect();
        let header = self.columns.iter().map(|c| Safe(c).to_string()).collect();
        let rows: Vec<Vec<String>> =
            std::iter::once(header).chain(self.rows.iter().map(row)).collect();
        let widths = self.widths(&rows, width);
        let line = |cells: &Vec<String>| {
            let pad = |(k, s): (usize, &String)| {
                let width = widths.get(k).copied().unwrap_or(0);
                let s = super::text::cut(s, width);
                let blank = " ".repeat(width.saturating_sub(s.width()));
                if self.is_numeric(k) { blank + &s } else { s + &blank }
            };
            let cells: Vec<String> = cells.iter().enumerate().map(pad).collect();
            super::text::cut(cells.join(&" ".repeat(BETWEEN)).trim_end(), width)
        };
        rows.iter().map(line).collect()
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

/// Width of a curve in columns.
const CURVE: usize = 36;
/// Width of a curve's name in columns.
const NAME: usize = 12;
/// Indent of a definition in columns.
const INDENT: usize = 4;
/// Width of a definition in columns, indent included.
const COLUMNS: usize = 79;

impl Plot {
    fn lines(&self) -> Vec<String> {
        let curve = |c: &Curve| {
            let name = super::text::cut(&c.name, NAME);
            let (first, last) = (c.values.first(), c.values.last());
            let end = |v: Option<&f64>| number(v.copied().unwrap_or(f64::NAN));
            let bars = bars(&c.values, CURVE);
            format!("  {name:<NAME$} {bars:<CURVE$} {} → {}", end(first), end(last))
        };
        std::iter::once(self.title.clone()).chain(self.curves.iter().map(curve)).collect()
    }
}

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
        assert_eq!(wide.fitted(9), ["name  va…", "a      1…"]);
    }

    #[test]
    fn a_plot_has_its_ends_in_numbers() {
        let values = vec![1.0, 0.5, 0.25];
        let plot = Plot { title: "loss".into(), curves: vec![Curve { name: "l2".into(), values }] };
        let lines = plot.lines();
        assert_eq!(lines[0], "loss");
        assert!(
            lines[1].starts_with("  l2 ") && lines[1].ends_with("1.0000 → 0.2500"),
            "{lines:?}"
        );
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
