//! A picture of few colours, of which any part is written as a sixel.
//!
//! Dithering takes longer than writing. It is done once for the whole picture, so a part that
//! scrolls into view costs little and looks the same wherever it is.

use crate::error::{Error, Result};
use crate::image::Raster;
use std::fmt::Write;

/// Rows of pixels in a character of a sixel.
const BAND: usize = 6;
/// Most colours: an index takes a byte.
const MOST: usize = 256;
/// Equal characters from which on their number is written.
const REPEATED: usize = 4;
/// Bits of each channel by which the nearest colour is looked up.
const BITS: u32 = 6;
/// Weights of red, green and blue in the distance of two colours.
const WEIGHTS: [i32; 3] = [2, 4, 3];
/// Share of an error that goes on to the neighbours, in 128ths: 7/8, so that none builds up. The
/// neighbours are the next pixel and three below it (Floyd and Steinberg 1976).
const SHARES: [i32; 4] = [49, 21, 35, 7];

/// A picture of few colours.
#[derive(Debug)]
pub struct Indexed {
    width: usize,
    height: usize,
    /// Red, green and blue.
    palette: Vec<[u8; 3]>,
    /// The colour of each pixel, row by row.
    indices: Vec<u8>,
}

impl Indexed {
    /// Shows an RGB picture in the colours of a palette: the error of a pixel is spread over its
    /// neighbours (Floyd and Steinberg 1976), in rows that go to and fro.
    ///
    /// # Errors
    /// Without a colour, for more than 256, and for a picture of another mode.
    pub(super) fn new(picture: &Raster, palette: Vec<[u8; 3]>) -> Result<Self> {
        if palette.is_empty() || palette.len() > MOST || picture.channels != 3 {
            return Err(Error::runtime("a picture that cannot be shown in few colours"));
        }
        let (width, height) = (picture.width, picture.height);
        let mut nearest = Nearest::new(&palette);
        let mut indices = vec![0; width * height];
        // Errors for this row and the next, in 128ths, with a column on each side.
        let (mut here, mut below) = (vec![[0; 3]; width + 2], vec![[0; 3]; width + 2]);
        let rows = picture.data.as_chunks::<3>().0.chunks_exact(width);
        for (y, (row, out)) in rows.zip(indices.chunks_exact_mut(width)).enumerate() {
            for step in 0..width {
                let (x, ahead, behind) = match y % 2 {
                    0 => (step, step + 2, step),
                    _ => (width - 1 - step, width - 1 - step, width + 1 - step),
                };
                let wanted: [i32; 3] = std::array::from_fn(|c| {
                    (i32::from(row[x][c]) + (here[x + 1][c] >> 7)).clamp(0, 255)
                });
                let index = nearest.of(wanted);
                out[x] = index;
                for (c, wanted) in wanted.into_iter().enumerate() {
                    let error = wanted - i32::from(palette[usize::from(index)][c]);
                    here[ahead][c] += error * SHARES[0];
                    below[behind][c] += error * SHARES[1];
                    below[x + 1][c] += error * SHARES[2];
                    below[ahead][c] += error * SHARES[3];
                }
            }
            std::mem::swap(&mut here, &mut below);
            below.fill([0; 3]);
        }
        Ok(Self { width, height, palette, indices })
    }

    /// Its size in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Its size in memory.
    pub fn bytes(&self) -> usize {
        self.indices.len() + self.palette.len() * 3
    }

    /// The sixel of a part: left, top, width and height in pixels, inside the picture.
    pub(super) fn part(&self, [x, y, width, height]: [usize; 4]) -> String {
        let rows: Vec<&[u8]> = (y..(y + height).min(self.height))
            .map(|y| &self.indices[y * self.width + x..][..width.min(self.width - x)])
            .collect();
        let width = rows.first().map_or(0, |row| row.len());
        let mut out = String::with_capacity(rows.len() * width);
        // Square pixels; what is not drawn stays as it is.
        let _ = write!(out, "\x1bP9;1;0q\"1;1;{width};{}", rows.len());
        self.colours(&rows, &mut out);
        let mut band = Band::new(self.palette.len(), width);
        for rows in rows.chunks(BAND) {
            band.write(rows, &mut out);
        }
        out.push_str("\x1b\\");
        out
    }

    /// Writes the colours of these rows.
    fn colours(&self, rows: &[&[u8]], out: &mut String) {
        let mut used = [false; MOST];
        for index in rows.iter().flat_map(|row| row.iter()) {
            used[usize::from(*index)] = true;
        }
        for (k, colour) in self.palette.iter().enumerate().filter(|(k, _)| used[*k]) {
            let [r, g, b] = colour.map(|v| (u32::from(v) * 100 + 127) / 255);
            let _ = write!(out, "#{k};2;{r};{g};{b}");
        }
    }
}

