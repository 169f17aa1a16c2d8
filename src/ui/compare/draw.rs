//! The layout of a comparison: panes, the table below them or the report beside them, two lines.

use super::model::{Candidate, Part};
use super::screen::{Compare, Page};
use super::view::{Mode, Pane, shown};
use crate::error::Result;
use crate::render::plot::{bars, number};
use crate::render::text::{cut, width, wrap};
use crate::ui::chart;
use crate::ui::full::{Canvas, Image};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::sync::Arc;

/// Columns of the report beside the panes.
const PANEL: u16 = 36;
/// Columns from which on the report is beside the panes.
const WIDE: u16 = 104;
/// Rows of the table below the panes, at most.
const TABLE: u16 = 6;
/// Columns of a pane, at least.
const NARROW: u16 = 16;
/// Columns for a title, where there is room.
const TITLE: u16 = 28;
/// Pictures of panes that are kept.
const KEPT: usize = 48;
/// Rows of the loss curve in the report.
const CURVE: u16 = 5;
/// Worst regions that the report lists.
const WORST: usize = 3;

const KEYS: [&str; 13] = [
    "arrows  move the visible part; the mouse drags it",
    "+ -     enlarge, reduce; the wheel does it at the pointer",
    "0 1     all of the picture; one pixel for each pixel of the screen",
    "Tab     the next candidate, Shift-Tab the one before",
    "c       the target and all candidates as columns; target, candidate and error",
    "d       the error alone; s with its sign; g G its factor",
    "f       target and candidate in turns; space flips them by hand",
    "w       the target left of an edge, the candidate right; [ ] or the mouse move it",
    "n       the region with the next smaller error",
    "i       all numbers of the candidate: regions, loss, origin",
    "e       save what is visible as a PNG file",
    "?       these keys",
    "q       back",
];
const LONG: &str = "arrows + - move  ⇥ next  c columns  d error  s sign  f flicker  w wipe  \
                    n worst  i numbers  e export  ? keys  q back";
const SHORT: &str = "arrows + - ⇥ move  c columns  d error  f flicker  w wipe  n worst  ? keys  q";

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn fits(line: &str, columns: u16) -> bool {
    width(line) <= columns.into()
}

impl Compare {
    pub(super) fn paint(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area();
        let beside = area.width >= WIDE;
        let below = if beside { Vec::new() } else { self.below() };
        let taken = (below.len() as u16).min(TABLE).min(area.height / 3);
        let rows = area.height.saturating_sub(taken + 2).max(1);
        let across = if beside { area.width - PANEL } else { area.width };
        self.draw_panes(canvas, Rect::new(0, 0, across.max(1), rows));
        // Of more candidates than lines those around the chosen one.
        let first = (self.view.chosen + 2).saturating_sub(usize::from(taken.max(1)));
        let rest = below.iter().take(1).chain(below.iter().skip(1 + first));
        for (i, line) in rest.take(usize::from(taken)).enumerate() {
            let style = if i == 0 { dim() } else { Style::new() };
            canvas.text((0, rows + i as u16), line, style, area.width);
        }
        if beside {
            self.report(canvas, Rect::new(across + 1, 0, PANEL - 1, rows));
        }
        let bottom = area.height.saturating_sub(2);
        canvas.text((0, bottom), &self.status(), dim(), area.width);
        let keys = if fits(LONG, area.width) { LONG } else { SHORT };
        canvas.text((0, bottom + 1), keys, dim(), area.width);
        self.page(canvas, Rect::new(0, 0, across, rows));
    }

    /// The page above the panes.
    fn page(&self, canvas: &mut Canvas<'_>, panes: Rect) {
        let area = Rect::new(2, 1, panes.width.saturating_sub(4), panes.height);
        match self.page {
            Page::None => {}
            Page::Keys => {
                let height = (KEYS.len() as u16 + 2).min(area.height);
                canvas.cover(Rect { height, ..area });
                for (line, y) in KEYS.iter().zip(area.y + 1..) {
                    canvas.text((area.x + 2, y), line, Style::new(), area.width.saturating_sub(4));
                }
            }
            Page::Report => {
                let width = area.width.min(PANEL + 8);
                canvas.cover(Rect { width, ..area });
                let inner = width.saturating_sub(4);
                self.report(canvas, Rect { x: area.x + 2, width: inner, ..area });
            }
        }
    }

    /// The panes of the layout; of many candidates as many as fit, the chosen one among them.
    fn layout(&self, area: Rect) -> Vec<Pane> {
        let (v, count) = (&self.view, self.comparison.candidates.len());
        if count == 0 {
            return vec![Pane::Target];
        }
        match v.mode {
            Mode::Side => vec![
                Pane::Target,
                Pane::Candidate(v.chosen),
                Pane::Error(v.chosen, v.signed, v.gain),
            ],
            Mode::Difference => vec![Pane::Error(v.chosen, v.signed, v.gain)],
            Mode::Flicker if v.flipped => vec![Pane::Candidate(v.chosen)],
            Mode::Flicker => vec![Pane::Target],
            Mode::Wipe => vec![Pane::Wipe(v.chosen, (v.edge * 1000.0).round() as u32)],
            Mode::Columns => {
                let most = usize::from(area.width / NARROW).saturating_sub(1).clamp(1, count);
                let first = (v.chosen + 1).saturating_sub(most).min(count - most);
                let others = (first..first + most).map(Pane::Candidate);
                std::iter::once(Pane::Target).chain(others).collect()
            }
        }
    }

