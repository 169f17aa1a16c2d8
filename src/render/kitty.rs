//! The kitty graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol).
//!
//! Pictures are reduced to the resolution of their cells and sent as PNG in chunks. Files and
//! shared memory are not used, because only bytes cross SSH. Inside tmux pictures become Unicode
//! placeholders, which tmux moves like any text.

use super::kitty_marks::{COUNT, MARKS};
use super::sink::{ImageSink, fit_cells, pixel_columns, put_rows, reduced, unwritten};
use super::terminal::Terminal;
use super::tmux;
use crate::error::Result;
use crate::image::{Raster, encode};
use crate::store::base64;
use std::io::Write;

/// Base64 characters in a chunk.
const CHUNK: usize = 4096;
/// Number of pictures on screen and in the scrollback; each further picture frees the oldest.
const KEPT: u32 = 200;
/// Most rows and columns that placeholders can number.
pub const NUMBERED: u16 = COUNT as u16;
/// The id of the live preview.
const PREVIEW: u32 = 255;
/// The bit of the ids of full screens.
const FULL: u32 = 1 << 23;

/// Sends pictures to kitty or ghostty.
pub struct Kitty {
    cell: (u16, u16),
    passthrough: bool,
    /// The upper two bytes of all ids, so that processes on one terminal do not overwrite each
    /// other's pictures, nor a full screen those of the prompt.
    base: u32,
    sent: u32,
}

impl Kitty {
    /// Makes a sink for a terminal; ids contain the process id, so that processes do not share
    /// them.
    pub fn new(terminal: &Terminal, process: u32) -> Self {
        // Ids have 24 bits, because placeholders carry them as a colour. The upper bytes are never
        // 0.
        let base = (process % 0x7fff + 1) << 8;
        Self { cell: terminal.cell, passthrough: terminal.passthrough, base, sent: 0 }
    }

    /// As [`Kitty::new`], with ids that no picture of the prompt has. In tmux both are on one
    /// screen of the outer terminal.
    pub fn full(terminal: &Terminal, process: u32) -> Self {
        let mut kitty = Self::new(terminal, process);
        kitty.base |= FULL;
        kitty
    }

    fn command(&self, out: &mut dyn Write, keys: &str, payload: &str) -> Result<()> {
        let body = if payload.is_empty() { keys.to_string() } else { format!("{keys};{payload}") };
        let sequence = format!("\x1b_G{body}\x1b\\");
        let sequence = if self.passthrough { tmux::wrap(&sequence) } else { sequence };
        out.write_all(sequence.as_bytes()).map_err(unwritten)
    }

    /// The id of the `n`th picture of a caller that counts its own pictures, for the next methods.
    pub fn id(&self, n: u32) -> u32 {
        self.base | (n % KEPT + 1)
    }