/// The nearest colours of a palette, each sought once.
struct Nearest<'p> {
    palette: &'p [[u8; 3]],
    /// By the high bits of red, green and blue; [`MOST`] for one that was not sought yet.
    known: Vec<u16>,
}

impl<'p> Nearest<'p> {
    fn new(palette: &'p [[u8; 3]]) -> Self {
        Self { palette, known: vec![MOST as u16; 1 << (3 * BITS)] }
    }

    /// The colour that is nearest to one of bytes.
    fn of(&mut self, colour: [i32; 3]) -> u8 {
        let low = 8 - BITS;
        let at = colour.into_iter().fold(0, |at, v| at << BITS | (v >> low) as usize);
        if usize::from(self.known[at]) == MOST {
            // The middle of the colours of this place.
            let middle = colour.map(|v| (v >> low << low) + (1 << (low - 1)));
            let distance = |c: &[u8; 3]| -> i32 {
                (0..3).map(|k| WEIGHTS[k] * (i32::from(c[k]) - middle[k]).pow(2)).sum()
            };
            let found = (0..self.palette.len()).min_by_key(|k| distance(&self.palette[*k]));
            self.known[at] = found.unwrap_or(0) as u16;
        }
        self.known[at] as u8
    }
}

/// Six rows of pixels: for each colour the columns that have it.
struct Band {
    width: usize,
    /// Bits of the rows, for each colour a row of columns.
    bits: Vec<u8>,
    /// The first column of each colour, and the one after its last; none are empty.
    spans: Vec<(usize, usize)>,
    /// The colours of the band, in the order in which they were found.
    used: Vec<u8>,
}

impl Band {
    fn new(colours: usize, width: usize) -> Self {
        let spans = vec![(usize::MAX, 0); colours];
        Self { width, bits: vec![0; colours * width], spans, used: Vec::new() }
    }

    fn write(&mut self, rows: &[&[u8]], out: &mut String) {
        for (bit, row) in rows.iter().enumerate() {
            for (x, index) in row.iter().enumerate() {
                let colour = usize::from(*index);
                let (first, end) = &mut self.spans[colour];
                if *end == 0 {
                    self.used.push(*index);
                }
                (*first, *end) = ((*first).min(x), (*end).max(x + 1));
                self.bits[colour * self.width + x] |= 1 << bit;
            }
        }
        self.overlay(out);
        out.push('-');
    }

    /// Writes the colours above each other. Those that begin after the end of another follow it on
    /// its line.
    fn overlay(&mut self, out: &mut String) {
        let mut used = std::mem::take(&mut self.used);
        used.sort_unstable_by_key(|index| self.spans[usize::from(*index)]);
        let mut again = false;
        while !used.is_empty() {
            if std::mem::replace(&mut again, true) {
                out.push('$');
            }
            let (mut at, mut left) = (0, Vec::with_capacity(used.len()));
            for index in used {
                let colour = usize::from(index);
                let (first, end) = self.spans[colour];
                if first < at {
                    left.push(index);
                    continue;
                }
                let _ = write!(out, "#{index}");
                repeat(out, b'?', first - at);
                self.colour(out, colour, first, end);
                at = end;
            }
            used = left;
        }
    }

    /// Writes the columns of a colour, and clears them.
    fn colour(&mut self, out: &mut String, colour: usize, first: usize, end: usize) {
        let row = &mut self.bits[colour * self.width..][first..end];
        for run in row.chunk_by(|a, b| a == b) {
            repeat(out, b'?' + run.first().copied().unwrap_or(0), run.len());
        }
        row.fill(0);
        self.spans[colour] = (usize::MAX, 0);
    }
}

