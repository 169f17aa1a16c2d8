//! Pictures as coloured characters: half blocks, quadrants, sextants.

use super::sink::{ImageSink, JUDGED, fit_cells, fit_pixels, put_rows};
use super::terminal::{Colours, Symbols, Terminal};
use crate::error::Result;
use crate::image::{Filter, Raster, resize};
use std::fmt::Write as _;
use std::io::Write;

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// Width of a picture in columns beyond which more cells cost more bytes than they show.
const WIDEST: usize = 100;

/// Paints pictures with block characters.
pub struct Blocks {
    cell: (u16, u16),
    colours: Colours,
    symbols: Symbols,
}

impl Blocks {
    /// Makes a painter for a terminal's cells and colours. Without colours it still uses 256: the
    /// user asked for blocks by name.
    pub fn new(terminal: &Terminal) -> Self {
        Self { cell: terminal.cell, colours: terminal.colours, symbols: terminal.symbols }
    }

    /// The picture in the resolution of its cells; the last row may be half empty.
    pub fn pixels(&self, picture: &Raster, cells: (u16, u16)) -> Result<Raster> {
        let (across, down) = self.symbols.pixels();
        // Block pixels are not square: fit in screen pixels, then count in block pixels.
        let (w, h) = fit_pixels(picture, self.cell, cells);
        let count = |side: usize, per: usize, cell: u16, most: u16| {
            let n = (side * per) as f64 / f64::from(cell.max(1));
            (n.round() as usize).clamp(1, usize::from(most.max(1)) * per)
        };
        let size = (count(w, across, self.cell.0, cells.0), count(h, down, self.cell.1, cells.1));
        resize(&picture.converted(3)?.0, size.0, size.1, Filter::Area)
    }

    /// As [`Blocks::pixels`], reduced to the colours that half blocks can show.
    pub(super) fn painted(&self, picture: &Raster, cells: (u16, u16)) -> Result<Raster> {
        let small = self.pixels(picture, cells)?;
        let few = self.colours != Colours::True && self.symbols == Symbols::Half;
        if few { dithered(&small) } else { Ok(small) }
    }

    fn lines(&self, picture: &Raster, cells: (u16, u16)) -> Result<Vec<String>> {
        let small = self.painted(picture, cells)?;
        Ok((0..cells.1.max(1))
            .map(|row| self.line(&small, usize::from(row), usize::from(cells.0.max(1))))
            .collect())
    }

    /// The characters of a picture, row by row, `cells.0` in each row.
    ///
    /// # Errors
    /// When the picture cannot be resampled.
    pub fn grid(&self, picture: &Raster, cells: (u16, u16)) -> Result<Vec<Cell>> {
        let small = self.painted(picture, cells)?;
        let (columns, rows) = (usize::from(cells.0.max(1)), usize::from(cells.1.max(1)));
        Ok((0..rows * columns).map(|i| self.cell(&small, i / columns, i % columns)).collect())
    }

    fn cell(&self, small: &Raster, row: usize, column: usize) -> Cell {
        let (across, down) = self.symbols.pixels();
        let at = |k: usize| {
            let (x, y) = (column * across + k % across, row * down + k / across);
            (x < small.width && y < small.height).then(|| colour(small.pixel(x, y)))
        };
        let pixels: Vec<_> = (0..across * down).map(at).collect();
        match self.symbols {
            Symbols::Half => half(pixels[0], pixels[1]),
            _ => two_colours(&pixels, self.symbols),
        }
    }

    fn line(&self, small: &Raster, row: usize, columns: usize) -> String {
        let mut text = String::new();
        let mut pen = [None, None];
        for column in 0..columns {
            let cell = self.cell(small, row, column);
            self.change(&mut text, &mut pen, [cell.ink, cell.paper]);
            text.push(cell.symbol);
        }
        text.push_str("\x1b[0m");
        text
    }

