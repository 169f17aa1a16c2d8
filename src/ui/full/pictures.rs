//! Pictures of a frame in each protocol.
//!
//! Blocks and tmux placeholders are cells of the frame. kitty keeps pictures and shows parts of
//! them. Sixels and iTerm2's pictures are painted over cells, so their cells are marked: a mark
//! that appears is written as a blank, and one that goes is overwritten by what comes.

use super::cache::{BUDGET, Cache};
use super::canvas::Visible;
use super::pixels::Pixels;
use crate::error::Result;
use crate::render::blocks::{self, Blocks};
use crate::render::kitty::{Kitty, PLACEHOLDER, placeholder};
use crate::render::sinks::sink_for;
use crate::render::text::{cut, described, wrap};
use crate::render::{Colours, ImageSink, Protocol, Terminal};
use crate::ui::pen;
use crossterm::cursor::MoveTo;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Pictures that kitty keeps although they are not on the screen, for scrolling back.
const STORED: usize = 48;
/// Shows the pictures of frames on one terminal.
pub(super) struct Pictures {
    /// Sizes pictures.
    pub(super) sink: Box<dyn ImageSink>,
    pub(super) cell: (u16, u16),
    colours: Colours,
    /// Whether tmux passes pictures on without knowing them.
    passthrough: bool,
    way: Way,
    /// What is on the screen.
    shown: Vec<Shown>,
}

enum Way {
    Text(Cache<String>),
    Blocks(Blocks, Cache<Vec<blocks::Cell>>),
    Kitty(Stored),
    Pixels(Pixels),
}

/// The pictures that kitty keeps.
struct Stored {
    kitty: Kitty,
    /// Whether pictures appear at placeholders.
    placeholders: bool,
    all: Vec<Kept>,
    count: u32,
}

/// A picture in kitty's memory.
struct Kept {
    key: (u64, (u16, u16)),
    id: u32,
    /// Its size in pixels.
    pixels: (usize, usize),
}

/// A picture on the screen.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    seen: Visible,
    /// kitty's number of the picture, and of this placement.
    place: (u32, u32),
}

impl Pictures {
    pub(super) fn new(terminal: &Terminal) -> Self {
        let way = match terminal.protocol {
            Protocol::Words | Protocol::None => Way::Text(Cache::new(1 << 20)),
            Protocol::Blocks => Way::Blocks(Blocks::new(terminal), Cache::new(BUDGET)),
            Protocol::Kitty => Way::Kitty(Stored {
                kitty: Kitty::full(terminal, std::process::id()),
                placeholders: terminal.passthrough,
                all: Vec::new(),
                count: 0,
            }),
            Protocol::Sixel => Way::Pixels(Pixels::sixel(terminal)),
            Protocol::Iterm => Way::Pixels(Pixels::iterm(terminal)),
        };
        Self {
            sink: sink_for(terminal),
            cell: terminal.cell,
            colours: terminal.colours,
            passthrough: terminal.passthrough,
            way,
            shown: Vec::new(),
        }
    }

    /// Whether a sixel may scroll the screen when it reaches the last row.
    pub(super) fn spares_last_row(&self) -> bool {
        matches!(&self.way, Way::Pixels(p) if p.scrolls())
    }

