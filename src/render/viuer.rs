//! Prints results to standard output through viuer.
//!
//! viuer paints half blocks and iTerm2's inline images. It gets a fixed size, and only after our
//! own probe has decided, so it never queries the terminal. Kitty, sixel, quadrants, sextants,
//! previews and full-screen frames use the other sinks, because viuer can neither place nor erase
//! those pictures.

use super::blocks::Blocks;
use super::sink::{ImageSink, fit_cells, reduced, unwritten};
use super::sinks::sink_for;
use super::terminal::{Protocol, Symbols, Terminal};
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use image::{DynamicImage, RgbImage};
use std::io::Write;

/// The sink for results on the process's terminal: viuer where it fits, otherwise that of
/// [`sink_for`].
pub fn printer_for(terminal: &Terminal) -> Box<dyn ImageSink> {
    if serves(terminal, viuer::is_iterm_supported()) {
        Box::new(Viuer::new(terminal))
    } else {
        sink_for(terminal)
    }
}

/// Whether viuer would use the protocol that the probe found. It detects iTerm2 from the
/// environment, and would paint half blocks if that disagrees with the probe.
fn serves(terminal: &Terminal, iterm: bool) -> bool {
    match terminal.protocol {
        Protocol::Blocks => terminal.symbols == Symbols::Half,
        Protocol::Iterm => iterm && !terminal.passthrough,
        Protocol::Kitty | Protocol::Sixel | Protocol::Words | Protocol::None => false,
    }
}

/// Prints pictures through viuer.
pub struct Viuer {
    terminal: Terminal,
    blocks: Blocks,
    /// Computes sizes and paints previews.
    other: Box<dyn ImageSink>,
}

impl Viuer {
    /// Makes a sink for a terminal with block characters or iTerm2's protocol.
    pub fn new(terminal: &Terminal) -> Self {
        Self {
            terminal: terminal.clone(),
            blocks: Blocks::new(terminal),
            other: sink_for(terminal),
        }
    }

    /// The picture in exactly the resolution that viuer paints, so that viuer does not resize it.
    fn sized(&self, picture: &Raster, cells: (u16, u16)) -> Result<Raster> {
        match self.terminal.protocol {
            Protocol::Iterm => reduced(picture, self.terminal.cell, cells),
            _ => self.blocks.painted(picture, cells),
        }
    }

    fn config(&self, column: u16, cells: (u16, u16)) -> viuer::Config {
        viuer::Config {
            absolute_offset: false,
            x: column,
            y: 0,
            restore_cursor: true,
            width: Some(u32::from(cells.0)),
            height: Some(u32::from(cells.1)),
            truecolor: self.terminal.colours == super::terminal::Colours::True,
            use_kitty: false,
            use_iterm: self.terminal.protocol == Protocol::Iterm,
            ..viuer::Config::default()
        }
    }
}

impl ImageSink for Viuer {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        self.other.put(out, picture, cells)
    }

    fn put_at(
        &mut self,
        out: &mut dyn Write,
        column: u16,
        picture: &Raster,
        cells: (u16, u16),
    ) -> Result<()> {
        let small = self.sized(picture, cells)?;
        let cells = fit_cells(&small, self.cell_of_pixels(), cells);
        let size = (small.width as u32, small.height as u32);
        let rgb = RgbImage::from_raw(size.0, size.1, small.data)
            .ok_or_else(|| Error::runtime("the data of a picture do not match its size"))?;
        // viuer writes to standard output directly, so earlier output must be flushed first.
        out.write_all(b"\r").and_then(|()| out.flush()).map_err(unwritten)?;
        viuer::print(&DynamicImage::ImageRgb8(rgb), &self.config(column, cells))
            .map(drop)
            .map_err(|e| failed(&e))
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        self.other.cells(picture, room)
    }

    #[cfg(any(test, feature = "internals"))]
    fn preview(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        self.other.preview(out, picture, cells)
    }

    #[cfg(any(test, feature = "internals"))]
    fn clear(&mut self, out: &mut dyn Write) -> Result<()> {
        self.other.clear(out)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        self.other.columns(picture)
    }

    fn wipe(&mut self, out: &mut dyn Write) -> Result<()> {
        self.other.wipe(out)
    }
}

impl Viuer {
    /// Pixels of a sized picture in one cell.
    fn cell_of_pixels(&self) -> (u16, u16) {
        if self.terminal.protocol == Protocol::Iterm { self.terminal.cell } else { (1, 2) }
    }
}

fn failed(e: &viuer::ViuError) -> Error {
    match e {
        viuer::ViuError::Io(e) => unwritten(std::io::Error::new(e.kind(), e.to_string())),
        other => Error::new(Kind::Io, format!("viuer could not print a picture: {other}"))
            .hint("--graphics none names the pictures' files instead"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viuer_serves_half_blocks_and_iterm_only() {
        let of = |protocol| Terminal { protocol, ..Terminal::plain("a test") };
        assert!(serves(&of(Protocol::Blocks), false));
        let quad = Terminal { symbols: Symbols::Quad, ..of(Protocol::Blocks) };
        assert!(!serves(&quad, false));
        assert!(serves(&of(Protocol::Iterm), true) && !serves(&of(Protocol::Iterm), false));
        let tmux = Terminal { passthrough: true, ..of(Protocol::Iterm) };
        assert!(!serves(&tmux, true));
        for other in [Protocol::Kitty, Protocol::Sixel, Protocol::None] {
            assert!(!serves(&of(other), true));
        }
    }

    /// Pictures arrive in the painted resolution, so viuer does not resize them.
    #[test]
    fn pictures_are_sized_beforehand() {
        let terminal = Terminal { protocol: Protocol::Blocks, ..Terminal::plain("a test") };
        let sink = Viuer::new(&terminal);
        for size in [(128, 128), (300, 40), (40, 300), (1, 1)] {
            let picture = Raster::filled(size.0, size.1, &[9, 8, 7]).unwrap();
            let cells = sink.cells(&picture, (32, 20));
            let small = sink.sized(&picture, cells).unwrap();
            let image = DynamicImage::ImageRgb8(
                RgbImage::from_raw(small.width as u32, small.height as u32, small.data.clone())
                    .unwrap(),
            );
            let cells = fit_cells(&small, (1, 2), cells);
            let resized = viuer::resize(&image, Some(u32::from(cells.0)), Some(u32::from(cells.1)));
            assert_eq!(resized.into_rgb8().into_raw(), small.data, "{size:?}");
        }
    }
}
