//! What of a comparison is on the screen: the part of the pictures, and the pictures made of two.

use super::model::{Comparison, Part};
use crate::error::Result;
use crate::image::{Filter, Raster, resize};

/// How candidates are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Target, candidate and error beside each other.
    Side,
    /// The target and all candidates beside each other.
    Columns,
    /// The error alone.
    Difference,
    /// Target and candidate at the same place, in turns.
    Flicker,
    /// The target left of an edge, the candidate right of it.
    Wipe,
}

/// Largest enlargement of a picture pixel, in screen pixels.
const LARGEST: f64 = 64.0;

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct View {
    /// The layout.
    pub mode: Mode,
    /// Index of the candidate that is looked at.
    pub chosen: usize,
    /// Whether the error has signs: grey where both agree, bright where the candidate is brighter.
    pub signed: bool,
    /// Factor of the error.
    pub gain: u32,
    /// Enlargement over the size at which the picture fits; at least 1.
    pub zoom: f64,
    /// The point of the picture in the middle, in pixels.
    pub centre: (f64, f64),
    /// The edge of the wipe, as a share of the visible width.
    pub edge: f64,
    /// Whether [`Mode::Flicker`] shows the candidate.
    pub flipped: bool,
    /// Which of the worst regions was visited last.
    pub visited: Option<usize>,
}

impl View {
    /// The first view of a comparison: everything at once.
    pub fn new(comparison: &Comparison) -> Self {
        let whole = comparison.whole();
        Self {
            mode: if comparison.candidates.len() > 1 { Mode::Columns } else { Mode::Side },
            chosen: 0,
            signed: false,
            gain: 4,
            zoom: 1.0,
            centre: (whole.width as f64 / 2.0, whole.height as f64 / 2.0),
            edge: 0.5,
            flipped: false,
            visited: None,
        }
    }

    /// Screen pixels for a picture pixel, in a room of `room` screen pixels.
    pub fn scale(&self, whole: Part, room: (usize, usize)) -> f64 {
        let fits = (room.0 as f64 / whole.width as f64).min(room.1 as f64 / whole.height as f64);
        (fits * self.zoom).min(LARGEST.max(fits))
    }

    /// The part of the pictures that a room of `room` screen pixels shows.
    pub fn part(&self, whole: Part, room: (usize, usize)) -> Part {
        let scale = self.scale(whole, room);
        let visible = |length: usize, room: usize| {
            ((room as f64 / scale).round().max(1.0) as usize).min(length)
        };
        let (width, height) = (visible(whole.width, room.0), visible(whole.height, room.1));
        let first = |centre: f64, part: usize, length: usize| {
            (centre - part as f64 / 2.0).round().clamp(0.0, (length - part) as f64) as usize
        };
        Part {
            x: first(self.centre.0, width, whole.width),
            y: first(self.centre.1, height, whole.height),
            width,
            height,
        }
    }

    /// Multiplies the enlargement; the largest is reached when a pixel has 64 pixels of the screen.
    pub fn enlarge(&mut self, factor: f64, whole: Part, room: (usize, usize)) {
        let fits = Self { zoom: 1.0, ..self.clone() }.scale(whole, room);
        self.zoom = (self.zoom * factor).clamp(1.0, (LARGEST / fits).max(1.0));
        self.settle(whole, room);
    }

    /// One picture pixel for each pixel of the screen, or back to the size that fits.
    pub fn pixel_by_pixel(&mut self, whole: Part, room: (usize, usize)) {
        let fits = Self { zoom: 1.0, ..self.clone() }.scale(whole, room);
        let one = (1.0 / fits).max(1.0);
        self.zoom = if (self.zoom - one).abs() < 1e-9 { 1.0 } else { one };
        self.settle(whole, room);
    }

    /// Moves by shares of the visible part.
    pub fn pan(&mut self, (dx, dy): (f64, f64), whole: Part, room: (usize, usize)) {
        let part = self.part(whole, room);
        self.centre.0 += dx * part.width as f64;
        self.centre.1 += dy * part.height as f64;
        self.settle(whole, room);
    }

    /// Visits the region with the next smaller error of the candidate.
    pub fn next_worst(&mut self, comparison: &Comparison, room: (usize, usize)) {
        let regions = comparison.worst(self.chosen);
        if regions.is_empty() {
            return;
        }
        let at = self.visited.map_or(0, |v| (v + 1) % regions.len());
        self.visited = Some(at);
        let (region, whole) = (regions[at], comparison.whole());
        self.centre = (
            region.x as f64 + region.width as f64 / 2.0,
            region.y as f64 + region.height as f64 / 2.0,
        );
        self.zoom = self.zoom.max(4.0);
        self.settle(whole, room);
    }

    /// Keeps the middle where the visible part lies in the picture.
    fn settle(&mut self, whole: Part, room: (usize, usize)) {
        let part = self.part(whole, room);
        self.centre =
            (part.x as f64 + part.width as f64 / 2.0, part.y as f64 + part.height as f64 / 2.0);
    }
}

/// A picture of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The target.
    Target,
    /// A candidate.
    Candidate(usize),
    /// The error of a candidate: signed, gain.
    Error(usize, bool, u32),
    /// Target and candidate on both sides of an edge, given in thousandths of the visible width.
    Wipe(usize, u32),
}