    /// The title of a pane; that of an error says which difference is white.
    fn title(&self, pane: Pane) -> String {
        let name = |i: usize| self.comparison.candidates.get(i).map_or("", |c| c.name.as_str());
        match pane {
            Pane::Target if self.comparison.candidates.is_empty() => self.comparison.name.clone(),
            Pane::Target => format!("target: {}", self.comparison.name),
            Pane::Candidate(i) if i == self.view.chosen => format!("▸ {}", name(i)),
            Pane::Candidate(i) => name(i).to_owned(),
            Pane::Error(i, true, gain) => {
                format!("error ×{gain}, grey 0, white +{}: {}", 254 / gain, name(i))
            }
            Pane::Error(i, false, gain) => {
                format!("|error| ×{gain}, white {}: {}", 255 / gain, name(i))
            }
            Pane::Wipe(i, _) => format!("{} │ {}", self.comparison.name, name(i)),
        }
    }

    fn image(&mut self, pane: Pane, part: Part, room: (usize, usize)) -> Result<Arc<Image>> {
        let key = (pane, part, room);
        if let Some(image) = self.made.get(&key) {
            return Ok(image.clone());
        }
        if self.made.len() >= KEPT {
            self.made.clear();
        }
        let image = Image::new(shown(&self.comparison, pane, part, room)?);
        self.made.insert(key, image.clone());
        Ok(image)
    }

    /// Panes in a row, and the cells of each without its title: what shows the pictures largest.
    fn grid(&self, count: u16, area: Rect, cell: (u16, u16)) -> (u16, (u16, u16)) {
        let whole = self.comparison.whole();
        let room = |across: u16| {
            let down = count.div_ceil(across);
            // A column between panes, a row for each title.
            let side = |length: u16, n: u16| (length / n).saturating_sub(1).max(1);
            (side(area.width + 1, across), side(area.height, down))
        };
        let scale = |across: &u16| {
            let (columns, rows) = room(*across);
            let share = |cells: u16, of: u16, pixels: usize| {
                f64::from(cells) * f64::from(of) / pixels as f64
            };
            share(columns, cell.0, whole.width).min(share(rows, cell.1, whole.height))
        };
        let best = (1..=count).rev().max_by(|a, b| scale(a).total_cmp(&scale(b)));
        let across = best.unwrap_or(1);
        (across, room(across))
    }

    fn draw_panes(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        let (panes, cell) = (self.layout(area), canvas.cell());
        let (across, each) = self.grid(panes.len() as u16, area, cell);
        let pixels = |cells: u16, of: u16| usize::from(cells) * usize::from(of);
        self.room = (pixels(each.0, cell.0), pixels(each.1, cell.1));
        let part = self.view.part(self.comparison.whole(), self.room);
        self.panes.clear();
        // Panes show the same part, so they are equally wide; titles need some room.
        let ratio =
            part.width as f64 * f64::from(cell.1) / (part.height as f64 * f64::from(cell.0));
        let column = ((f64::from(each.1) * ratio).ceil() as u16).max(TITLE).min(each.0);
        for (i, pane) in panes.into_iter().enumerate() {
            let i = i as u16;
            let x = area.x + i % across * (column + 1);
            let y = area.y + i / across * (each.1 + 1);
            canvas.text((x, y), &cut(&self.title(pane), column.into()), bold(), column);
            let place = Rect::new(x, y + 1, each.0, each.1);
            match self.image(pane, part, self.room) {
                Ok(image) => {
                    let size = canvas.fit(image.raster(), (place.width, place.height));
                    canvas.picture(&image, (i32::from(x), i32::from(y) + 1), size, place);
                    self.panes.push((pane, Rect::new(x, y + 1, size.0, size.1)));
                }
                Err(e) => drop(canvas.text((x, y + 1), e.message(), Style::new(), each.0)),
            }
        }
    }

    // ---- numbers

    /// Everything about the chosen candidate.
    fn report(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let mut lines = Lines { canvas, area, y: area.y };
        let Some(c) = self.comparison.candidates.get(self.view.chosen) else {
            let whole = self.comparison.whole();
            lines.put(&self.comparison.name, bold());
            return lines.put(&format!("  {}×{} pixels", whole.width, whole.height), Style::new());
        };
        lines.put(&c.name, bold());
        for (name, value) in &c.numbers {
            lines.put(&format!("  {name:<12} {value}"), Style::new());
        }
        lines.curve(&c.curve);
        self.regions(&mut lines);
        for remark in &c.remarks {
            lines.wrapped(remark);
        }
        if self.comparison.candidates.len() > 1 {
            lines.put("", Style::new());
            for (i, c) in self.comparison.candidates.iter().enumerate() {
                let mark = if i == self.view.chosen { '▸' } else { ' ' };
                let first = c.numbers.first().map_or("", |(_, v)| v.as_str());
                lines.put(&format!("{mark} {:<20} {first:>10}", cut(&c.name, 20)), Style::new());
            }
        }
    }

