//! Pictures beside the text of a live view: character cells, or pixels painted over blank cells.

use super::pen;
use crate::error::Result;
use crate::image::Raster;
use crate::render::blocks::{self, Blocks};
use crate::render::sinks::sink_for;
use crate::render::{Colours, ImageSink, Protocol, Terminal};
use candle_core::Tensor;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Shows previews on one terminal.
pub(super) struct Previews {
    way: Way,
    colours: Colours,
    shown: Option<Preview>,
}

enum Way {
    /// Text replaces pictures, so there are no previews.
    None,
    Blocks(Blocks),
    Pixels(Box<dyn ImageSink>),
}

/// A preview in the form in which it is shown.
struct Preview {
    /// Columns and rows.
    size: (u16, u16),
    content: Content,
}

enum Content {
    Cells(Vec<blocks::Cell>),
    /// The bytes that paint it at the cursor, which does not move.
    Bytes(Vec<u8>),
}

impl Previews {
    pub(super) fn new(terminal: &Terminal) -> Self {
        let way = match terminal.protocol {
            Protocol::None => Way::None,
            Protocol::Blocks => Way::Blocks(Blocks::new(terminal)),
            _ => Way::Pixels(sink_for(terminal)),
        };
        Self { way, colours: terminal.colours, shown: None }
    }

    /// Whether there are previews at all.
    pub(super) fn wanted(&self) -> bool {
        !matches!(self.way, Way::None)
    }

    /// Whether previews are painted in pixels, so that the terminal must say when it has shown one.
    pub(super) fn are_pixels(&self) -> bool {
        matches!(self.way, Way::Pixels(_))
    }

    /// Takes the first picture of `[N, C, H, W]` in [-1, 1] for a room of columns and rows. The one
    /// before stays when this one cannot be shown. Returns whether the one before has another size.
    pub(super) fn take(&mut self, image: &Tensor, room: (u16, u16)) -> bool {
        let Ok(Some(preview)) = self.made(image, room) else { return false };
        let size = preview.size;
        self.shown.replace(preview).is_some_and(|before| before.size != size)
    }

    fn made(&mut self, image: &Tensor, (columns, rows): (u16, u16)) -> Result<Option<Preview>> {
        let first = Raster::from_tensor(&image.narrow(0, 0, 1)?)?.into_iter().next();
        let (Some(raster), true) = (first, columns > 0 && rows > 0) else { return Ok(None) };
        Ok(match &mut self.way {
            Way::None => None,
            Way::Blocks(painter) => {
                let size = painter.cells(&raster, (columns, rows));
                let content = Content::Cells(painter.grid(&raster, size)?);
                Some(Preview { size, content })
            }
            Way::Pixels(sink) => {
                // The last row stays free: a sixel that reaches it may scroll the screen.
                let size = sink.cells(&raster, (columns, rows.saturating_sub(1).max(1)));
                let mut bytes = Vec::new();
                sink.preview(&mut bytes, &raster, size)?;
                Some(Preview { size, content: Content::Bytes(bytes) })
            }
        })
    }

    /// Columns that the preview takes, with a blank one before it; 0 when it needs more than `most`
    /// or there is none.
    pub(super) fn columns(&self, most: u16) -> u16 {
        self.shown.as_ref().map(|p| p.size.0 + 1).filter(|columns| *columns <= most).unwrap_or(0)
    }