    /// Sends a picture that will be shown in `cells`, without showing it, and returns its size in
    /// pixels. In tmux it appears at its [`placeholder`]s.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn store(
        &self,
        out: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
        id: u32,
    ) -> Result<(usize, usize)> {
        let cells = self.bounded(cells);
        let sent = self.padded(&reduced(picture, self.cell, cells)?, cells)?;
        let place = format!("a=T,f=100,q=2,i={id},p=1,c={},r={},U=1,", cells.0, cells.1);
        let keys = if self.passthrough { place } else { format!("a=t,f=100,q=2,i={id},") };
        self.chunks(out, keys, &encode::png(&sent, &[])?)?;
        Ok((sent.width, sent.height))
    }

    /// Shows a part of a stored picture at the cursor, which does not move. The same `placement` of
    /// a picture shown again moves it.
    ///
    /// # Errors
    /// When the write fails.
    pub fn place(
        &self,
        out: &mut dyn Write,
        (id, placement): (u32, u32),
        [x, y, w, h]: [usize; 4],
        (columns, rows): (u16, u16),
    ) -> Result<()> {
        let keys = format!(
            "a=p,q=2,i={id},p={placement},x={x},y={y},w={w},h={h},c={columns},r={rows},C=1"
        );
        self.command(out, &keys, "")
    }

    /// Removes one placement of a picture and keeps its data.
    ///
    /// # Errors
    /// When the write fails.
    pub fn unplace(&self, out: &mut dyn Write, (id, placement): (u32, u32)) -> Result<()> {
        self.command(out, &format!("a=d,d=i,i={id},p={placement},q=2"), "")
    }

    /// Removes a picture and its data.
    ///
    /// # Errors
    /// When the write fails.
    pub fn delete(&self, out: &mut dyn Write, id: u32) -> Result<()> {
        self.command(out, &format!("a=d,d=I,i={id},q=2"), "")
    }

    /// Makes the terminal draw the pictures of the screen that a full screen gives back: kitty 0.26
    /// shows them where those of the full screen were, until some picture changes. An invisible
    /// one comes and goes.
    ///
    /// # Errors
    /// When the write fails.
    pub fn refresh(&self, out: &mut dyn Write) -> Result<()> {
        let id = self.base | PREVIEW;
        self.command(out, &format!("a=T,f=32,s=1,v=1,i={id},p=1,q=2,C=1"), "AAAAAA==")?;
        self.delete(out, id)
    }

    /// The next id; frees the picture that had it before.
    fn take_id(&mut self, out: &mut dyn Write) -> Result<u32> {
        let id = self.base | (self.sent % KEPT + 1);
        if self.sent >= KEPT {
            self.delete(out, id)?;
        }
        self.sent += 1;
        Ok(id)
    }

    /// Sends a picture and shows it at the cursor or, in tmux, at its placeholders.
    fn transmit(
        &self,
        out: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
        id: u32,
    ) -> Result<()> {
        let small = reduced(picture, self.cell, cells)?;
        let png = encode::png(&self.padded(&small, cells)?, &[])?;
        let (columns, rows) = cells;
        let place = if self.passthrough { "U=1" } else { "C=1" };
        let keys = format!("a=T,f=100,q=2,i={id},p=1,c={columns},r={rows},{place},");
        self.chunks(out, keys, &png)
    }

    fn chunks(&self, out: &mut dyn Write, mut keys: String, png: &[u8]) -> Result<()> {
        let text = base64::encode(png);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(rest.len().min(CHUNK));
            self.command(out, &format!("{keys}m={}", u8::from(!tail.is_empty())), chunk)?;
            keys = "q=2,".into();
            rest = tail;
        }
        Ok(())
    }

    /// The picture with transparent pixels on its right or bottom side. Stretching it over whole
    /// cells then keeps its aspect ratio.
    fn padded(&self, picture: &Raster, cells: (u16, u16)) -> Result<Raster> {
        let frame = (
            usize::from(cells.0) * usize::from(self.cell.0),
            usize::from(cells.1) * usize::from(self.cell.1),
        );
        let (w, h) = (picture.width, picture.height);
        let (wide, high) =
            (w.max((h * frame.0).div_ceil(frame.1)), h.max((w * frame.1).div_ceil(frame.0)));
        if (wide, high) == (w, h) {
            return Ok(picture.clone());
        }
        let mut all = Raster::filled(wide, high, &[0; 4])?;
        for (from, to) in picture.data.chunks_exact(w * 3).zip(all.data.chunks_exact_mut(wide * 4))
        {
            for (p, q) in from.chunks_exact(3).zip(to.chunks_exact_mut(4)) {
                q.copy_from_slice(&[p[0], p[1], p[2], 255]);
            }
        }
        Ok(all)
    }

    fn show(
        &self,
        out: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
        id: u32,
    ) -> Result<()> {
        let cells = self.bounded(cells);
        self.transmit(out, picture, cells, id)?;
        if self.passthrough { put_rows(out, &placeholders(id, cells), cells.0) } else { Ok(()) }
    }

    /// Limits the rows to those that placeholders can number.
    fn bounded(&self, cells: (u16, u16)) -> (u16, u16) {
        let most = if self.passthrough { NUMBERED } else { u16::MAX };
        (cells.0.max(1), cells.1.clamp(1, most))
    }
}