/// Writes a character so many times.
fn repeat(out: &mut String, character: u8, times: usize) {
    if times >= REPEATED {
        let _ = write!(out, "!{times}{}", char::from(character));
    } else {
        (0..times).for_each(|_| out.push(char::from(character)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use icy_sixel::SixelImage;

    /// Bytes that percents give back.
    fn byte(k: usize) -> u8 {
        ((k % 101 * 255 + 50) / 100) as u8
    }

    /// A picture of random pixels of a palette, which dithering leaves as they are.
    fn picture((width, height): (usize, usize), palette: &[[u8; 3]], rng: &mut Rng) -> Raster {
        let pixel = |_| palette[(rng.uniform() * palette.len() as f64) as usize];
        Raster::new(width, height, 3, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    #[test]
    fn every_part_comes_back_as_it_was() {
        let mut rng = Rng::new(7);
        for (size, colours) in [((1, 1), 1), ((37, 29), 3), ((64, 40), 200), ((5, 60), 40)] {
            // Far enough from each other that each has a place of its own.
            let colour = |k: usize| [byte(k % 10 * 10), byte(k / 10 % 10 * 10), byte(k / 100 * 30)];
            let palette: Vec<[u8; 3]> = (0..colours).map(colour).collect();
            let all = picture(size, &palette, &mut rng);
            let indexed = Indexed::new(&all, palette).unwrap();
            for _ in 0..40 {
                let mut pick = |n: usize| (rng.uniform() * n as f64) as usize;
                let (x, y) = (pick(size.0), pick(size.1));
                let (w, h) = (1 + pick(size.0 - x), 1 + pick(size.1 - y));
                let found = SixelImage::decode(indexed.part([x, y, w, h]).as_bytes()).unwrap();
                // The decoder gives whole bands; what was not written is clear.
                assert_eq!((found.width, found.height), (w, h.div_ceil(6) * 6));
                for (k, pixel) in found.pixels.as_chunks::<4>().0.iter().enumerate() {
                    if k / w < h {
                        assert_eq!(&pixel[..3], all.pixel(x + k % w, y + k / w), "{size:?} {k}");
                    }
                    assert_eq!(pixel[3] > 0, k / w < h, "{size:?} {k}");
                }
            }
        }
    }

    #[test]
    fn a_sixel_names_the_colours_of_its_part_and_no_others() {
        let palette = vec![[255_u8, 0, 0], [0, 255, 0]];
        let of = |pixels: &[usize], width: usize| {
            let data = pixels.iter().flat_map(|k| palette[*k]).collect();
            let all = Raster::new(width, pixels.len() / width, 3, data).unwrap();
            Indexed::new(&all, palette.clone()).unwrap()
        };
        let above = of(&[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 5);
        assert_eq!(above.part([0, 1, 5, 1]), "\x1bP9;1;0q\"1;1;5;1#1;2;0;100;0#1!5@-\x1b\\");
        // The second colour follows the first where it begins behind it.
        let beside = of(&[0, 0, 1, 1, 1, 1, 1], 7);
        assert!(beside.part([0, 0, 7, 1]).ends_with("#0@@#1!5@-\x1b\\"));
    }

    #[test]
    fn dithering_keeps_the_mean_of_every_place() {
        let level = |x: usize, y: usize| [(40 + x * 2) as u8, (200 - y) as u8, (60 + x + y) as u8];
        let data = (0..64 * 64).flat_map(|k| level(k % 64, k / 64)).collect();
        let all = Raster::new(64, 64, 3, data).unwrap();
        // Colours 40 apart: without dithering blocks would be up to 20 off.
        let steps: Vec<u8> = (0..7).map(|k| byte(k * 16)).collect();
        let palette: Vec<[u8; 3]> = steps
            .iter()
            .flat_map(|r| steps.iter().map(move |g| [*r, *g]))
            .flat_map(|[r, g]| [20, 110, 200].map(|b| [r, g, b]))
            .collect();
        let shown = Indexed::new(&all, palette.clone()).unwrap();
        for block in 0..64 {
            let (x, y) = (block % 8 * 8, block / 8 * 8);
            for c in [0, 1, 2] {
                let each = (0..64).map(|k| (x + k % 8, y + k / 8));
                let (mut wanted, mut found) = (0.0, 0.0);
                for (x, y) in each {
                    wanted += f64::from(all.pixel(x, y)[c]) / 64.0;
                    let index = usize::from(shown.indices[y * 64 + x]);
                    found += f64::from(palette[index][c]) / 64.0;
                }
                assert!((wanted - found).abs() < 9.0, "{block} {c}: {wanted} {found}");
            }
        }
    }

    #[test]
    fn more_colours_than_a_byte_counts_are_refused() {
        let all = Raster::filled(3, 2, &[1, 2, 3]).unwrap();
        assert!(Indexed::new(&all, vec![[0; 3]; 256]).is_ok());
        assert!(Indexed::new(&all, vec![[0; 3]; 257]).is_err());
        assert!(Indexed::new(&all, Vec::new()).is_err());
        let grey = Raster::filled(3, 2, &[1]).unwrap();
        assert!(Indexed::new(&grey, vec![[0; 3]]).is_err());
    }
}
