//! The screen: panes, the table, the keys.

use super::model::{Comparison, Part};
use super::view::{Mode, Pane, View, pixels, shown};
use crate::error::{Error, Result};
use crate::image::encode;
use crate::render::plot::bars;
use crate::render::{self, Protocol};
use crate::safe::Safe;
use crate::store::{Disk, write_new};
use crate::ui::full::{App, Canvas, Change, Image};
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time that each picture is shown while they flicker.
const FLICKER: Duration = Duration::from_millis(500);
/// Columns of the numbers beside the panes.
const PANEL: u16 = 36;
/// Columns from which on the numbers are beside the panes.
const WIDE: u16 = 104;
/// Rows of the table below the panes, at most.
const TABLE: u16 = 6;
/// Columns of a pane, at least.
const NARROW: u16 = 16;
/// Columns for a title, where there is room.
const TITLE: u16 = 28;
/// Pictures of panes that are kept.
const KEPT: usize = 48;

const KEYS: [&str; 12] = [
    "arrows  move the visible part; the mouse drags it",
    "+ -     enlarge, reduce; the wheel does it at the pointer",
    "0 1     all of the picture; one pixel for each pixel of the screen",
    "Tab     the next candidate, Shift-Tab the one before",
    "c       the target and all candidates as columns; target, candidate and error",
    "d       the error alone; s with its sign; g G its factor",
    "f       target and candidate in turns; space flips them by hand",
    "w       the target left of an edge, the candidate right; [ ] or the mouse move it",
    "n       the region with the next smaller error",
    "e       save what is visible as a PNG file",
    "?       these keys",
    "q       back",
];

/// The program that shows a comparison.
pub struct Compare {
    comparison: Comparison,
    view: View,
    terminal: render::Terminal,
    /// Where exports go.
    folder: PathBuf,
    made: HashMap<(Pane, Part, (usize, usize)), Arc<Image>>,
    /// The area of each pane in the last frame, with its picture's area.
    panes: Vec<(Pane, Rect)>,
    /// Screen pixels of a pane in the last frame.
    room: (usize, usize),
    turned: Option<Instant>,
    dragged: Option<(u16, u16)>,
    message: String,
    help: bool,
    changed: bool,
    over: bool,
}

impl Compare {
    /// A comparison for a terminal; exports go to `folder`.
    pub fn new(comparison: Comparison, terminal: render::Terminal, folder: PathBuf) -> Self {
        let view = View::new(&comparison);
        Self {
            comparison,
            view,
            terminal,
            folder,
            made: HashMap::new(),
            panes: Vec::new(),
            room: (1, 1),
            turned: None,
            dragged: None,
            message: String::new(),
            help: false,
            changed: true,
            over: false,
        }
    }

    /// What is on the screen.
    #[cfg(test)]
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    fn key(&mut self, key: &KeyEvent) {
        self.message.clear();
        let (whole, room) = (self.comparison.whole(), self.room);
        let count = self.comparison.candidates.len();
        let step = if key.modifiers.contains(KeyModifiers::SHIFT) { 0.5 } else { 0.1 };
        let view = &mut self.view;
        match key.code {
            KeyCode::Char('c') if key.modifiers == KeyModifiers::CONTROL => self.over = true,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Char('q') | KeyCode::Esc => self.over = true,
            KeyCode::Char('?') => self.help = !self.help,
            KeyCode::Left => view.pan((-step, 0.0), whole, room),
            KeyCode::Right => view.pan((step, 0.0), whole, room),
            KeyCode::Up => view.pan((0.0, -step), whole, room),
            KeyCode::Down => view.pan((0.0, step), whole, room),
            KeyCode::Char('+' | '=' | 'z') => view.enlarge(2.0, whole, room),
            KeyCode::Char('-' | 'Z') => view.enlarge(0.5, whole, room),
            KeyCode::Char('0') => view.enlarge(0.0, whole, room),
            KeyCode::Char('1') => view.pixel_by_pixel(whole, room),
            KeyCode::Tab => view.chosen = (view.chosen + 1) % count,
            KeyCode::BackTab => view.chosen = (view.chosen + count - 1) % count,
            KeyCode::Char('c') => self.mode(Mode::Columns),
            KeyCode::Char('d') => self.mode(Mode::Difference),
            KeyCode::Char('w') => self.mode(Mode::Wipe),
            KeyCode::Char('f') => {
                self.mode(Mode::Flicker);
                self.turned = (self.view.mode == Mode::Flicker).then(Instant::now);
            }
            KeyCode::Char(' ') if view.mode == Mode::Flicker => {
                view.flipped = !view.flipped;
                self.turned = None;
            }
            KeyCode::Char('s') => view.signed = !view.signed,
            KeyCode::Char('g') => view.gain = (view.gain * 2).min(64),
            KeyCode::Char('G') => view.gain = (view.gain / 2).max(1),
            KeyCode::Char('[') => view.edge = (view.edge - step / 2.0).max(0.0),
            KeyCode::Char(']') => view.edge = (view.edge + step / 2.0).min(1.0),
            KeyCode::Char('n') => view.next_worst(&self.comparison, room),
            KeyCode::Char('e') => self.message = self.export(),
            _ => return,
        }
        self.changed = true;
    }

