//! A frame: text in cells, and pictures that scroll and clip at any row.

use crate::image::Raster;
use crate::render::ImageSink;
use crate::render::kitty::NUMBERED;
use crate::render::sink::fit_size;
use crate::render::text::printable;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A picture with the hash of its content. Views keep it, so that it is hashed and sent once.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    raster: Raster,
    hash: u64,
    words: String,
}

impl Image {
    /// Takes a picture.
    pub fn new(raster: Raster) -> Arc<Self> {
        Self::with_words(raster, String::new())
    }

    /// Takes a picture and what it shows, for terminals without pictures; empty where nothing was
    /// read in it.
    pub fn with_words(raster: Raster, words: String) -> Arc<Self> {
        let mut hasher = DefaultHasher::new();
        (raster.width, raster.channels, &raster.data, &words).hash(&mut hasher);
        Arc::new(Self { hash: hasher.finish(), raster, words })
    }

    /// What it shows, in words; may be empty.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The picture.
    pub fn raster(&self) -> &Raster {
        &self.raster
    }

    /// The hash of its content.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// Most rows of the text that describes a picture.
const DESCRIPTION: u16 = 4;

/// The visible part of a picture in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible {
    pub(super) image: Arc<Image>,
    /// Size of the whole picture in cells.
    pub(super) size: (u16, u16),
    /// The visible part, in cells from the picture's top left corner.
    pub(super) part: Rect,
    /// Where the visible part begins on the screen.
    pub(super) at: Position,
}

impl Visible {
    /// The cells that it takes on the screen.
    pub(super) fn area(&self) -> Rect {
        Rect::new(self.at.x, self.at.y, self.part.width, self.part.height)
    }

    /// The visible part, where the whole picture has `pixels`: left, top, width, height in pixels.
    pub(super) fn source(&self, pixels: (usize, usize)) -> [usize; 4] {
        let range = |from: u16, count: u16, all: u16, pixels: usize| {
            let at =
                |n: u16| (usize::from(n) * pixels + usize::from(all) / 2) / usize::from(all.max(1));
            let (first, end) = (at(from), at(from + count));
            (first.min(pixels - 1), (end - first).max(1))
        };
        let (x, w) = range(self.part.x, self.part.width, self.size.0, pixels.0);
        let (y, h) = range(self.part.y, self.part.height, self.size.1, pixels.1);
        [x, y, w, h]
    }
}

/// A frame that is being drawn. It begins empty.
pub struct Canvas<'a> {
    /// The text.
    pub buffer: &'a mut Buffer,
    sink: &'a dyn ImageSink,
    cell: (u16, u16),
    placed: Vec<Visible>,
    covered: Vec<Rect>,
    cursor: Option<Position>,
    ready: bool,
    live: bool,
}

/// What a frame holds besides its text.
pub(super) struct Drawn {
    pub(super) placed: Vec<Visible>,
    pub(super) covered: Vec<Rect>,
    pub(super) cursor: Option<Position>,
    /// Whether it shows a live picture.
    pub(super) live: bool,
}