    /// PSNR of the parts of the picture, and where it is worst.
    fn regions(&self, lines: &mut Lines<'_, '_>) {
        lines.put("  PSNR by region, dB", dim());
        for row in self.comparison.regions(self.view.chosen) {
            let row: String = row.iter().map(|v| format!("{v:>8.1}")).collect();
            lines.put(&row, Style::new());
        }
        let worst = self.comparison.worst(self.view.chosen);
        for (k, part) in worst.iter().take(WORST).enumerate() {
            let psnr = self.comparison.psnr(self.view.chosen, *part);
            if psnr.is_finite() {
                let line = format!("  worst {} {psnr:>7.1} dB at {},{}", k + 1, part.x, part.y);
                lines.put(&line, Style::new());
            }
        }
    }

    /// The table of a narrow screen, with the remarks of a single candidate.
    fn below(&self) -> Vec<String> {
        match &self.comparison.candidates[..] {
            [] => Vec::new(),
            [only] => {
                let remarks = only.remarks.iter().map(|r| format!("  {r}"));
                self.table().into_iter().chain(remarks).collect()
            }
            _ => self.table(),
        }
    }

    /// One line a candidate, under the names of the numbers.
    fn table(&self) -> Vec<String> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.comparison.candidates.iter().flat_map(|c| &c.numbers) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let wide = self.comparison.candidates.iter().map(|c| width(&c.name)).max();
        let wide = wide.unwrap_or(0).clamp(9, 24);
        let head: String = names.iter().map(|n| format!("{n:>11}")).collect();
        let each = self.comparison.candidates.iter().enumerate();
        let rows = each.map(|(i, c)| self.table_row((i, c), &names, wide));
        std::iter::once(format!("  {:<wide$}{head}", "candidate")).chain(rows).collect()
    }

    fn table_row(&self, (i, c): (usize, &Candidate), names: &[&str], wide: usize) -> String {
        let value = |name: &&str| {
            let found = c.numbers.iter().find(|(n, _)| n == name);
            format!("{:>11}", found.map_or("-", |(_, v)| v))
        };
        let mark = if i == self.view.chosen { '▸' } else { ' ' };
        let values: String = names.iter().map(value).collect();
        let curve = if c.curve.is_empty() { String::new() } else { bars(&c.curve, 12) };
        let name = cut(&c.name, wide);
        let blank = " ".repeat(wide.saturating_sub(width(&name)));
        format!("{mark} {name}{blank}{values}  {curve}")
    }

    /// What is visible, in words.
    fn status(&self) -> String {
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let whole = self.comparison.whole();
        let part = self.view.part(whole, self.room);
        let scale = self.view.scale(whole, self.room);
        let mut line = format!(
            "{}×{} of {}×{} at {},{} · {scale:.2} screen pixels a pixel",
            part.width, part.height, whole.width, whole.height, part.x, part.y
        );
        if !self.comparison.candidates.is_empty() {
            let psnr = self.comparison.psnr(self.view.chosen, part);
            line += &format!(" · PSNR here {psnr:.1} dB");
        }
        if let Some(v) = self.view.visited {
            line += &format!(" · worst {}", v + 1);
        }
        line
    }
}

/// Writes lines below each other in an area.
struct Lines<'c, 'a> {
    canvas: &'c mut Canvas<'a>,
    area: Rect,
    y: u16,
}

impl Lines<'_, '_> {
    fn put(&mut self, line: &str, style: Style) {
        if self.y < self.area.bottom() {
            let line = cut(line, self.area.width.into());
            self.canvas.text((self.area.x, self.y), &line, style, self.area.width);
            self.y += 1;
        }
    }

    fn wrapped(&mut self, text: &str) {
        let width = usize::from(self.area.width.saturating_sub(4)).max(8);
        for (k, line) in wrap(text, width).iter().enumerate() {
            self.put(&format!("{}{line}", if k == 0 { "  " } else { "    " }), Style::new());
        }
    }

    /// The loss, where there is one: its ends in numbers, its course on a logarithmic scale.
    fn curve(&mut self, values: &[f64]) {
        let [first, .., last] = values else { return };
        self.put(&format!("  loss {} → {}", number(*first), number(*last)), Style::new());
        let height = CURVE.min(self.area.bottom().saturating_sub(self.y));
        let width = self.area.width.saturating_sub(4);
        let area = Rect::new(self.area.x + 2, self.y, width, height);
        chart::curve(self.canvas.buffer, area, values, Style::new());
        self.y += height;
    }
}