    /// Draws a preview of cells at the right side of an area.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let Some(Preview { size, content: Content::Cells(cells) }) = &self.shown else { return };
        let Some(left) = area.right().checked_sub(size.0).filter(|x| *x > area.x) else { return };
        for (k, block) in cells.iter().enumerate() {
            let (x, y) = ((k % usize::from(size.0)) as u16, (k / usize::from(size.0)) as u16);
            if area.y + y < area.bottom() {
                pen::block(&mut buffer[(left + x, area.y + y)], block, self.colours);
            }
        }
    }

    /// The bytes of a preview of pixels.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match &self.shown.as_ref()?.content {
            Content::Bytes(bytes) => Some(bytes),
            Content::Cells(_) => None,
        }
    }

    /// The bytes that remove what erasing text leaves of a preview.
    pub(super) fn wipe(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Way::Pixels(sink) = &mut self.way {
            // Writing to memory cannot fail.
            let _ = sink.clear(&mut bytes);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use ratatui::style::Color;

    fn previews(protocol: Protocol, colours: Colours) -> Previews {
        Previews::new(&Terminal { protocol, colours, ..Terminal::plain("test") })
    }

    /// Left half red, right half blue.
    fn picture(channels: usize, height: usize, width: usize) -> Tensor {
        let value = |i: usize| {
            let (c, x) = (i / (height * width), i % width);
            if (c == 0) == (x < width / 2) && c != 1 { 1f32 } else { -1.0 }
        };
        let all = (0..channels * height * width).map(value).collect();
        Tensor::from_vec(all, (1, channels, height, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_preview_of_cells_keeps_its_colours_at_the_right_side() {
        let mut p = previews(Protocol::Blocks, Colours::True);
        assert!(!p.take(&picture(3, 8, 8), (4, 2)));
        assert_eq!((p.columns(20), p.columns(3), p.bytes()), (5, 0, None));
        let area = Rect::new(0, 0, 10, 3);
        let mut buffer = Buffer::empty(area);
        p.draw(area, &mut buffer);
        let cell = |x| (buffer[(x, 0)].symbol(), buffer[(x, 0)].fg, buffer[(x, 0)].bg);
        let (red, blue) = (Color::Rgb(255, 0, 0), Color::Rgb(0, 0, 255));
        assert_eq!((cell(6), cell(9)), (("▀", red, red), ("▀", blue, blue)));
        assert_eq!(cell(5).0, " ");
        p.draw(Rect::new(0, 0, 2, 1), &mut buffer);
    }

    #[test]
    fn pixels_come_as_bytes_and_leave_nothing() {
        for (protocol, begins, clears) in [
            (Protocol::Kitty, "\x1b_Ga=T,", "\x1b_Ga=d,d=I,i="),
            (Protocol::Sixel, "\x1b7\x1bP", ""),
            (Protocol::Iterm, "\x1b7\x1b]1337;", ""),
        ] {
            let mut p = previews(protocol, Colours::None);
            assert!(p.wanted() && p.are_pixels() && p.bytes().is_none());
            assert!(!p.take(&picture(3, 32, 32), (20, 8)));
            // Of 8 rows one stays free: 7 rows of 16 pixels are as wide as 14 columns.
            assert_eq!(p.columns(80), 15, "{protocol:?}");
            let text = String::from_utf8_lossy(p.bytes().unwrap()).into_owned();
            assert!(text.starts_with(begins), "{protocol:?} {text:.40}");
            assert!(String::from_utf8(p.wipe()).unwrap().starts_with(clears));
            let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 8));
            p.draw(buffer.area, &mut buffer);
            assert_eq!(buffer, Buffer::empty(buffer.area), "its cells stay blank");
        }
        let mut none = previews(Protocol::None, Colours::True);
        assert!(!none.take(&picture(3, 32, 32), (20, 8)));
        assert!(!none.wanted() && none.columns(80) == 0 && none.wipe().is_empty());
    }

    #[test]
    fn any_shape_fits_or_leaves_the_one_before() {
        let mut p = previews(Protocol::Blocks, Colours::Indexed);
        for (c, h, w) in [(1, 1, 1), (2, 7, 3), (3, 64, 16), (4, 5, 200), (3, 1, 500)] {
            let image = Tensor::full(f32::NAN, (2, c, h, w), &Device::Cpu).unwrap();
            p.take(&image, (24, 12));
            assert!((2..=25).contains(&p.columns(80)), "{c} {h} {w}: {}", p.columns(80));
        }
        assert!(p.take(&picture(3, 8, 8), (24, 12)));
        let before = p.columns(80);
        assert!(!p.take(&Tensor::zeros((3, 4), DType::F32, &Device::Cpu).unwrap(), (24, 12)));
        assert!(!p.take(&picture(3, 8, 8), (0, 3)));
        assert_eq!(p.columns(80), before);
    }
}
