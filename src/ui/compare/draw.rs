//! The layout of a comparison: panes, the table below them, the report beside them, two lines.
//! A terminal without pictures gets a sentence in each pane, and the report below them.

use super::model::Part;
use super::numbers::Row;
use super::screen::{Compare, Page};
use super::view::{Mode, Pane, pixels, shown};
use crate::error::Result;
use crate::render::text::{cut, described, width, wrap};
use crate::ui::chart;
use crate::ui::full::{Canvas, Image};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::sync::Arc;

/// Columns of the report beside the panes.
const PANEL: u16 = 36;
/// Columns of the report on a page of its own.
const REPORT: u16 = 76;
/// Columns from which on the report is beside the panes.
const WIDE: u16 = 104;
/// Rows of the table below the panes, at most.
const TABLE: u16 = 9;
/// Columns of a pane, at least.
const NARROW: u16 = 16;
/// Rows of a pane with its title, at least, where panes are above each other.
const LOW: u16 = 9;
/// Columns for a title, where there is room.
const TITLE: u16 = 28;
/// Pictures of panes that are kept.
const KEPT: usize = 48;
/// Rows of the loss curve in the report.
const CURVE: u16 = 5;
/// Rows below the pictures from which on the report is there.
const REST: u16 = 8;
/// Most rows of a sentence in place of a picture.
const SENTENCE: u16 = 4;

const KEYS: [&str; 13] = [
    "arrows  move the visible part; the mouse drags it",
    "+ -     enlarge, reduce; the wheel does it at the pointer",
    "0 1     all of the picture; one pixel for each pixel of the screen",
    "Tab     the next candidate, Shift-Tab the one before",
    "c       columns: the target and all candidates, or one and its error",
    "d       the error alone; s with its sign; g G its factor",
    "f       target and candidate in turns; space flips them by hand",
    "w       target left of an edge, candidate right; [ ] or the mouse move it",
    "n       the region with the next smaller error",
    "i       all numbers of the candidate: regions, loss, origin",
    "e       save what is visible as a PNG file",
    "?       these keys",
    "q       back",
];
/// The keys, from the longest line to the shortest.
const HINTS: [&str; 4] = [
    "arrows + - move  ⇥ next  c columns  d error  s sign  f flicker  w wipe  \
     n worst  i numbers  e export  ? keys  q back",
    "arrows + - ⇥ move  c columns  d error  f flicker  w wipe  ? keys  q back",
    "arrows + - ⇥ move  c columns  d error  ? keys  q back",
    "? keys  q back",
];

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The first line that fits; the last one where none does.
fn fitting<'l>(lines: &[&'l str], columns: u16) -> &'l str {
    let fits = |line: &&&str| width(line) <= columns.into();
    lines.iter().find(fits).or(lines.last()).copied().unwrap_or("")
}

impl Compare {
    pub(super) fn paint(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area();
        self.describes = canvas.describes();
        let beside = area.width >= WIDE;
        let table = self.below(area.width, beside);
        let taken = (table.len() as u16).min(TABLE).min(area.height / 3);
        let rows = area.height.saturating_sub(taken + 2).max(1);
        let across = if beside { area.width - PANEL } else { area.width };
        let panes = Rect::new(0, 0, across.max(1), rows);
        let end = match self.describes {
            true => self.draw_sentences(canvas, panes),
            false => self.draw_panes(canvas, panes),
        };
        let below = Rect::new(0, end, area.width, rows.saturating_sub(end));
        if !beside && (self.describes || below.height >= REST) {
            // What the table has is not said twice.
            self.report(canvas, below, !table.is_empty());
        }
        // Of more candidates than lines those around the chosen one.
        let first = (self.view.chosen + 2).saturating_sub(usize::from(taken.max(1)));
        let rest = table.iter().take(1).chain(table.iter().skip(1 + first));
        for (i, line) in rest.take(usize::from(taken)).enumerate() {
            let style = if i == 0 { dim() } else { Style::new() };
            canvas.text((0, rows + i as u16), &cut(line, area.width.into()), style, area.width);
        }
        if beside {
            self.report(canvas, Rect::new(across + 1, 0, PANEL - 1, rows), false);
        }
        let bottom = area.height.saturating_sub(2);
        let status = [self.status(true), self.status(false)];
        let status = fitting(&[&status[0], &status[1]], area.width);
        canvas.text((0, bottom), &cut(status, area.width.into()), dim(), area.width);
        canvas.text((0, bottom + 1), fitting(&HINTS, area.width), dim(), area.width);
        self.page(canvas, Rect::new(0, 0, area.width, bottom));
    }

    /// The table of all candidates; of a single one what is not beside or below the panes.
    fn below(&self, columns: u16, beside: bool) -> Vec<String> {
        let table = || self.comparison.table(Some(self.view.chosen), columns.into());
        match &self.comparison.candidates[..] {
            [] => Vec::new(),
            [_] if beside || self.describes => Vec::new(),
            [only] => {
                let remarks = only.remarks.iter().map(|r| format!("  {r}"));
                table().into_iter().chain(remarks).collect()
            }
            _ => table(),
        }
    }