    /// Writes the colours that differ from the current ones; `None` is the terminal's default.
    fn change(&self, text: &mut String, pen: &mut [Option<Rgb>; 2], wanted: [Option<Rgb>; 2]) {
        // Writing to a string cannot fail.
        for (k, now) in wanted.into_iter().enumerate() {
            if pen[k] == now {
                continue;
            }
            let base = 38 + 10 * k;
            let _ = match (now, self.colours) {
                (None, _) => write!(text, "\x1b[{}m", base + 1),
                (Some([r, g, b]), Colours::True) => write!(text, "\x1b[{base};2;{r};{g};{b}m"),
                (Some(c), _) => write!(text, "\x1b[{base};5;{}m", indexed(c)),
            };
            pen[k] = now;
        }
    }
}

impl ImageSink for Blocks {
    fn put(&mut self, out: &mut dyn Write, picture: &Raster, cells: (u16, u16)) -> Result<()> {
        put_rows(out, &self.lines(picture, cells)?, cells.0)
    }

    fn cells(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        fit_cells(picture, self.cell, room)
    }

    fn rows(
        &mut self,
        _: &mut dyn Write,
        picture: &Raster,
        cells: (u16, u16),
    ) -> Result<Option<Vec<String>>> {
        self.lines(picture, cells).map(Some)
    }

    fn columns(&self, picture: &Raster) -> (u16, u16) {
        let own = picture.width.div_ceil(self.symbols.pixels().0);
        (self.symbols.least(), own.clamp(usize::from(JUDGED), WIDEST) as u16)
    }

    fn scrolls(&self) -> bool {
        true
    }
}

/// One character in two colours; `None` is the terminal's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The character.
    pub symbol: char,
    /// Its colour.
    pub ink: Option<Rgb>,
    /// The colour behind it.
    pub paper: Option<Rgb>,
}

fn colour(p: &[u8]) -> Rgb {
    [p[0], p[1], p[2]]
}

fn half(top: Option<Rgb>, bottom: Option<Rgb>) -> Cell {
    match (top, bottom) {
        (Some(_), _) => Cell { symbol: '▀', ink: top, paper: bottom },
        (None, Some(_)) => Cell { symbol: '▄', ink: bottom, paper: None },
        (None, None) => Cell { symbol: ' ', ink: None, paper: None },
    }
}

/// Splits a cell's pixels into ink and paper with the least squared error against the two means.
/// Pixels outside the picture get the mean of the others, so that an edge looks like its
/// neighbourhood.
fn two_colours(pixels: &[Option<Rgb>], symbols: Symbols) -> Cell {
    let known: Vec<Rgb> = pixels.iter().flatten().copied().collect();
    let Some(fill) = mean(&known) else { return Cell { symbol: ' ', ink: None, paper: None } };
    let all: Vec<Rgb> = pixels.iter().map(|p| p.unwrap_or(fill)).collect();
    let part = |mask: usize, side: usize| {
        let chosen = all.iter().enumerate().filter(|(k, _)| mask >> k & 1 == side);
        chosen.map(|(_, c)| *c).collect::<Vec<Rgb>>()
    };
    let error = |mask: usize| spread(&part(mask, 0)) + spread(&part(mask, 1));
    // A mask and its complement are the same split, so the highest bit is always paper.
    let best = (0..1usize << (all.len() - 1)).min_by_key(|&m| (error(m), m)).unwrap_or(0);
    Cell { symbol: symbol(best, symbols), ink: mean(&part(best, 1)), paper: mean(&part(best, 0)) }
}

fn mean(colours: &[Rgb]) -> Option<Rgb> {
    let n = colours.len() as u32;
    let channel =
        |a: usize| (colours.iter().map(|c| u32::from(c[a])).sum::<u32>() + n / 2) / n.max(1);
    (n > 0).then(|| [0, 1, 2].map(|a| channel(a) as u8))
}

fn spread(colours: &[Rgb]) -> u32 {
    let Some(m) = mean(colours) else { return 0 };
    colours.iter().map(|c| (0..3).map(|a| u32::from(c[a].abs_diff(m[a])).pow(2)).sum::<u32>()).sum()
}

