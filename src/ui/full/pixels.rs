//! Pictures that are painted over cells: sixels and those of iTerm2.

use super::cache::{BUDGET, Cache, Key};
use super::canvas::Visible;
use crate::error::{Error, Result};
use crate::image::Raster;
use crate::render::Terminal;
use crate::render::indexed::Indexed;
use crate::render::iterm::Iterm;
use crate::render::sink::reduced;
use crate::render::sixel::Sixel;
use ratatui::layout::Rect;
use std::sync::Arc;

/// Pictures that are painted over cells.
pub(super) struct Pixels {
    painter: Painter,
    /// The bytes of their visible parts.
    encoded: Cache<Vec<u8>>,
}

/// A protocol, and pictures in the resolution in which it sends them.
enum Painter {
    Sixel(Sixel, Cache<Indexed>),
    Iterm(Iterm, Cache<Raster>),
}

impl Pixels {
    /// Pictures as sixels.
    pub(super) fn sixel(terminal: &Terminal) -> Self {
        Self::new(Painter::Sixel(Sixel::new(terminal), Cache::new(BUDGET)))
    }

    /// Pictures as those of iTerm2.
    pub(super) fn iterm(terminal: &Terminal) -> Self {
        Self::new(Painter::Iterm(Iterm::new(terminal), Cache::new(BUDGET)))
    }

    fn new(painter: Painter) -> Self {
        Self { painter, encoded: Cache::new(BUDGET / 2) }
    }

    /// Whether a picture that reaches the last row may scroll the screen.
    pub(super) fn scrolls(&self) -> bool {
        matches!(self.painter, Painter::Sixel(..))
    }

    /// The bytes that paint the visible part of a picture at the cursor; none where it has no
    /// pixels.
    pub(super) fn part(&mut self, seen: &Visible, cell: (u16, u16)) -> Result<Arc<Vec<u8>>> {
        let Self { painter, encoded } = self;
        encoded.get(key(seen, seen.part), || {
            let mut bytes = Vec::new();
            match painter {
                Painter::Sixel(sixel, sized) => {
                    let whole = sized.get(key(seen, Rect::default()), || {
                        let whole = sixel.indexed(seen.image.raster(), seen.size)?;
                        let bytes = whole.bytes();
                        Ok::<_, Error>((whole, bytes))
                    })?;
                    if let Some(part) = visible(seen, whole.size(), cell) {
                        sixel.send(&mut bytes, &whole, part)?;
                    }
                }
                Painter::Iterm(iterm, sized) => {
                    let whole = sized.get(key(seen, Rect::default()), || {
                        let reduced = reduced(seen.image.raster(), cell, seen.size)?;
                        let whole = padded(&reduced, seen.size, cell)?;
                        let bytes = whole.data.len();
                        Ok::<_, Error>((whole, bytes))
                    })?;
                    let [x, y, w, h] = seen.source((whole.width, whole.height));
                    let part = whole.crop(x, y, w, h)?;
                    iterm.send(&mut bytes, &part, (seen.part.width, seen.part.height))?;
                }
            }
            let size = bytes.len();
            Ok((bytes, size))
        })
    }
}

fn key(seen: &Visible, part: Rect) -> Key {
    (seen.image.hash(), seen.size, part)
}

/// The visible part of a picture of which each pixel is one of the screen: left, top, width and
/// height; `None` where it has no pixels.
fn visible(seen: &Visible, size: (usize, usize), cell: (u16, u16)) -> Option<[usize; 4]> {
    let range = |from: u16, count: u16, per: u16, all: usize| {
        let first = usize::from(from) * usize::from(per);
        let count = usize::from(count) * usize::from(per);
        (first, count.min(all.saturating_sub(first)))
    };
    let (x, w) = range(seen.part.x, seen.part.width, cell.0, size.0);
    let (y, h) = range(seen.part.y, seen.part.height, cell.1, size.1);
    (w > 0 && h > 0).then_some([x, y, w, h])
}

/// The picture with transparent pixels on its right or bottom side, so that whole cells keep its
/// aspect ratio.
fn padded(picture: &Raster, size: (u16, u16), cell: (u16, u16)) -> Result<Raster> {
    let frame = (
        usize::from(size.0.max(1)) * usize::from(cell.0.max(1)),
        usize::from(size.1.max(1)) * usize::from(cell.1.max(1)),
    );
    let (w, h) = (picture.width, picture.height);
    let wide = w.max((h * frame.0).div_ceil(frame.1));
    let high = h.max((w * frame.1).div_ceil(frame.0));
    let mut all = Raster::filled(wide, high, &[0; 4])?;
    let rgba = picture.convert(4)?.0;
    for (from, to) in rgba.data.chunks_exact(w * 4).zip(all.data.chunks_exact_mut(wide * 4)) {
        to[..w * 4].copy_from_slice(from);
    }
    Ok(all)
}
