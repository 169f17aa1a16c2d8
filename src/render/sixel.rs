//! DEC sixel graphics, for xterm, foot, mlterm, Windows Terminal and tmux.

use super::sink::{ImageSink, fit_cells, fit_pixels, pixel_columns, unwritten};
use super::terminal::Terminal;
use crate::error::{Error, Result};
use crate::image::{Filter, Raster, resize};
use crossterm::cursor::{RestorePosition, SavePosition};
use icy_sixel::{EncodeOptions, sixel_encode};
use std::io::Write;

/// Colours of a picture that is replaced soon: it has less than half the bytes of 256 colours.
const FEW: u16 = 64;

/// Sends pictures as sixels of 256 dithered colours.
pub struct Sixel {
    cell: (u16, u16),
}

impl Sixel {
    /// Makes a sink for a terminal.
    pub fn new(terminal: &Terminal) -> Self {
        Self { cell: terminal.cell }
    }

    /// The picture in its final resolution, because terminals do not scale sixels: reduced by the
    /// mean over areas, enlarged by a cubic, which shows no squares.
    pub fn pixels(&self, picture: &Raster, cells: (u16, u16)) -> Result<Raster> {
        let (w, h) = fit_pixels(picture, self.cell, cells);
        let filter = if w > picture.width { Filter::Bicubic } else { Filter::Area };
        resize(&picture.converted(3)?.0, w, h, filter)
    }
}

impl Sixel {
    /// Paints a picture pixel by pixel at the cursor, which does not move.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn send(&self, out: &mut dyn Write, sized: &Raster) -> Result<()> {
        encoded(out, sized, &EncodeOptions::default())
    }
}

fn encoded(out: &mut dyn Write, sized: &Raster, options: &EncodeOptions) -> Result<()> {
    let sized = sized.convert(4)?.0;
    let text = sixel_encode(&sized.data, sized.width, sized.height, options)
        .map_err(|e| Error::runtime(format!("cannot write a picture as sixel: {e}")))?;
    // Terminals disagree on the final position of the cursor.
    write!(out, "{SavePosition}{text}{RestorePosition}").map_err(unwritten)
}

impl ImageSink for Sixel {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        self.send(out, &self.pixels(picture, cells)?)
    }

    fn preview(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        let options = EncodeOptions { max_colors: FEW, ..EncodeOptions::default() };
        encoded(out, &self.pixels(picture, cells)?, &options)
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        fit_cells(picture, self.cell, room)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        pixel_columns(picture, self.cell)
    }
}
