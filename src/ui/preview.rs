//! Small pictures in character cells: each cell shows two pixels as the colours of `▀`.

use super::screen::Colour;
use candle_core::{DType, Device, IndexOp, Tensor};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

/// Sixteen levels of ink for terminals without colour.
const RAMP: &[u8; 16] = b" .,:;-~=+*xoX#%@";

/// Pixels in rows, with values from 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    /// Width in pixels.
    pub(super) width: usize,
    /// The pixels, row by row.
    pub(super) rgb: Vec<[u8; 3]>,
}

impl Pixels {
    /// The first picture of `[N, C, H, W]` in [-1, 1], averaged down to fit `columns` × `rows`
    /// cells; `None` for a tensor of another shape.
    pub(super) fn fit(image: &Tensor, columns: u16, rows: u16) -> Option<Self> {
        let (_, c, h, w) = image.dims4().ok()?;
        let (bw, bh) = (f64::from(columns), f64::from(rows) * 2.0);
        if c == 0 || h == 0 || w == 0 || bw < 1.0 || bh < 2.0 {
            return None;
        }
        let scale = (bw / w as f64).min(bh / h as f64).min(1.0);
        let width = ((w as f64 * scale).round() as usize).max(1);
        // Whole cells only, because half a cell would show the terminal's background.
        let height = ((h as f64 * scale / 2.0).round() as usize).max(1) * 2;
        let first = image
            .i(0)
            .and_then(|t| t.to_dtype(DType::F32))
            .and_then(|t| t.to_device(&Device::Cpu))
            .ok()?;
        let planes: Vec<Vec<f32>> = (0..c.min(3))
            .map(|k| first.i(k)?.flatten_all()?.to_vec1())
            .collect::<Result<_, candle_core::Error>>()
            .ok()?;
        let at = |x, y, k: usize| {
            // Pictures of one or two channels are grey.
            let plane = &planes[if planes.len() < 3 { 0 } else { k }];
            level(mean(plane, w, span(x, width, w), span(y, height, h)))
        };
        let rgb =
            (0..width * height).map(|i| [0, 1, 2].map(|k| at(i % width, i / width, k))).collect();
        Some(Self { width, rgb })
    }

    fn height(&self) -> usize {
        self.rgb.len() / self.width
    }

    /// Size in cells: columns and rows.
    pub(super) fn cells(&self) -> (u16, u16) {
        (self.width as u16, (self.height() / 2) as u16)
    }

    /// Draws into `area` from its top left corner.
    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, colour: Colour) {
        let (columns, rows) = self.cells();
        for y in 0..rows.min(area.height) {
            for x in 0..columns.min(area.width) {
                let pixel =
                    |dy: usize| self.rgb[(usize::from(y) * 2 + dy) * self.width + usize::from(x)];
                let cell = &mut buffer[(area.x + x, area.y + y)];
                let (top, bottom) = (pixel(0), pixel(1));
                match colour {
                    Colour::True => {
                        cell.set_symbol("▀").set_fg(true_colour(top)).set_bg(true_colour(bottom))
                    }
                    Colour::Indexed => cell
                        .set_symbol("▀")
                        .set_fg(Color::Indexed(index(top)))
                        .set_bg(Color::Indexed(index(bottom))),
                    Colour::None => {
                        cell.set_char(char::from(RAMP[(luma(top) + luma(bottom)) / 32]))
                    }
                };
            }
        }
    }
}

/// The range of source pixels for one of `n` target pixels; at least one pixel.
fn span(i: usize, n: usize, source: usize) -> std::ops::Range<usize> {
    let start = (i * source / n).min(source - 1);
    start..((i + 1) * source / n).clamp(start + 1, source)
}

fn mean(plane: &[f32], w: usize, xs: std::ops::Range<usize>, ys: std::ops::Range<usize>) -> f32 {
    let n = (xs.len() * ys.len()) as f32;
    ys.map(|y| plane[y * w..][xs.clone()].iter().sum::<f32>()).sum::<f32>() / n
}