    /// Takes a layout, or goes back to panes when it is taken already.
    fn mode(&mut self, mode: Mode) {
        self.view.mode = if self.view.mode == mode { Mode::Side } else { mode };
        self.turned = None;
    }

    fn mouse(&mut self, event: &MouseEvent) {
        let (whole, room) = (self.comparison.whole(), self.room);
        let at = (event.column, event.row);
        let inside = |area: &Rect| area.contains((at.0, at.1).into());
        let Some(area) = self.panes.iter().map(|p| p.1).find(inside) else {
            self.dragged = None;
            return;
        };
        let share = |at: u16, from: u16, length: u16| {
            f64::from(at.saturating_sub(from)) / f64::from(length.max(1))
        };
        match event.kind {
            MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                let up = event.kind == MouseEventKind::ScrollUp;
                let (x, y) =
                    (share(at.0, area.x, area.width) - 0.5, share(at.1, area.y, area.height) - 0.5);
                // The point under the pointer stays there.
                self.view.pan((x, y), whole, room);
                self.view.enlarge(if up { 1.5 } else { 1.0 / 1.5 }, whole, room);
                self.view.pan((-x, -y), whole, room);
            }
            MouseEventKind::Down(MouseButton::Left) => self.dragged = Some(at),
            MouseEventKind::Drag(MouseButton::Left) if self.view.mode == Mode::Wipe => {
                self.view.edge = share(at.0, area.x, area.width).min(1.0);
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(from) = self.dragged.replace(at) {
                    let moved = |a: u16, b: u16, length: u16| {
                        (f64::from(a) - f64::from(b)) / f64::from(length.max(1))
                    };
                    let step = (moved(from.0, at.0, area.width), moved(from.1, at.1, area.height));
                    self.view.pan(step, whole, room);
                }
            }
            _ => return,
        }
        self.changed = true;
    }

    /// The panes of the layout; of many candidates as many as fit, the chosen one among them.
    fn layout(&self, area: Rect) -> Vec<Pane> {
        let (v, count) = (&self.view, self.comparison.candidates.len());
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

    fn title(&self, pane: Pane) -> String {
        let name =
            |i: usize| self.comparison.candidates.get(i).map_or("", |c| c.name.as_str()).to_owned();
        match pane {
            Pane::Target => format!("target: {}", self.comparison.name),
            Pane::Candidate(i) if i == self.view.chosen => format!("▸ {}", name(i)),
            Pane::Candidate(i) => name(i),
            Pane::Error(i, true, gain) => format!("error ×{gain} (grey is 0), {}", name(i)),
            Pane::Error(i, false, gain) => format!("|error| ×{gain}, {}", name(i)),
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
    fn grid(&self, count: u16, area: Rect) -> (u16, (u16, u16)) {
        let (whole, cell) = (self.comparison.whole(), self.terminal.cell);
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
        let panes = self.layout(area);
        let (across, each) = self.grid(panes.len() as u16, area);
        let cell = self.terminal.cell;
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
            let bold = Style::new().add_modifier(Modifier::BOLD);
            canvas.text((x, y), &self.title(pane), bold, column);
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

    /// The lines about a candidate: its numbers, its curve, its remarks.
    fn lines(&self) -> Vec<String> {
        let Some(c) = self.comparison.candidates.get(self.view.chosen) else { return Vec::new() };
        let mut lines = vec![c.name.clone()];
        lines.extend(c.numbers.iter().map(|(name, value)| format!("  {name:<12} {value}")));
        if !c.curve.is_empty() {
            lines.push(format!("  loss         {}", bars(&c.curve, 20)));
        }
        lines.extend(c.remarks.iter().map(|r| format!("  {r}")));
        lines
    }

    /// One line a candidate, under the names of the numbers.
    fn table(&self) -> Vec<String> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.comparison.candidates.iter().flat_map(|c| &c.numbers) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let wide = self.comparison.candidates.iter().map(|c| c.name.chars().count()).max();
        let wide = wide.unwrap_or(0).clamp(9, 24);
        let cell = |text: &str| format!("{text:>11}");
        let head: String = names.iter().map(|n| cell(n)).collect();
        let mut lines = vec![format!("  {:<wide$}{head}", "candidate")];
        for (i, c) in self.comparison.candidates.iter().enumerate() {
            let value = |name: &&str| {
                let found = c.numbers.iter().find(|(n, _)| n == name);
                cell(found.map_or("-", |(_, v)| v))
            };
            let mark = if i == self.view.chosen { '▸' } else { ' ' };
            let name: String = c.name.chars().take(wide).collect();
            let values: String = names.iter().map(value).collect();
            let curve = if c.curve.is_empty() { String::new() } else { bars(&c.curve, 12) };
            lines.push(format!("{mark} {name:<wide$}{values}  {curve}"));
        }
        lines
    }

    /// What is visible, in words.
    fn status(&self) -> String {
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let whole = self.comparison.whole();
        let part = self.view.part(whole, self.room);
        let psnr = self.comparison.psnr(self.view.chosen, part);
        let scale = self.view.scale(whole, self.room);
        let at = self.view.visited.map_or(String::new(), |v| format!(" · worst region {}", v + 1));
        format!(
            "{}×{} of {}×{} at {},{} · a pixel is {scale:.2} of the screen · PSNR here {psnr:.1} dB{at}",
            part.width, part.height, whole.width, whole.height, part.x, part.y
        )
    }

    /// Saves what is visible, a pixel for a pixel, panes beside each other; says where.
    fn export(&self) -> String {
        let saved = || -> Result<PathBuf> {
            let part = self.view.part(self.comparison.whole(), self.room);
            let panes: Vec<_> = self
                .panes
                .iter()
                .map(|(pane, _)| pixels(&self.comparison, *pane, part))
                .collect::<Result<_>>()?;
            let png = encode::png(&encode::grid(&panes, panes.len())?, &[])?;
            write_numbered(&self.folder, &png)
        };
        match saved() {
            Ok(path) => format!("saved as {}", Safe(&path.to_string_lossy())),
            Err(e) => format!("not saved: {}", e.message()),
        }
    }
}

/// Writes a picture under the first free name.
fn write_numbered(folder: &Path, bytes: &[u8]) -> Result<PathBuf> {
    for n in 1..10_000 {
        let path = folder.join(format!("comparison-{n}.png"));
        match write_new(&Disk, &path, bytes) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("cannot write the picture", &e)),
        }
    }
    Err(Error::runtime("9999 comparisons lie in this folder").hint("move some of them"))
}

