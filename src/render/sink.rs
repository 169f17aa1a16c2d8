//! The trait of picture sinks, and arithmetic that all sinks share.

use crate::error::{Error, Result};
use crate::image::{Filter, Raster, resize};
use crossterm::cursor::{MoveDown, MoveLeft, MoveRight, MoveUp};
use std::io::Write;

/// Paints pictures into rectangles of cells. Sizes in cells are (columns, rows), both at least 1.
pub trait ImageSink: Send {
    /// Paints a picture with its top left corner at the cursor, which does not move. The rows below
    /// must exist, because painting never scrolls.
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()>;

    /// As [`put`](Self::put), but at `column` of the current line. The final column of the cursor
    /// is undefined.
    fn put_at(
        &mut self,
        out: &mut dyn Write,
        column: u16,
        picture: &Raster,
        cells: (u16, u16),
    ) -> Result<()> {
        out.write_all(b"\r").map_err(unwritten)?;
        if column > 0 {
            write!(out, "{}", MoveRight(column)).map_err(unwritten)?;
        }
        self.put(out, picture, cells)
    }

    /// The size of the picture in this room, in cells: as large as fits, with its aspect ratio.
    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16);

    /// The picture as rows of text, one for each row of cells, or `None` if the sink cannot do
    /// that. Data that must be sent first goes to `out`.
    fn rows(
        &mut self,
        out: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
    ) -> Result<Option<Vec<String>>> {
        let _ = (out, picture, cells);
        Ok(None)
    }

    /// As [`put`](Self::put), for a live preview: the terminal may forget a preview when the next
    /// one arrives.
    fn preview(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        self.put(out, picture, cells)
    }

    /// Forgets the preview.
    fn clear(&mut self, out: &mut dyn Write) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Minimum and maximum width of a picture in columns: below it details disappear, above it
    /// nothing is added.
    fn columns(&self, picture: &Raster) -> (u16, u16);

    /// Whether [`rows`](Self::rows) gives text. Text may be taller than the screen, because it
    /// scrolls; pictures that are painted may not.
    fn scrolls(&self) -> bool {
        false
    }

    /// Writes a picture into a file named after `caption` and gives its path; `None` for a sink that
    /// shows pictures.
    fn file(&mut self, picture: &Raster, caption: &str) -> Result<Option<String>> {
        let _ = (picture, caption);
        Ok(None)
    }

    /// Removes all pictures from the screen that erasing text leaves there.
    fn wipe(&mut self, out: &mut dyn Write) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Whether a line of text replaces each picture; `put` then writes that line without its end.
    fn is_text(&self) -> bool {
        false
    }
}

/// The error of a failed write.
pub(super) fn unwritten(e: std::io::Error) -> Error {
    Error::io("cannot write a picture", &e)
}

/// The largest size in cells within `room` that keeps a picture's aspect ratio; `cell` is in
/// pixels. The last row is at least three quarters full: otherwise it would look like a blank line
/// above the caption, and the picture is made a little smaller instead.
pub fn fit_cells(picture: &Raster, cell: (u16, u16), room: (u16, u16)) -> (u16, u16) {
    fit_size((picture.width, picture.height), cell, room)
}

/// As [`fit_cells`], for a picture of so many pixels.
pub fn fit_size(pixels: (usize, usize), cell: (u16, u16), room: (u16, u16)) -> (u16, u16) {
    let (w, h) = (pixels.0.max(1) as f64, pixels.1.max(1) as f64);
    let (cw, ch) = (f64::from(cell.0), f64::from(cell.1));
    let (columns, rows) = (f64::from(room.0.max(1)), f64::from(room.1.max(1)));
    let scale = (columns * cw / w).min(rows * ch / h);
    let high = (h * scale / ch + 0.25).floor().clamp(1.0, rows);
    let scale = scale.min(high * ch / h);
    // Ignores an overlap of less than a thousandth of a cell.
    let wide = (w * scale / cw - 1e-3).ceil().clamp(1.0, columns);
    (wide as u16, high as u16)
}