/// The character whose ink covers these pixels. Bits count the pixels row by row from the lowest
/// bit.
fn symbol(mask: usize, symbols: Symbols) -> char {
    const QUADRANTS: [char; 16] =
        [' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'];
    if symbols == Symbols::Quad {
        return QUADRANTS.get(mask).copied().unwrap_or('█');
    }
    // The block at U+1FB00 has the sextants in this order, without those that Unicode already had.
    match mask {
        0 => ' ',
        21 => '▌',
        42 => '▐',
        63.. => '█',
        m => char::from_u32(0x1fb00 + m as u32 - 1 - u32::from(m > 21) - u32::from(m > 42))
            .unwrap_or('█'),
    }
}

/// The picture in xterm's fixed colours. These are so few that dark skin turns red when each pixel
/// takes the nearest one, and speckled when the whole error is diffused. Therefore brightness
/// counts more than hue, and half of the error is diffused.
fn dithered(small: &Raster) -> Result<Raster> {
    let width = small.width;
    // Errors in units of 1/32 level: half of the 1/16 of Floyd and Steinberg. One pixel of margin
    // on either side.
    let mut carried = [vec![[0i32; 3]; width + 2], vec![[0i32; 3]; width + 2]];
    let mut data = Vec::with_capacity(small.data.len());
    for line in small.data.chunks_exact(width * 3) {
        for (x, p) in line.chunks_exact(3).enumerate() {
            let wanted =
                [0, 1, 2].map(|a| (i32::from(p[a]) + carried[0][x + 1][a] / 32).clamp(0, 255));
            let chosen = alike(wanted);
            for a in 0..3 {
                let error = wanted[a] - i32::from(chosen[a]);
                carried[0][x + 2][a] += error * 7;
                carried[1][x][a] += error * 3;
                carried[1][x + 1][a] += error * 5;
                carried[1][x + 2][a] += error;
            }
            data.extend(chosen);
        }
        carried.swap(0, 1);
        carried[1].fill([0; 3]);
    }
    Raster::new(width, small.height, 3, data)
}

/// The fixed colour that looks most similar: squared distance plus [`BRIGHTNESS`] times that of the
/// luma.
fn alike(wanted: [i32; 3]) -> Rgb {
    let far = |c: &Rgb| {
        let d = [0, 1, 2].map(|a| wanted[a] - i32::from(c[a]));
        let luma = (299 * d[0] + 587 * d[1] + 114 * d[2]) / 1000;
        d.iter().map(|v| v * v).sum::<i32>() + BRIGHTNESS * luma * luma
    };
    (16..=255).map(of_index).min_by_key(far).unwrap_or_default()
}

const BRIGHTNESS: i32 = 6;

/// The nearest of xterm's 240 fixed colours: a 6×6×6 cube and 24 greys.
pub fn indexed(c: Rgb) -> u8 {
    let level = |v: u8| {
        LEVELS.iter().enumerate().min_by_key(|(_, l)| l.abs_diff(v)).map_or(0, |(i, _)| i as u8)
    };
    let [r, g, b] = c.map(level);
    let cube = 16 + 36 * r + 6 * g + b;
    let mean = c.iter().map(|v| u32::from(*v)).sum::<u32>() / 3;
    let grey = 232 + (mean.saturating_sub(3) / 10).min(23) as u8;
    let far = |i: u8| (0..3).map(|a| u32::from(of_index(i)[a].abs_diff(c[a])).pow(2)).sum::<u32>();
    if far(grey) < far(cube) { grey } else { cube }
}

