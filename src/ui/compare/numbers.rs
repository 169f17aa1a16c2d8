//! The numbers of a comparison as lines: everything about a candidate, and all candidates as a
//! table.

use super::model::{Candidate, Comparison};
use crate::render::plot::{bars, number};
use crate::render::text::{cut, width, wrap};

/// Worst regions that the report lists.
const WORST: usize = 3;
/// Most columns of a candidate's name in the table.
const NAME: usize = 24;
/// Columns of a loss curve in the table.
const BARS: usize = 12;

/// A line of a report.
pub(super) enum Row<'c> {
    /// The name of what is reported.
    Name(&'c str),
    /// A number.
    Line(String),
    /// What the lines below it are.
    Head(&'static str),
    /// A sentence, which may be longer than a line.
    Remark(&'c str),
    /// A loss over the steps, above 0.
    Curve(&'c [f64]),
}

impl Comparison {
    /// Everything about a candidate; about the target where there is no such candidate.
    pub(super) fn report(&self, at: usize) -> Vec<Row<'_>> {
        let Some(c) = self.candidates.get(at) else {
            let whole = self.whole();
            let size = format!("  {}×{} pixels", whole.width, whole.height);
            return vec![Row::Name(&self.name), Row::Line(size)];
        };
        let line = |(name, value): &(String, String)| Row::Line(format!("  {name:<12} {value}"));
        let mut rows = vec![Row::Name(&c.name)];
        rows.extend(c.numbers.iter().map(line));
        if let [first, .., last] = &c.curve[..] {
            rows.push(Row::Line(format!("  loss {} → {}", number(*first), number(*last))));
            rows.push(Row::Curve(&c.curve));
        }
        rows.push(Row::Head("  PSNR by region, dB"));
        for row in self.regions(at) {
            rows.push(Row::Line(row.iter().map(|v| format!("{v:>8.1}")).collect()));
        }
        for (k, part) in self.worst(at).iter().take(WORST).enumerate() {
            let psnr = self.psnr(at, *part);
            if psnr.is_finite() {
                let at = format!("{},{}", part.x, part.y);
                rows.push(Row::Line(format!("  worst {} {psnr:>7.1} dB at {at}", k + 1)));
            }
        }
        rows.extend(c.remarks.iter().map(|r| Row::Remark(r)));
        rows
    }

    /// One line a candidate below the names of the numbers, in at most `most` columns where they
    /// fit. `chosen` is marked.
    pub(super) fn table(&self, chosen: Option<usize>, most: usize) -> Vec<String> {
        // In the order of the candidate with the most numbers.
        let mut each: Vec<&Candidate> = self.candidates.iter().collect();
        each.sort_by_key(|c| std::cmp::Reverse(c.numbers.len()));
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in each.into_iter().flat_map(|c| &c.numbers) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let columns: Vec<Vec<String>> = names.iter().map(|n| self.column(n)).collect();
        let widest = self.candidates.iter().map(|c| width(&c.name)).max().unwrap_or(0);
        let first = widest.clamp(width(&self.kind), NAME.max(width(&self.kind)));
        let widths: Vec<usize> =
            columns.iter().map(|c| c.iter().map(|v| width(v)).max().unwrap_or(0)).collect();
        let all = |gap: usize| 2 + first + widths.iter().map(|w| w + gap).sum::<usize>();
        let gap = if all(2) <= most { 2 } else { 1 };
        let curves = all(gap) + 2 + BARS <= most;
        let line = |k: usize| {
            let (mark, name, curve) = match k.checked_sub(1) {
                None => (' ', self.kind.as_str(), String::new()),
                Some(i) => {
                    let c = &self.candidates[i];
                    let curve = if curves && !c.curve.is_empty() {
                        bars(&c.curve, BARS)
                    } else {
                        String::new()
                    };
                    (if chosen == Some(i) { '▸' } else { ' ' }, c.name.as_str(), curve)
                }
            };
            let cells = columns.iter().zip(&widths).map(|(c, w)| right(&c[k], w + gap));
            let line = format!("{mark} {}{}", left(name, first), cells.collect::<String>());
            if curve.is_empty() { line } else { format!("{line}  {curve}") }
        };
        (0..=self.candidates.len()).map(line).collect()
    }

    /// A column of the table: the name of a number, then the number of each candidate.
    fn column(&self, name: &str) -> Vec<String> {
        let value = |c: &Candidate| {
            let found = c.numbers.iter().find(|(n, _)| n == name);
            found.map_or("-", |(_, v)| v).to_owned()
        };
        std::iter::once(name.to_owned()).chain(self.candidates.iter().map(value)).collect()
    }

    /// All of it as lines of at most `columns` columns, for terminals that show no full screen.
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let columns = columns.max(16);
        let mut lines = Vec::new();
        let sentence = |lines: &mut Vec<String>, text: &str, indent: &str| {
            let wrapped = wrap(text, columns - width(indent));
            lines.extend(wrapped.into_iter().map(|line| format!("{indent}{line}")));
        };
        let name = match self.candidates.is_empty() {
            true => self.name.clone(),
            false => format!("target: {}", self.name),
        };
        sentence(&mut lines, &format!("{name}: {}", self.target_words()), "");
        for at in 0..self.candidates.len() {
            lines.push(String::new());
            for row in self.report(at) {
                match row {
                    Row::Name(name) => {
                        sentence(&mut lines, &format!("{name}: {}", self.candidate_words(at)), "");
                        sentence(&mut lines, &self.error_words(at, self.whole()), "  ");
                    }
                    Row::Line(line) => lines.push(cut(&line, columns)),
                    Row::Head(line) => lines.push(cut(line, columns)),
                    Row::Remark(text) => sentence(&mut lines, text, "  "),
                    Row::Curve(values) => {
                        lines.push(format!("  {}", bars(values, (columns - 4).min(40))));
                    }
                }
            }
        }
        if self.candidates.len() > 1 {
            lines.push(String::new());
            lines.extend(self.table(None, columns).iter().map(|line| cut(line, columns)));
        }
        lines
    }
}

/// A text in so many columns, from the left.
fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blank = " ".repeat(columns.saturating_sub(width(&text)));
    text + &blank
}

/// A text in so many columns, to the right.
fn right(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + text
}