/// Maps [-1, 1] to 0..=255; NaN becomes 0.
fn level(v: f32) -> u8 {
    ((v + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

fn luma([r, g, b]: [u8; 3]) -> usize {
    (usize::from(r) * 54 + usize::from(g) * 183 + usize::from(b) * 19) >> 8
}

fn true_colour([r, g, b]: [u8; 3]) -> Color {
    Color::Rgb(r, g, b)
}

/// The nearest colour of xterm's 6×6×6 cube and 24 greys.
fn index(rgb: [u8; 3]) -> u8 {
    const STEPS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let nearest =
        |v: u8| (0..6u8).min_by_key(|i| (STEPS[usize::from(*i)] - i32::from(v)).abs()).unwrap_or(0);
    let cube = rgb.map(nearest);
    let cube_rgb = cube.map(|i| STEPS[usize::from(i)]);
    let grey =
        ((i32::from(rgb[0]) + i32::from(rgb[1]) + i32::from(rgb[2])) / 3 - 3).clamp(0, 235) / 10;
    let grey = grey.min(23);
    let away = |c: [i32; 3]| c.iter().zip(rgb).map(|(a, b)| (a - i32::from(b)).pow(2)).sum::<i32>();
    if away([8 + 10 * grey; 3]) < away(cube_rgb) {
        232 + grey as u8
    } else {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shape: (usize, usize, usize, usize), value: impl Fn(usize) -> f32) -> Tensor {
        let n = shape.0 * shape.1 * shape.2 * shape.3;
        Tensor::from_vec((0..n).map(value).collect(), shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_block_picture_keeps_its_colours_and_shape() {
        // Left half red, right half blue: 8×8 pixels are reduced to 4×4.
        let image = picture((1, 3, 8, 8), |i| {
            let (c, x) = (i / 64, i % 8);
            if (c == 0) == (x < 4) && c != 1 { 1f32 } else { -1.0 }
        });
        let p = Pixels::fit(&image, 4, 2).unwrap();
        assert_eq!(p.cells(), (4, 2));
        assert_eq!(p.rgb[..4], [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]]);
        let area = Rect::new(0, 0, 4, 2);
        let mut buffer = Buffer::empty(area);
        p.draw(area, &mut buffer, Colour::True);
        assert_eq!(
            (buffer[(3, 1)].fg, buffer[(3, 1)].bg),
            (Color::Rgb(0, 0, 255), Color::Rgb(0, 0, 255))
        );
        p.draw(Rect::new(0, 0, 9, 9).intersection(area), &mut buffer, Colour::None);
        // Red and blue have the ink of their brightness: 54 and 18 of 255.
        assert_eq!((buffer[(0, 0)].symbol(), buffer[(3, 0)].symbol()), (":", "."));
    }

    #[test]
    fn any_shape_fits_or_is_refused() {
        for (c, h, w) in [(1, 1, 1), (2, 7, 3), (3, 64, 16), (4, 5, 200), (3, 1, 500)] {
            let image = picture((2, c, h, w), |_| f32::NAN);
            let p = Pixels::fit(&image, 24, 12).unwrap();
            let (columns, rows) = p.cells();
            assert!(
                columns <= 24 && rows <= 12 && columns > 0 && rows > 0,
                "{c} {h} {w}: {columns}×{rows}"
            );
        }
        let flat = Tensor::zeros((3, 4), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(Pixels::fit(&flat, 24, 12), None);
        assert_eq!(
            Pixels::fit(&Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu).unwrap(), 0, 3),
            None
        );
    }

    #[test]
    fn known_indices() {
        assert_eq!(index([0, 0, 0]), 16);
        assert_eq!(index([255, 255, 255]), 231);
        assert_eq!(index([255, 0, 0]), 196);
        assert_eq!(index([8, 8, 8]), 232);
        assert_eq!(index([238, 238, 238]), 255);
    }
}