impl<'a> Canvas<'a> {
    /// `cell` is the size of a cell in pixels.
    pub(super) fn new(
        buffer: &'a mut Buffer,
        (sink, cell): (&'a dyn ImageSink, (u16, u16)),
        ready: bool,
    ) -> Self {
        Self {
            buffer,
            sink,
            cell,
            placed: Vec::new(),
            covered: Vec::new(),
            cursor: None,
            ready,
            live: false,
        }
    }

    pub(super) fn done(self) -> Drawn {
        Drawn { placed: self.placed, covered: self.covered, cursor: self.cursor, live: self.live }
    }

    /// The size of a cell in pixels: width, height.
    pub fn cell(&self) -> (u16, u16) {
        self.cell
    }

    /// The whole screen.
    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Writes one line of text from outside or our own in at most `columns` columns, and returns
    /// the column after it. What leaves the screen is cut.
    pub fn text(&mut self, (x, y): (u16, u16), text: &str, style: Style, columns: u16) -> u16 {
        let area = self.area();
        if x >= area.width || y >= area.height {
            return x;
        }
        let text = printable(text);
        self.buffer.set_stringn(x, y, text, usize::from(columns.min(area.width - x)), style).0
    }

    /// The size of a picture in a room of columns and rows: as large as fits, with its aspect
    /// ratio.
    pub fn fit(&self, picture: &Raster, room: (u16, u16)) -> (u16, u16) {
        self.fit_size((picture.width, picture.height), room)
    }

    /// As [`Canvas::fit`], for a picture of so many pixels.
    pub fn fit_size(&self, pixels: (usize, usize), room: (u16, u16)) -> (u16, u16) {
        if self.describes() {
            return (room.0.max(1), room.1.clamp(1, DESCRIPTION));
        }
        fit_size(pixels, self.cell, (room.0.min(NUMBERED), room.1.min(NUMBERED)))
    }

    /// Whether a text describes each picture.
    pub fn describes(&self) -> bool {
        self.sink.is_text()
    }

    /// Shows a picture of `size` cells whose top left corner is at (column, row), which may be
    /// outside the screen, as far as it lies in `clip`.
    pub fn picture(
        &mut self,
        image: &Arc<Image>,
        (x, y): (i32, i32),
        size: (u16, u16),
        clip: Rect,
    ) {
        let clip = clip.intersection(self.area());
        let span = |at: i32, length: u16, from: u16, room: u16| {
            let first = at.max(i32::from(from));
            let end = (at + i32::from(length)).min(i32::from(from) + i32::from(room));
            // Both lie on the screen, so they fit.
            (end > first).then(|| ((first - at) as u16, first as u16, (end - first) as u16))
        };
        let across = span(x, size.0, clip.x, clip.width);
        let Some(((dx, left, width), (dy, top, height))) =
            across.zip(span(y, size.1, clip.y, clip.height))
        else {
            return;
        };
        self.placed.push(Visible {
            image: image.clone(),
            size,
            part: Rect::new(dx, dy, width, height),
            at: Position::new(left, top),
        });
    }

    /// Pictures that are drawn so far.
    #[cfg(test)]
    pub fn pictures(&self) -> usize {
        self.placed.len()
    }

    /// Whether the terminal has shown the last live picture, so that the next may be sent. Until
    /// then a view shows the same picture as before.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// As [`Canvas::picture`], for a picture that is replaced again and again.
    pub fn live(&mut self, image: &Arc<Image>, at: (i32, i32), size: (u16, u16), clip: Rect) {
        self.live = true;
        self.picture(image, at, size, clip);
    }

    /// Clears an area for text above everything drawn so far; pictures below it are hidden.
    pub fn cover(&mut self, area: Rect) {
        let area = area.intersection(self.area());
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
        self.covered.push(area);
    }

    /// Shows the cursor.
    pub fn cursor(&mut self, x: u16, y: u16) {
        self.cursor = Some(Position::new(x, y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Terminal;
    use crate::render::blocks::Blocks;
    use crate::render::text::Described;

    #[test]
    fn a_picture_is_clipped_on_every_side() {
        let image = Image::new(Raster::filled(8, 8, &[1, 2, 3]).unwrap());
        let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 10));
        let mut canvas = Canvas::new(&mut buffer, (&Described, (8, 16)), true);
        let clip = Rect::new(2, 1, 10, 6);
        for at in [(4, 2), (-1, -2), (10, 5), (12, 1), (0, 7), (-9, 0), (i32::MIN / 2, 0)] {
            canvas.picture(&image, at, (6, 4), clip);
        }
        let found: Vec<_> = canvas.done().placed.iter().map(|v| (v.part, v.at)).collect();
        assert_eq!(
            found,
            [
                (Rect::new(0, 0, 6, 4), Position::new(4, 2)),
                (Rect::new(3, 3, 3, 1), Position::new(2, 1)),
                (Rect::new(0, 0, 2, 2), Position::new(10, 5)),
            ]
        );
    }

    #[test]
    fn a_picture_is_as_large_as_its_room() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 150, 80));
        let blocks = Blocks::new(&Terminal::plain("test"));
        let canvas = Canvas::new(&mut buffer, (&blocks, (8, 16)), true);
        for (room, wanted) in
            [((150, 40), (80, 40)), ((150, 80), (150, 75)), ((60, 80), (60, 30)), ((9, 2), (4, 2))]
        {
            assert_eq!(canvas.fit_size((128, 128), room), wanted);
        }
    }

    #[test]
    fn text_stays_on_the_screen_and_is_safe() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        let mut canvas = Canvas::new(&mut buffer, (&Described, (8, 16)), true);
        assert_eq!(canvas.text((1, 0), "a\u{1b}[2J", Style::new(), 99), 6);
        assert_eq!(canvas.text((9, 9), "far", Style::new(), 9), 9);
        canvas.text((0, 1), "顔顔顔顔", Style::new(), 3);
        let line = |y| (0..6).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        assert_eq!(line(0), " a\\u{1");
        assert!(line(1).starts_with("顔") && !line(1)[3..].contains('顔'));
    }
}