    /// The page above everything but the last two lines.
    fn page(&self, canvas: &mut Canvas<'_>, body: Rect) {
        match self.page {
            Page::None => {}
            Page::Keys => {
                let height = (KEYS.len() as u16 + 2).min(body.height);
                let area = Rect { height, ..body };
                canvas.cover(area);
                for (line, y) in KEYS.iter().zip(area.top() + 1..area.bottom()) {
                    canvas.text((2, y), line, Style::new(), area.width.saturating_sub(4));
                }
            }
            Page::Report => {
                canvas.cover(body);
                self.report(canvas, Rect { width: body.width.min(REPORT), ..body }, false);
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
                let places = match self.describes {
                    true => area.height / 2,
                    false => area.width / NARROW * (area.height / LOW).max(1),
                };
                let most = usize::from(places).saturating_sub(1).clamp(1, count);
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
        let image = if self.describes {
            let words = self.comparison.pane_words(pane, part);
            Image::with_words(pixels(&self.comparison, pane, part)?, words)
        } else {
            Image::new(shown(&self.comparison, pane, part, room)?)
        };
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

    /// Pictures in the panes; returns the row after them.
    fn draw_panes(&mut self, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
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
        let end = self.panes.iter().map(|(_, area)| area.bottom()).max();
        (end.unwrap_or(area.y) + 1).min(area.bottom())
    }

    /// Panes above each other, each a sentence below its title; returns the row after them.
    fn draw_sentences(&mut self, canvas: &mut Canvas<'_>, area: Rect) -> u16 {
        let whole = self.comparison.whole();
        // A pixel of the screen for each of the picture: a factor enlarges the part.
        self.room = (whole.width, whole.height);
        let part = self.view.part(whole, self.room);
        self.panes.clear();
        let mut y = area.y;
        for pane in self.layout(area) {
            if y >= area.bottom() {
                break;
            }
            canvas.text(
                (area.x, y),
                &cut(&self.title(pane), area.width.into()),
                bold(),
                area.width,
            );
            let image = self.image(pane, part, self.room);
            let said = |image: Arc<Image>| Ok((described(image.raster(), image.words())?, image));
            let rows = match image.and_then(said) {
                Ok((text, image)) => {
                    let (columns, most) = canvas.fit(image.raster(), (area.width, SENTENCE));
                    let rows = most.min(wrap(&text, columns.into()).len() as u16);
                    canvas.picture(
                        &image,
                        (area.x.into(), i32::from(y) + 1),
                        (columns, rows),
                        area,
                    );
                    self.panes.push((pane, Rect::new(area.x, y + 1, columns, rows)));
                    rows
                }
                Err(e) => {
                    canvas.text((area.x, y + 1), e.message(), Style::new(), area.width);
                    1
                }
            };
            y += 1 + rows;
        }
        (y + 1).min(area.bottom())
    }

    // ---- numbers

    /// Everything about the chosen candidate; with `rest`, what the table has not.
    fn report(&self, canvas: &mut Canvas<'_>, area: Rect, rest: bool) {
        let mut lines = Lines { canvas, area, y: area.y };
        let numbers =
            self.comparison.candidates.get(self.view.chosen).map_or(0, |c| c.numbers.len());
        for (k, row) in self.comparison.report(self.view.chosen).into_iter().enumerate() {
            match row {
                Row::Line(_) if rest && (1..=numbers).contains(&k) => {}
                Row::Name(name) => lines.put(name, bold()),
                Row::Line(line) => lines.put(&line, Style::new()),
                Row::Head(line) => lines.put(line, dim()),
                // Below the pictures of a single candidate the table has them.
                Row::Remark(_) if rest && self.comparison.candidates.len() == 1 => {}
                Row::Remark(text) => lines.wrapped(text),
                Row::Curve(values) => lines.curve(values),
            }
        }
    }

    /// What is visible, in words; `long` with the size of its pixels, where there are any.
    fn status(&self, long: bool) -> String {
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let whole = self.comparison.whole();
        let part = self.view.part(whole, self.room);
        let mut line = format!(
            "{}×{} of {}×{} at {},{}",
            part.width, part.height, whole.width, whole.height, part.x, part.y
        );
        if long && !self.describes {
            let scale = self.view.scale(whole, self.room);
            line += &format!(" · {scale:.2} screen pixels a pixel");
        }
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

    /// The course of a loss on a logarithmic scale.
    fn curve(&mut self, values: &[f64]) {
        let height = CURVE.min(self.area.bottom().saturating_sub(self.y));
        let width = self.area.width.saturating_sub(4);
        let area = Rect::new(self.area.x + 2, self.y, width, height);
        chart::curve(self.canvas.buffer, area, values, Style::new());
        self.y += height;
    }
}