    /// Frees what stays in the outer terminal of tmux, whose pictures belong to no screen of ours.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.passthrough { self.begin_again(out) } else { Ok(()) }
    }

    /// Whether switching to another window may lose pictures.
    pub(super) fn forgotten_unseen(&self) -> bool {
        self.passthrough && matches!(self.way, Way::Kitty(_) | Way::Pixels(_))
    }

    /// Whether pictures are painted over cells, which are then blank.
    pub(super) fn paint_over(&self) -> bool {
        matches!(self.way, Way::Pixels(_))
    }

    /// Whether pictures of this kind can be covered in part: they are cells themselves.
    pub(super) fn are_cells(&self) -> bool {
        match &self.way {
            Way::Text(_) | Way::Blocks(..) => true,
            Way::Kitty(stored) => stored.placeholders,
            Way::Pixels(_) => false,
        }
    }

    /// Writes what belongs into the cells of a frame. `free` says whether a cell is not covered.
    /// Bytes that must come before the cells go to `out`.
    pub(super) fn cells(
        &mut self,
        out: &mut Vec<u8>,
        buffer: &mut Buffer,
        placed: &[Visible],
        free: &dyn Fn(u16, u16) -> bool,
    ) -> Result<()> {
        for seen in placed {
            match &mut self.way {
                Way::Text(cache) => words(cache, buffer, seen, free)?,
                Way::Blocks(painter, cache) => {
                    let key = (seen.image.hash(), seen.size, Rect::default());
                    let grid = cache.get(key, || {
                        let grid = painter.grid(seen.image.raster(), seen.size)?;
                        let bytes = grid.len() * size_of::<blocks::Cell>();
                        Ok::<_, crate::error::Error>((grid, bytes))
                    })?;
                    each(seen, free, |x, y, k| {
                        let Some(cell) = grid.get(k) else { return };
                        pen::block(&mut buffer[(x, y)], cell, self.colours);
                    });
                }
                Way::Kitty(stored) if stored.placeholders => {
                    let (id, _) = stored.keep(out, seen)?;
                    each(seen, free, |x, y, k| marked(buffer, (x, y), (id, k), seen));
                }
                Way::Kitty(_) => {}
                Way::Pixels(_) => {
                    each(seen, free, |x, y, _| {
                        buffer[(x, y)].reset();
                        buffer[(x, y)].set_char(mark(seen));
                    });
                }
            }
        }
        if let Way::Kitty(stored) = &mut self.way
            && stored.placeholders
        {
            stored
                .forget_some(out, |key| placed.iter().any(|s| (s.image.hash(), s.size) == key))?;
        }
        Ok(())
    }

    /// Writes what is shown above the cells, after them.
    pub(super) fn above(&mut self, out: &mut Vec<u8>, placed: Vec<Visible>) -> Result<()> {
        let before = std::mem::take(&mut self.shown);
        match &mut self.way {
            Way::Text(_) | Way::Blocks(..) => {}
            Way::Kitty(stored) if stored.placeholders => {}
            Way::Kitty(stored) => self.shown = stored.show(out, placed, &before)?,
            Way::Pixels(pixels) => {
                for seen in placed {
                    if !before.iter().any(|s| s.seen == seen) {
                        pen::put(out, MoveTo(seen.at.x, seen.at.y));
                        out.extend_from_slice(&pixels.part(&seen, self.cell)?);
                    }
                    self.shown.push(Shown { seen, place: (0, 0) });
                }
            }
        }
        Ok(())
    }

    /// Forgets what the terminal shows and keeps, because the whole screen is drawn again.
    pub(super) fn begin_again(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.shown.clear();
        if let Way::Kitty(stored) = &mut self.way {
            for kept in std::mem::take(&mut stored.all) {
                stored.kitty.delete(out, kept.id)?;
            }
        }
        Ok(())
    }
}

/// Calls `to` for every visible cell that is free, with its place on the screen and its index in
/// the whole picture.
fn each(seen: &Visible, free: &dyn Fn(u16, u16) -> bool, mut to: impl FnMut(u16, u16, usize)) {
    for row in 0..seen.part.height {
        for column in 0..seen.part.width {
            let (x, y) = (seen.at.x + column, seen.at.y + row);
            let (across, down) = (seen.part.x + column, seen.part.y + row);
            if free(x, y) {
                to(x, y, usize::from(down) * usize::from(seen.size.0) + usize::from(across));
            }
        }
    }
}

/// Describes a picture on its visible rows.
fn words(
    cache: &mut Cache<String>,
    buffer: &mut Buffer,
    seen: &Visible,
    free: &dyn Fn(u16, u16) -> bool,
) -> Result<()> {
    let key = (seen.image.hash(), (0, 0), Rect::default());
    let text = cache.get(key, || {
        let text = described(seen.image.raster(), seen.image.words())?;
        let bytes = text.len();
        Ok::<_, crate::error::Error>((text, bytes))
    })?;
    let (columns, rows) = (usize::from(seen.part.width), usize::from(seen.part.height));
    let mut lines = wrap(&text, columns);
    if lines.len() > rows {
        // The last row says that there is more.
        let rest = lines.split_off(rows - 1).join(" ");
        lines.push(rest);
    }
    for (y, line) in (seen.at.y..).zip(lines) {
        if free(seen.at.x, y) {
            let line = cut(&line, columns);
            buffer.set_string(seen.at.x, y, line, ratatui::style::Style::new());
        }
    }
    Ok(())
}

