//! The map: a grid of pictures over two directions.

use super::Explorer;
use super::panel::{accent, quiet};
use crate::image::Raster;
use crate::session::explore::Map;
use crate::ui::full::Canvas;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Rows of a tile at least, with the gap below it.
const ROWS: u16 = 7;

impl Explorer {
    /// Draws the tiles that are done; the others stay empty until they are.
    pub(super) fn map(&mut self, canvas: &mut Canvas<'_>, area: Rect, like: &Raster) {
        // As many tiles as are worth looking at, with one in the middle, as large as fits.
        let down = odd(area.height / ROWS);
        let height = (area.height / down).saturating_sub(1).max(1);
        let (width, height) = canvas.fit(like, (area.width, height));
        let (step_x, step_y) = (width + 2, height + 1);
        self.window = (usize::from(odd(area.width / step_x)), usize::from(down));
        let [cx, cy] = [area.x + area.width / 2, area.y + area.height / 2].map(i32::from);
        for tile in Map::tiles(self.window.0, self.window.1) {
            let x = cx + tile[0] as i32 * i32::from(step_x) - i32::from(width / 2);
            let y = cy - tile[1] as i32 * i32::from(step_y) - i32::from(height / 2);
            match self.tile(tile) {
                Some(image) => canvas.picture(&image, (x, y), (width, height), area),
                None => {
                    let at = (x + i32::from(width / 2), y + i32::from(height / 2));
                    if let (Ok(x), Ok(y)) = (u16::try_from(at.0), u16::try_from(at.1)) {
                        canvas.text((x, y), "·", quiet(), 1);
                    }
                }
            }
            if tile == [0, 0] {
                frame(canvas, area, (x, y), (width, height));
            }
        }
    }

    /// Where the tile in the middle is, in words.
    pub(super) fn place(&self) -> String {
        let subject = &self.model.subject;
        let amounts = self.model.map.amounts(subject, [0, 0]);
        let named = |(i, amount): &(usize, f64)| {
            let label = subject.axes.get(*i).map_or("", |a| a.label.as_str());
            format!("{label} {amount:+.2}")
        };
        let words: Vec<String> = amounts.iter().map(named).collect();
        let step = self.model.map.spacing(subject, 0);
        format!("→ {} · ↑ {} · {step:.3} a tile", words[0], words[1])
    }
}

/// The number, or the odd one below it; at least 1.
fn odd(n: u16) -> u16 {
    n.saturating_sub(u16::from(n.is_multiple_of(2))).max(1)
}

/// Brackets around the tile in the middle.
fn frame(canvas: &mut Canvas<'_>, area: Rect, (x, y): (i32, i32), (width, height): (u16, u16)) {
    let style: Style = accent().add_modifier(Modifier::BOLD);
    for row in 0..i32::from(height) {
        for (column, sign) in [(x - 1, "▌"), (x + i32::from(width), "▐")] {
            if let (Ok(column), Ok(row)) = (u16::try_from(column), u16::try_from(y + row))
                && area.contains((column, row).into())
            {
                canvas.text((column, row), sign, style, 1);
            }
        }
    }
}