impl App for Compare {
    fn input(&mut self, event: &Event) {
        match event {
            Event::Key(key) => self.key(key),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Resize(..) => self.changed = true,
            _ => {}
        }
    }

    fn tick(&mut self) {
        if let Some(since) = self.turned
            && since.elapsed() >= FLICKER
        {
            self.view.flipped = !self.view.flipped;
            self.turned = Some(Instant::now());
            self.changed = true;
        }
    }

    fn busy(&self) -> bool {
        self.turned.is_some()
    }

    fn change(&self) -> Change {
        if self.changed { Change::All } else { Change::None }
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        self.changed = false;
        let area = canvas.area();
        let (plain, dim) = (Style::new(), Style::new().add_modifier(Modifier::DIM));
        let beside = area.width >= WIDE;
        let below = if beside {
            Vec::new()
        } else {
            let mut lines = self.table();
            if self.comparison.candidates.len() == 1 {
                let remarks = &self.comparison.candidates[0].remarks;
                lines.extend(remarks.iter().map(|r| format!("  {r}")));
            }
            lines
        };
        let taken = (below.len() as u16).min(TABLE).min(area.height / 3);
        let rows = area.height.saturating_sub(taken + 2).max(1);
        let width = if beside { area.width - PANEL } else { area.width };
        self.draw_panes(canvas, Rect::new(0, 0, width.max(1), rows));
        // Of more candidates than lines those around the chosen one.
        let first = (self.view.chosen + 2).saturating_sub(usize::from(taken.max(1)));
        let rest = below.iter().take(1).chain(below.iter().skip(1 + first));
        for (i, line) in rest.take(usize::from(taken)).enumerate() {
            canvas.text((0, rows + i as u16), line, if i == 0 { dim } else { plain }, area.width);
        }
        if beside {
            let mut lines = self.lines();
            if self.comparison.candidates.len() > 1 {
                lines.push(String::new());
                let mark = |(i, c): (usize, &super::model::Candidate)| {
                    let mark = if i == self.view.chosen { '▸' } else { ' ' };
                    let first = c.numbers.first().map_or("", |(_, v)| v.as_str());
                    let name: String = c.name.chars().take(20).collect();
                    format!("{mark} {name:<20} {first:>10}")
                };
                lines.extend(self.comparison.candidates.iter().enumerate().map(mark));
            }
            for (i, line) in lines.iter().take(usize::from(rows)).enumerate() {
                canvas.text((width + 1, i as u16), line, plain, PANEL - 1);
            }
        }
        let bottom = area.height.saturating_sub(2);
        canvas.text((0, bottom), &self.status(), dim, area.width);
        let keys = "arrows + - move  ⇥ next  c columns  d error  s sign  f flicker  w wipe  n worst  \
                    e export  ? keys  q back";
        canvas.text((0, bottom + 1), keys, dim, area.width);
        if self.help {
            let height = (KEYS.len() as u16 + 2).min(area.height);
            canvas.cover(Rect::new(2, 1, width.saturating_sub(4), height));
            for (i, line) in KEYS.iter().enumerate() {
                canvas.text((4, 2 + i as u16), line, plain, width.saturating_sub(6));
            }
        }
    }

    fn end(&mut self) {
        self.over = true;
    }

    fn over(&self) -> bool {
        self.over
    }
}

/// Whether a terminal can show a comparison as pictures.
pub fn shows(terminal: &render::Terminal) -> bool {
    !matches!(terminal.protocol, Protocol::Words | Protocol::None)
}