/// The size in pixels of a picture fitted into `cells`, with its aspect ratio; at least 1×1.
pub fn fit_pixels(picture: &Raster, cell: (u16, u16), cells: (u16, u16)) -> (usize, usize) {
    let limit = (f64::from(cell.0) * f64::from(cells.0), f64::from(cell.1) * f64::from(cells.1));
    let (w, h) = (picture.width as f64, picture.height as f64);
    let scale = (limit.0 / w).min(limit.1 / h);
    let side = |n: f64, most: f64| (n * scale).round().clamp(1.0, most.max(1.0)) as usize;
    (side(w, limit.0), side(h, limit.1))
}

/// The picture as RGB, with alpha over white, reduced by the area filter to the resolution of the
/// cells. Never enlarged.
pub fn reduced(picture: &Raster, cell: (u16, u16), cells: (u16, u16)) -> Result<Raster> {
    let (w, h) = fit_pixels(picture, cell, cells);
    let rgb = picture.to_rgb()?;
    if w < rgb.width || h < rgb.height { resize(&rgb, w, h, Filter::Area) } else { Ok(rgb) }
}

/// Width in columns up to which small pictures are enlarged, to be large enough to judge.
pub(super) const JUDGED: u16 = 40;

/// Width range in columns of a picture that is shown in pixels: large enough to judge, and at most
/// its own size unless it is small.
pub(super) fn pixel_columns(picture: &Raster, cell: (u16, u16)) -> (u16, u16) {
    let own = picture.width.div_ceil(usize::from(cell.0.max(1)));
    (10, u16::try_from(own).unwrap_or(u16::MAX).max(JUDGED))
}

/// Writes rows of text below each other from the cursor on, and moves the cursor back.
pub(super) fn put_rows(out: &mut dyn Write, rows: &[String], columns: u16) -> Result<()> {
    for row in rows {
        write!(out, "{row}{}{}", MoveLeft(columns), MoveDown(1)).map_err(unwritten)?;
    }
    let rows = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    write!(out, "{}", MoveUp(rows)).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_the_aspect() {
        let p = |w, h| Raster::filled(w, h, &[0]).unwrap();
        for (size, room, wanted) in [
            ((128, 128), (32, 24), (32, 16)),
            ((128, 128), (80, 8), (16, 8)),
            ((256, 128), (32, 24), (32, 8)),
            ((1, 8000), (40, 20), (1, 20)),
            ((8000, 1), (40, 20), (40, 1)),
            ((64, 64), (0, 0), (1, 1)),
        ] {
            assert_eq!(fit_cells(&p(size.0, size.1), (8, 16), room), wanted, "{size:?}");
        }
        assert_eq!(fit_pixels(&p(100, 50), (10, 20), (14, 7)), (140, 70));
        assert_eq!(fit_pixels(&p(1, 8000), (10, 20), (1, 2)), (1, 40));
    }

    #[test]
    fn the_row_above_a_caption_is_never_nearly_blank() {
        let p = Raster::filled(128, 128, &[0]).unwrap();
        for cell in [(6, 13), (8, 16), (9, 20), (7, 15), (10, 19), (12, 24)] {
            for room in 2..100 {
                let cells = fit_cells(&p, cell, (room, 60));
                let (w, h) = fit_pixels(&p, cell, cells);
                assert!(w.abs_diff(h) <= 1, "{cell:?} {room}: {w}×{h}");
                let full = h as f64 / f64::from(cell.1);
                let blank = f64::from(cells.1) - full;
                assert!(cells.1 == 1 || blank <= 0.3, "{cell:?} {room}: {cells:?} {blank}");
                assert!(cells.0 <= room);
            }
        }
    }

    #[test]
    fn only_reduced_never_enlarged() {
        let p = Raster::filled(64, 64, &[7, 8, 9]).unwrap();
        assert_eq!(reduced(&p, (8, 16), (4, 2)).unwrap().width, 32);
        assert_eq!(reduced(&p, (8, 16), (40, 20)).unwrap(), p);
    }
}