const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The colour of an xterm index from 16 on.
pub fn of_index(i: u8) -> Rgb {
    if i >= 232 {
        return [8 + 10 * (i - 232); 3];
    }
    let i = i.saturating_sub(16);
    [i / 36, i / 6 % 6, i % 6].map(|k| LEVELS[usize::from(k)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(symbols: Symbols, colours: Colours) -> Blocks {
        Blocks { cell: (8, 16), colours, symbols }
    }

    #[test]
    fn half_blocks_are_exact() {
        let p = Raster::new(1, 3, 3, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        let b = Blocks { cell: (8, 16), ..blocks(Symbols::Half, Colours::True) };
        assert_eq!(b.cells(&p, (1, 9)), (1, 2));
        let lines = b.lines(&p, (1, 2)).unwrap();
        assert_eq!(lines, ["\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[0m", "\x1b[38;2;7;8;9m▀\x1b[0m"]);
    }

    #[test]
    fn colours_are_written_when_they_change() {
        let p = Raster::filled(8, 8, &[50, 60, 70]).unwrap();
        let lines = blocks(Symbols::Half, Colours::True).lines(&p, (8, 4)).unwrap();
        assert_eq!(lines[0].matches("\x1b[").count(), 3);
        assert_eq!(lines[0].matches('▀').count(), 8);
    }

    #[test]
    fn few_colours_keep_the_brightness() {
        for colour in [[80, 45, 30], [224, 180, 150], [20, 20, 60]] {
            let d = dithered(&Raster::filled(24, 24, &colour).unwrap()).unwrap();
            let luma = |c: &[u8]| {
                0.299 * f64::from(c[0]) + 0.587 * f64::from(c[1]) + 0.114 * f64::from(c[2])
            };
            let mean = d.data.chunks(3).map(luma).sum::<f64>() / 576.0;
            assert!((mean - luma(&colour)).abs() < 6.0, "{colour:?}: {mean}");
        }
        let p = Raster::filled(24, 24, &[80, 45, 30]).unwrap();
        let line = &blocks(Symbols::Half, Colours::Indexed).lines(&p, (24, 12)).unwrap()[0];
        assert!(line.contains("\x1b[38;5;") && !line.contains(";2;"));
    }

    #[test]
    fn xterm_colours() {
        for i in 16..=255u8 {
            let c = of_index(i);
            assert_eq!(of_index(indexed(c)), c, "{i}");
        }
        // Over a coarse grid of all colours: the chosen colour is the nearest fixed one.
        for c in (0..4096u32)
            .map(|k| [(k >> 8) as u8 * 17, (k >> 4 & 15) as u8 * 17, (k & 15) as u8 * 17])
        {
            let far = |i: u8| {
                (0..3).map(|a| u32::from(of_index(i)[a].abs_diff(c[a])).pow(2)).sum::<u32>()
            };
            let best = (16..=255u8).map(far).min().unwrap();
            assert_eq!(far(indexed(c)), best, "{c:?}");
        }
    }

    #[test]
    fn quadrants_and_sextants_find_the_split() {
        let (w, k) = ([255; 3], [0; 3]);
        let cell = two_colours(&[Some(w), Some(k), Some(k), Some(k)], Symbols::Quad);
        assert_eq!(cell, Cell { symbol: '▘', ink: Some(w), paper: Some(k) });
        let left: Vec<_> = [w, k, w, k, w, k].map(Some).to_vec();
        assert_eq!(
            two_colours(&left, Symbols::Sextant),
            Cell { symbol: '▌', ink: Some(w), paper: Some(k) }
        );
        assert_eq!(
            (symbol(1, Symbols::Sextant), symbol(62, Symbols::Sextant)),
            ('\u{1fb00}', '\u{1fb3b}')
        );
        assert_eq!(
            (symbol(22, Symbols::Sextant), symbol(43, Symbols::Sextant)),
            ('\u{1fb14}', '\u{1fb28}')
        );
        assert_eq!(two_colours(&[None; 4], Symbols::Quad).symbol, ' ');
        // Four different pixels: the two similar pairs are found.
        let near = two_colours(
            &[Some([9; 3]), Some([250; 3]), Some([251; 3]), Some([10; 3])],
            Symbols::Quad,
        );
        assert_eq!((near.symbol, near.ink, near.paper), ('▞', Some([251; 3]), Some([10; 3])));
    }
}