impl ImageSink for Kitty {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        let id = self.take_id(out)?;
        self.show(out, picture, cells, id)
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        fit_cells(picture, self.cell, self.bounded(room))
    }

    fn rows(
        &mut self,
        out: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
    ) -> Result<Option<Vec<String>>> {
        if !self.passthrough {
            return Ok(None);
        }
        let (id, cells) = (self.take_id(out)?, self.bounded(cells));
        self.transmit(out, picture, cells, id)?;
        Ok(Some(placeholders(id, cells)))
    }

    fn preview(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        // Sending with the same id and placement replaces the previous picture without flicker.
        self.show(out, picture, cells, self.base | PREVIEW)
    }

    fn clear(&mut self, out: &mut dyn Write) -> Result<()> {
        self.delete(out, self.base | PREVIEW)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        pixel_columns(picture, self.cell)
    }

    fn scrolls(&self) -> bool {
        self.passthrough
    }

    fn wipe(&mut self, out: &mut dyn Write) -> Result<()> {
        // `d=a` deletes the placements on the screen only; pictures in the scrollback stay.
        self.command(out, "a=d,d=a,q=2", "")
    }
}

/// The character that shows one cell of a stored picture in tmux, and its colour. The cells to the
/// right of it may be [`PLACEHOLDER`] alone. `None` beyond the cells that the protocol can number.
pub fn placeholder(id: u32, (column, row): (u16, u16)) -> Option<(String, [u8; 3])> {
    let [_, r, g, b] = id.to_be_bytes();
    let (row, column) = (MARKS.get(usize::from(row))?, MARKS.get(usize::from(column))?);
    Some((format!("{PLACEHOLDER}{row}{column}"), [r, g, b]))
}

/// The character of a placeholder without its marks.
pub const PLACEHOLDER: char = '\u{10eeee}';

/// Rows of placeholder characters. Their colour is the id; two marks on the first character of a
/// row encode row and column, and the other columns count on from it.
fn placeholders(id: u32, (columns, rows): (u16, u16)) -> Vec<String> {
    let [_, r, g, b] = id.to_be_bytes();
    let row = |mark: &char| {
        let rest = "\u{10eeee}".repeat(usize::from(columns.saturating_sub(1)));
        format!("\x1b[38;2;{r};{g};{b}m\u{10eeee}{mark}{}{rest}\x1b[39m", MARKS[0])
    };
    MARKS.iter().take(usize::from(rows)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kitty(passthrough: bool) -> Kitty {
        Kitty::new(&Terminal { passthrough, ..Terminal::plain("test") }, 0)
    }

    #[test]
    fn old_ids_are_freed_and_the_preview_has_its_own() {
        let mut k = kitty(false);
        let p = Raster::filled(1, 1, &[0, 0, 0]).unwrap();
        let mut out = Vec::new();
        for _ in 0..=KEPT {
            k.put(&mut out, &p, (1, 1)).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("a=d,d=I,i=257,q=2").count(), 1);
        assert_eq!(text.matches("a=d").count(), 1);
        assert_eq!(text.matches("i=257,p=1").count(), 2);
        let mut out = Vec::new();
        k.preview(&mut out, &p, (1, 1)).unwrap();
        k.clear(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().matches("i=511,").count(), 2);
    }

    #[test]
    fn placeholders_in_tmux() {
        let mut out = Vec::new();
        let p = Raster::filled(16, 32, &[9, 9, 9]).unwrap();
        let rows = kitty(true).rows(&mut out, &p, (2, 2)).unwrap().unwrap();
        assert_eq!(rows[1], "\x1b[38;2;0;1;1m\u{10eeee}\u{30d}\u{305}\u{10eeee}\x1b[39m");
        let sent = String::from_utf8(out).unwrap();
        assert!(sent.starts_with("\x1bPtmux;\x1b\x1b_Ga=T,f=100,q=2,i=257,p=1,c=2,r=2,U=1,m=0;"));
        assert!(sent.ends_with("\x1b\x1b\\\x1b\\"));
        assert_eq!(kitty(true).cells(&Raster::filled(1, 500, &[0]).unwrap(), (500, 500)).1, 297);
    }

    #[test]
    fn padding_keeps_the_aspect() {
        let p = Raster::filled(10, 10, &[1, 2, 3]).unwrap();
        assert_eq!(kitty(false).padded(&p, (2, 1)).unwrap(), p);
        let wide = kitty(false).padded(&p, (3, 1)).unwrap();
        assert_eq!(
            (wide.width, wide.height, wide.pixel(9, 9)[3], wide.pixel(10, 9)[3]),
            (15, 10, 255, 0)
        );
    }
}
