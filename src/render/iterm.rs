//! iTerm2's inline images (iterm2.com/documentation-images.html), also understood by WezTerm,
//! Konsole and mlterm.

use super::sink::{ImageSink, fit_cells, pixel_columns, reduced, unwritten};
use super::terminal::Terminal;
use super::tmux;
use crate::error::Result;
use crate::image::{Raster, encode};
use crate::store::base64;
use crossterm::cursor::{RestorePosition, SavePosition};
use std::io::Write;

/// Size in bytes above which a picture is sent as JPEG instead of PNG. Small pictures are exact;
/// large ones must not take seconds on a slow connection.
const EXACT_BYTES: usize = 384 << 10;
const QUALITY: u8 = 92;

/// Sends pictures to iTerm2 and compatible terminals.
pub struct Iterm {
    cell: (u16, u16),
    passthrough: bool,
}

impl Iterm {
    /// Makes a sink for a terminal.
    pub fn new(terminal: &Terminal) -> Self {
        Self { cell: terminal.cell, passthrough: terminal.passthrough }
    }

    /// Sends a picture as it is; the terminal fits it into the cells.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn send(&self, out: &mut dyn Write, small: &Raster, cells: (u16, u16)) -> Result<()> {
        let png = encode::png(small, &[])?;
        let file = if png.len() > EXACT_BYTES { encode::jpeg(small, QUALITY)? } else { png };
        let (columns, rows) = cells;
        let keys = format!(
            "inline=1;size={};width={columns};height={rows};preserveAspectRatio=1",
            file.len()
        );
        let sequence =
            format!("\x1b]1337;File={keys};doNotMoveCursor=1:{}\x07", base64::encode(&file));
        let sequence = if self.passthrough { tmux::wrap(&sequence) } else { sequence };
        // Some of these terminals ignore doNotMoveCursor, so the cursor is saved and restored as
        // well.
        write!(out, "{SavePosition}{sequence}{RestorePosition}").map_err(unwritten)
    }
}

impl ImageSink for Iterm {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        self.send(out, &reduced(picture, self.cell, cells)?, cells)
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        fit_cells(picture, self.cell, room)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        pixel_columns(picture, self.cell)
    }
}
