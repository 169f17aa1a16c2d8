//! DEC sixel graphics, for xterm, foot, mlterm, Windows Terminal and tmux.

use super::indexed::Indexed;
use super::sink::{ImageSink, fit_cells, fit_pixels, pixel_columns, unwritten};
use super::terminal::Terminal;
use crate::error::{Error, Result};
use crate::image::{Filter, Raster, resize};
use crossterm::cursor::{RestorePosition, SavePosition};
use icy_sixel::{EncodeOptions, SixelImage, sixel_encode};
use std::collections::BTreeSet;
use std::io::Write;

/// Colours of a picture that is replaced soon: it has less than half the bytes of 256 colours.
const FEW: u16 = 64;

/// Pixels from which the colours of a full screen's picture are chosen.
const SAMPLED: usize = 1 << 14;

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
    /// A picture in its final resolution, in 256 dithered colours, which are chosen from at most
    /// 16,384 pixels.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn indexed(&self, picture: &Raster, cells: (u16, u16)) -> Result<Indexed> {
        let sized = self.pixels(picture, cells)?;
        Indexed::new(&sized, palette(&sampled(&sized)?)?)
    }

    /// Paints a part of a picture, pixel by pixel, at the cursor, which does not move: left, top,
    /// width and height in pixels.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn send(&self, out: &mut dyn Write, picture: &Indexed, part: [usize; 4]) -> Result<()> {
        framed(out, &picture.part(part))
    }
}

/// Pixels of a picture at even distances, at most [`SAMPLED`].
fn sampled(sized: &Raster) -> Result<Raster> {
    let pixels = (sized.width * sized.height) as f64;
    let step = (pixels / SAMPLED as f64).sqrt().ceil().max(1.0) as usize;
    let places = |length: usize| (step / 2).min(length - 1)..length;
    let (columns, rows) = (places(sized.width), places(sized.height));
    let row = |y| columns.clone().step_by(step).flat_map(move |x| sized.pixel(x, y));
    let data = rows.clone().step_by(step).flat_map(row).copied().collect();
    Raster::new(columns.len().div_ceil(step), rows.len().div_ceil(step), sized.channels, data)
}

/// The colours in which the encoder shows a picture.
fn palette(picture: &Raster) -> Result<Vec<[u8; 3]>> {
    // It hands out its colours as text only.
    let text = encoded(picture, &EncodeOptions::default())?;
    let drawn = SixelImage::decode(text.as_bytes()).map_err(|e| unencoded(&e))?;
    let pixels = drawn.pixels.as_chunks::<4>().0.iter();
    let colours = pixels.filter(|p| p[3] > 0).map(|[r, g, b, _]| [*r, *g, *b]);
    Ok(colours.collect::<BTreeSet<_>>().into_iter().collect())
}

fn encoded(sized: &Raster, options: &EncodeOptions) -> Result<String> {
    let sized = sized.convert(4)?.0;
    sixel_encode(&sized.data, sized.width, sized.height, options).map_err(|e| unencoded(&e))
}

fn unencoded(e: &icy_sixel::SixelError) -> Error {
    Error::runtime(format!("cannot write a picture as sixel: {e}"))
}

/// Terminals disagree on the final position of the cursor.
fn framed(out: &mut dyn Write, sixel: &str) -> Result<()> {
    write!(out, "{SavePosition}{sixel}{RestorePosition}").map_err(unwritten)
}

impl ImageSink for Sixel {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        framed(out, &encoded(&self.pixels(picture, cells)?, &EncodeOptions::default())?)
    }

    fn preview(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        let options = EncodeOptions { max_colors: FEW, ..EncodeOptions::default() };
        framed(out, &encoded(&self.pixels(picture, cells)?, &options)?)
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        fit_cells(picture, self.cell, room)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        pixel_columns(picture, self.cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_a_full_screen_is_as_near_as_the_encoder_makes_it() {
        let pixel = |k: usize| {
            let (x, y) = ((k % 200) as f64 / 200.0, (k / 200) as f64 / 150.0);
            let wave = (40.0 * x * y).sin() * 0.25 + 0.5;
            [x * 0.8 + 0.1, wave, 1.0 - y].map(|v| (v * 255.0) as u8)
        };
        let all = Raster::new(200, 150, 3, (0..30_000).flat_map(pixel).collect()).unwrap();
        let sixel = Sixel { cell: (10, 15) };
        let own = sixel.indexed(&all, (20, 10)).unwrap();
        assert_eq!(own.size(), (200, 150));
        let whole = encoded(&all, &EncodeOptions::default()).unwrap();
        // The mean of 4×4 pixels is what an eye sees of a dithered picture.
        let error = |text: &str| {
            let shown = SixelImage::decode(text.as_bytes()).unwrap();
            let rgb = shown.pixels.as_chunks::<4>().0.iter().take(30_000);
            let shown = Raster::new(200, 150, 3, rgb.flat_map(|p| [p[0], p[1], p[2]]).collect());
            let small = |r: &Raster| resize(r, 50, 36, Filter::Area).unwrap().data;
            let pairs = small(&shown.unwrap()).into_iter().zip(small(&all));
            pairs.map(|(a, b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>()
        };
        let (own, theirs) = (error(&own.part([0, 0, 200, 150])), error(&whole));
        assert!(own < 2.0 * theirs, "{own} {theirs}");
    }

    #[test]
    fn colours_are_chosen_from_few_pixels_of_any_picture() {
        for (w, h) in [(1, 1), (3, 900), (700, 500), (128, 128)] {
            let all = Raster::filled(w, h, &[9, 200, 77]).unwrap();
            let few = sampled(&all).unwrap();
            assert!(few.width * few.height <= SAMPLED + w + h, "{w} {h}");
            assert!(few.width >= 1 && few.height >= 1 && few.width <= w && few.height <= h);
            assert_eq!(palette(&few).unwrap().len(), 1);
        }
    }
}
