//! Turns frames into the bytes that change the screen.

use super::canvas::{Canvas, Visible};
use super::pictures::Pictures;
use crate::error::Result;
use crate::render::{Colours, Terminal, blocks};
use crate::ui::pen;
use crate::ui::terminal::ASK;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{ResetColor, force_color_output};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect};
use ratatui::style::Color;
use unicode_width::UnicodeWidthStr;

/// The bytes of a frame, as one synchronised update.
pub struct Frame {
    /// The bytes; empty when nothing changed.
    pub bytes: Vec<u8>,
    /// Whether the terminal will answer that it has shown a live picture.
    pub asks: bool,
}

/// Blanks wide characters whose second cell belongs to something else.
fn whole_characters(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        if buffer.content[at].symbol().len() == 1 || buffer.content[at].symbol().width() < 2 {
            continue;
        }
        let after = buffer.content.get(at + 1).filter(|_| (at + 1) % width != 0);
        if after.is_none_or(|cell| cell.symbol() != " ") {
            buffer.content[at].set_symbol(" ");
        }
    }
}

/// Draws frames on a screen of any size, without a terminal of its own.
pub struct Compositor {
    pictures: Pictures,
    colours: Colours,
    /// The last frame; `None` before the first and when the screen's content is unknown.
    before: Option<Buffer>,
    /// The cells of the last frame that a picture was painted over.
    painted: Vec<bool>,
    cursor: Option<Position>,
}

impl Compositor {
    /// Makes a compositor for a terminal's protocol, colours and cells.
    pub fn new(terminal: &Terminal) -> Self {
        // The colours are decided already: crossterm must not check `NO_COLOR` again.
        force_color_output(true);
        Self {
            pictures: Pictures::new(terminal),
            colours: terminal.colours,
            before: None,
            painted: Vec::new(),
            cursor: None,
        }
    }

    /// Draws the next frame as a whole, because the screen's content is not known any more.
    pub fn again(&mut self) {
        self.before = None;
    }

    /// The bytes that free the pictures of this screen where leaving it does not.
    ///
    /// # Errors
    /// When they cannot be written to memory.
    pub fn leave(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.pictures.leave(&mut out)?;
        Ok(out)
    }

    /// Whether the next frame is drawn as a whole.
    pub fn stale(&self) -> bool {
        self.before.is_none()
    }

    /// Whether a window of this terminal that was hidden may have lost its pictures.
    pub fn forgotten_unseen(&self) -> bool {
        self.pictures.forgotten_unseen()
    }

    /// The frame that `draw` draws on a screen of this size. `ready` says that the terminal has
    /// shown the last live picture.
    ///
    /// # Errors
    /// When a picture cannot be encoded.
    pub fn frame(
        &mut self,
        (columns, rows): (u16, u16),
        ready: bool,
        draw: impl FnOnce(&mut Canvas<'_>),
    ) -> Result<Frame> {
        let area = Rect::new(0, 0, columns.max(1), rows.max(1));
        let mut next = Buffer::empty(area);
        let mut canvas = Canvas::new(&mut next, (&*self.pictures.sink, self.pictures.cell), ready);
        draw(&mut canvas);
        let drawn = canvas.done();
        next.content.iter_mut().for_each(|cell| self.fade(cell));
        let (placed, covered) = self.visible(drawn.placed, &drawn.covered, area);
        let mut out = Vec::new();
        let before = self.before.take().filter(|b| b.area == area);
        let fresh = before.is_none();
        let before = before.unwrap_or_else(|| {
            self.painted.clear();
            self.cursor = None;
            Buffer::empty(area)
        });
        if fresh {
            self.pictures.begin_again(&mut out)?;
            pen::put(&mut out, ResetColor);
            pen::put(&mut out, Clear(ClearType::All));
        }
        let free = |x, y| covered.iter().all(|c| !c.contains(Position::new(x, y)));
        self.pictures.cells(&mut out, &mut next, &placed, &free)?;
        self.painted = vec![false; usize::from(area.width) * usize::from(area.height)];
        if self.pictures.paint_over() {
            for p in placed.iter().flat_map(|p| p.area().positions()) {
                self.painted[next.index_of(p.x, p.y)] = true;
            }
        }
        whole_characters(&mut next);
        self.text(&mut out, &before, &next);
        self.pictures.above(&mut out, placed)?;
        self.before = Some(next);
        Ok(self.whole(out, drawn.cursor, drawn.live && ready))
    }

    /// The pictures that are shown, and the areas that cover pictures made of cells.
    fn visible(
        &self,
        mut placed: Vec<Visible>,
        covered: &[Rect],
        area: Rect,
    ) -> (Vec<Visible>, Vec<Rect>) {
        if self.pictures.are_cells() {
            return (placed, covered.to_vec());
        }
        let last = area.height - 1;
        for p in &mut placed {
            if self.pictures.spares_last_row() && p.area().bottom() > last {
                p.part.height = last.saturating_sub(p.at.y);
            }
        }
        placed.retain(|p| p.part.height > 0 && covered.iter().all(|c| !c.intersects(p.area())));
        (placed, Vec::new())
    }

    /// The characters of the last frame, row by row; none before the first.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Vec<String> {
        let Some(last) = &self.before else { return Vec::new() };
        let row = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect();
        last.content.chunks(usize::from(last.area.width)).map(row).collect()
    }

    /// Takes from a cell the colours that the terminal lacks.
    fn fade(&self, cell: &mut Cell) {
        for colour in [&mut cell.fg, &mut cell.bg] {
            match (self.colours, *colour) {
                (Colours::None, _) => *colour = Color::Reset,
                (Colours::Indexed, Color::Rgb(r, g, b)) => {
                    *colour = Color::Indexed(blocks::indexed([r, g, b]));
                }
                _ => {}
            }
        }
    }

    /// Writes the cells that differ. Cells that a picture is painted over become blank.
    fn text(&self, out: &mut Vec<u8>, before: &Buffer, next: &Buffer) {
        let (mut at, mut ink) = (None, None);
        for (x, y, cell) in before.diff_iter(next) {
            if at != Some((x, y)) {
                pen::put(out, MoveTo(x, y));
            }
            ink = Some(pen::take(out, ink, cell));
            let painted = self.painted[next.index_of(x, y)];
            let symbol = if painted { " " } else { cell.symbol() };
            out.extend_from_slice(symbol.as_bytes());
            let width = if painted { 1 } else { symbol.width().max(1) as u16 };
            // After the last column the cursor waits for the next character before it wraps.
            at = (x + width < next.area.width).then_some((x + width, y));
        }
        if ink.is_some() {
            pen::put(out, ResetColor);
        }
    }

    /// Adds the cursor and the frame around the changes.
    fn whole(&mut self, changes: Vec<u8>, cursor: Option<Position>, live: bool) -> Frame {
        if changes.is_empty() && cursor == self.cursor {
            return Frame { bytes: Vec::new(), asks: false };
        }
        let (mut bytes, asks) = (Vec::new(), live && !changes.is_empty());
        pen::put(&mut bytes, BeginSynchronizedUpdate);
        pen::put(&mut bytes, Hide);
        bytes.extend(changes);
        if let Some(at) = cursor {
            pen::put(&mut bytes, MoveTo(at.x, at.y));
            pen::put(&mut bytes, Show);
        }
        pen::put(&mut bytes, EndSynchronizedUpdate);
        if asks {
            bytes.extend_from_slice(ASK);
        }
        self.cursor = cursor;
        Frame { bytes, asks }
    }
}