/// Writes a placeholder: the first visible cell of a row has its marks, the others count on.
fn marked(buffer: &mut Buffer, at: (u16, u16), (id, k): (u32, usize), seen: &Visible) {
    let columns = usize::from(seen.size.0);
    let (column, row) = ((k % columns) as u16, (k / columns) as u16);
    let Some((symbol, [r, g, b])) = placeholder(id, (seen.part.x, row)) else { return };
    let cell = &mut buffer[at];
    cell.reset();
    cell.fg = Color::Rgb(r, g, b);
    match placeholder(id, (column, row)) {
        Some((own, _)) => cell.set_symbol(&own),
        None if column == seen.part.x => cell.set_symbol(&symbol),
        None => cell.set_char(PLACEHOLDER),
    };
}

/// The mark of a picture's cells: another one when the picture moves or has another shape, so that
/// its cells are cleared; the same when only its content changes, so that nothing flickers.
fn mark(seen: &Visible) -> char {
    let mut hasher = DefaultHasher::new();
    let raster = seen.image.raster();
    let origin = (
        i32::from(seen.at.x) - i32::from(seen.part.x),
        i32::from(seen.at.y) - i32::from(seen.part.y),
    );
    (origin, seen.size, raster.width, raster.height).hash(&mut hasher);
    // A private plane; the cells are never written with it.
    char::from_u32(0xf_0000 + (hasher.finish() % 0xfffd) as u32).unwrap_or(' ')
}

impl Stored {
    /// Sends a picture unless kitty has it; returns its number and size in pixels.
    fn keep(&mut self, out: &mut Vec<u8>, seen: &Visible) -> Result<(u32, (usize, usize))> {
        let key = (seen.image.hash(), seen.size);
        if let Some(at) = self.all.iter().position(|k| k.key == key) {
            // The order is that of use.
            let kept = self.all.remove(at);
            let found = (kept.id, kept.pixels);
            self.all.push(kept);
            return Ok(found);
        }
        let id = self.free_id();
        let pixels = self.kitty.store(out, seen.image.raster(), seen.size, id)?;
        self.all.push(Kept { key, id, pixels });
        Ok((id, pixels))
    }

    /// The next number that no kept picture has: one that was sent long ago may still be shown.
    fn free_id(&mut self) -> u32 {
        let mut id = self.kitty.id(self.count);
        for _ in 0..self.all.len() {
            if self.all.iter().all(|k| k.id != id) {
                break;
            }
            self.count += 1;
            id = self.kitty.id(self.count);
        }
        self.count += 1;
        id
    }

    /// Deletes the pictures beyond [`STORED`] that are not in use.
    fn forget_some(
        &mut self,
        out: &mut Vec<u8>,
        used: impl Fn((u64, (u16, u16))) -> bool,
    ) -> Result<()> {
        while self.all.len() > STORED {
            let Some(at) = self.all.iter().position(|k| !used(k.key)) else { break };
            let kept = self.all.remove(at);
            self.kitty.delete(out, kept.id)?;
        }
        Ok(())
    }

    fn show(
        &mut self,
        out: &mut Vec<u8>,
        placed: Vec<Visible>,
        before: &[Shown],
    ) -> Result<Vec<Shown>> {
        let mut shown: Vec<Shown> = Vec::new();
        for seen in placed {
            let (id, pixels) = self.keep(out, &seen)?;
            let number = 1 + shown.iter().filter(|s| s.place.0 == id).count() as u32;
            let one = Shown { seen, place: (id, number) };
            if !before.contains(&one) {
                pen::put(out, MoveTo(one.seen.at.x, one.seen.at.y));
                let part = one.seen.source(pixels);
                let cells = (one.seen.part.width, one.seen.part.height);
                self.kitty.place(out, one.place, part, cells)?;
            }
            shown.push(one);
        }
        for old in before.iter().filter(|o| shown.iter().all(|s| s.place != o.place)) {
            self.kitty.unplace(out, old.place)?;
        }
        let used: Vec<_> = shown.iter().map(|s| (s.seen.image.hash(), s.seen.size)).collect();
        self.forget_some(out, |key| used.contains(&key))?;
        Ok(shown)
    }
}