/// A part of a pane's picture, a pixel for a pixel.
///
/// # Errors
/// When the part does not lie in the picture.
pub fn pixels(comparison: &Comparison, pane: Pane, part: Part) -> Result<Raster> {
    let cut = |picture: &Raster| picture.crop(part.x, part.y, part.width, part.height);
    let candidate =
        |i: usize| comparison.candidates.get(i).map_or(&comparison.target, |c| &c.picture);
    let target = cut(&comparison.target)?;
    Ok(match pane {
        Pane::Target => target,
        Pane::Candidate(i) => cut(candidate(i))?,
        Pane::Error(i, signed, gain) => {
            let mut out = cut(candidate(i))?;
            for (b, a) in out.data.iter_mut().zip(&target.data) {
                *b = error(*a, *b, signed, gain);
            }
            out
        }
        Pane::Wipe(i, edge) => {
            let (mut out, other) = (target, cut(candidate(i))?);
            let edge = part.width * edge as usize / 1000;
            let channels = out.channels;
            let rows = out.data.chunks_exact_mut(part.width * channels);
            for (out, other) in rows.zip(other.data.chunks_exact(part.width * channels)) {
                out[edge * channels..].copy_from_slice(&other[edge * channels..]);
            }
            out
        }
    })
}

/// The error of a byte: `|b − a|` times the gain, or half of it with its sign around mid grey.
fn error(a: u8, b: u8, signed: bool, gain: u32) -> u8 {
    let difference = (i32::from(b) - i32::from(a)) * gain as i32;
    let value = if signed { 128 + difference / 2 } else { difference.abs() };
    value.clamp(0, 255) as u8
}

/// A part of a pane's picture for a room of screen pixels: pixels are repeated by a whole factor,
/// so that each can be seen.
///
/// # Errors
/// As [`pixels`].
pub fn shown(
    comparison: &Comparison,
    pane: Pane,
    part: Part,
    room: (usize, usize),
) -> Result<Raster> {
    let picture = pixels(comparison, pane, part)?;
    let factor = (room.0 / part.width.max(1)).min(room.1 / part.height.max(1)).max(1);
    resize(&picture, part.width * factor, part.height * factor, Filter::Area)
}

#[cfg(test)]
mod tests {
    use super::super::model::Candidate;
    use super::*;
    use crate::rng::Rng;

    fn comparison() -> Comparison {
        let ramp = |k: usize| {
            let pixel = |i: usize| [(i % 100 + k) as u8, (i / 100) as u8, 7];
            Raster::new(100, 50, 3, (0..5000).flat_map(pixel).collect()).unwrap()
        };
        Comparison::new("t", &ramp(0), vec![Candidate::new("c", ramp(9))]).unwrap()
    }

    #[test]
    fn the_part_has_the_shape_of_the_room_and_stays_in_the_picture() {
        let (c, room) = (comparison(), (400, 100));
        let (mut view, whole) = (View::new(&c), c.whole());
        assert_eq!(view.part(whole, room), whole);
        view.enlarge(2.0, whole, room);
        assert_eq!(view.part(whole, room), Part { x: 0, y: 13, width: 100, height: 25 });
        let mut rng = Rng::new(1);
        for _ in 0..2000 {
            match (rng.uniform() * 5.0) as usize {
                0 => view.enlarge(0.3 + 3.0 * rng.uniform(), whole, room),
                1 => view.pan((rng.uniform() - 0.5, 2.0 * rng.uniform() - 1.0), whole, room),
                2 => view.next_worst(&c, room),
                3 => view.pixel_by_pixel(whole, room),
                _ => view.zoom = view.zoom.min(9.0),
            }
            let part = view.part(whole, room);
            assert!(part.width >= 1 && part.x + part.width <= 100, "{view:?} {part:?}");
            assert!(part.height >= 1 && part.y + part.height <= 50, "{view:?} {part:?}");
            assert!(view.zoom >= 1.0 && view.scale(whole, room) <= LARGEST);
            for pane in [Pane::Target, Pane::Wipe(0, 500), Pane::Error(0, true, 4)] {
                let picture = shown(&c, pane, part, room).unwrap();
                assert!(picture.width <= 400 && picture.height <= 100, "{part:?}");
            }
        }
    }

    #[test]
    fn a_pixel_becomes_a_square() {
        let c = comparison();
        let part = Part { x: 10, y: 20, width: 4, height: 2 };
        let picture = shown(&c, Pane::Candidate(0), part, (13, 9)).unwrap();
        assert_eq!((picture.width, picture.height), (12, 6));
        assert_eq!(picture.pixel(3, 3), &[11 + 9, 21, 7]);
        assert_eq!(picture.pixel(2, 2), &[10 + 9, 20, 7]);
    }

    #[test]
    fn errors_have_a_scale_and_a_sign() {
        let (c, part) = (comparison(), Part { x: 0, y: 0, width: 10, height: 1 });
        let at = |pane| pixels(&c, pane, part).unwrap().pixel(5, 0).to_vec();
        assert_eq!(at(Pane::Error(0, false, 4)), [36, 0, 0]);
        assert_eq!(at(Pane::Error(0, true, 4)), [128 + 18, 128, 128]);
        assert_eq!((error(9, 0, true, 4), error(9, 0, false, 64)), (110, 255));
        assert_eq!(at(Pane::Wipe(0, 600)), [5, 0, 7]);
        assert_eq!(at(Pane::Wipe(0, 500)), [14, 0, 7]);
    }
}
