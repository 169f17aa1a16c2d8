//! Curves and bars in character cells.

use crate::render::plot::heights;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// A column of a cell in eighths, from the bottom.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws values from first to last as columns that fill an area, on a logarithmic scale.
pub(super) fn curve(buffer: &mut Buffer, area: Rect, values: &[f64], style: Style) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let levels = heights(values, usize::from(area.width), usize::from(area.height) * 8);
    for (x, level) in levels.into_iter().enumerate() {
        for row in 0..usize::from(area.height) {
            let below = (usize::from(area.height) - 1 - row) * 8;
            let symbol = EIGHTHS[level.saturating_sub(below).min(8)];
            let at = (area.x + x as u16, area.y + row as u16);
            buffer[at].set_symbol(symbol).set_style(style);
        }
    }
}

/// Draws values as columns up and down from the middle row of an area, whose ends are `most` away;
/// `ink` colours each column. Larger values reach the end.
pub(super) fn signed(
    buffer: &mut Buffer,
    area: Rect,
    values: &[f64],
    most: f64,
    ink: &dyn Fn(usize) -> Style,
) {
    let area = area.intersection(buffer.area);
    let half = usize::from(area.height / 2);
    for (x, value) in values.iter().take(usize::from(area.width)).enumerate() {
        // At least one eighth, so that every column is seen.
        let length = ((value.abs() / most).min(1.0) * half as f64 * 8.0).round().max(1.0) as usize;
        for row in 0..half {
            let filled = length.saturating_sub(row * 8).min(8);
            if filled == 0 {
                break;
            }
            let (y, symbol, style) = if *value < 0.0 {
                // From the top of a cell down: its lower rest in the other colour.
                (half + row, EIGHTHS[8 - filled], ink(x).add_modifier(Modifier::REVERSED))
            } else {
                (half - 1 - row, EIGHTHS[filled], ink(x))
            };
            let at = (area.x + x as u16, area.y + y as u16);
            buffer[at].set_symbol(symbol).set_style(style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_fills_its_area_and_stays_in_it() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 3));
        let values: Vec<f64> = (0..6).map(|k| 10f64.powi(-k)).collect();
        curve(&mut buffer, Rect::new(2, 1, 99, 9), &values, Style::new());
        let row = |y| (0..8).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        assert_eq!([row(0), row(1), row(2)], ["        ", "  █▅▂   ", "  ███▇▄▁"]);
        curve(&mut buffer, Rect::new(0, 0, 0, 0), &values, Style::new());
    }

    #[test]
    fn signed_columns_go_up_and_down_from_the_middle() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 4));
        let values = [2.0, 0.5, 0.0, -1.0, -9.0, f64::NAN];
        signed(&mut buffer, Rect::new(0, 0, 5, 4), &values, 2.0, &|_| Style::new());
        let row = |y| (0..6).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        assert_eq!([row(0), row(1)], ["█     ", "█▄▁   "]);
        // Reversed: a blank is a full cell.
        let full = |x, y: u16| buffer[(x, y)].modifier.contains(Modifier::REVERSED);
        assert_eq!([full(3, 2), full(3, 3), full(4, 2), full(4, 3)], [true, false, true, true]);
        signed(&mut buffer, Rect::new(9, 9, 5, 4), &values, 2.0, &|_| Style::new());
    }
}
