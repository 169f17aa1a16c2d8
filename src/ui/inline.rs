//! A ratatui backend for a few rows at the cursor that never asks where the cursor is.
//!
//! ratatui's own inline viewport needs the cursor's absolute row: a query at the start and at every
//! resize, answered on stdin between the user's keys, and after two seconds not at all on a mute
//! terminal. Here all moves are relative to the view's first cell, where the cursor rests between
//! frames. So wiping the view is the same few bytes at any time, from any thread, and a resize
//! cannot leave copies behind.

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};
use std::io::{self, Write};

/// Collects a frame's bytes.
pub(super) struct Inline {
    size: Size,
    at: Position,
    out: Vec<u8>,
}

impl Inline {
    /// A view of `size` cells; [`Inline::reserve`] makes room for it.
    pub(super) fn new(size: Size) -> Self {
        Self { size, at: Position::ORIGIN, out: Vec::new() }
    }

    /// Makes room below the cursor, which must stand in the first column, and hides it.
    pub(super) fn reserve(&mut self) {
        let below = self.size.height.saturating_sub(1);
        self.out.extend_from_slice(b"\x1b[?25l\r\x1b[K\x1b[C\x1b[J\r");
        self.out.extend(std::iter::repeat_n(b'\n', usize::from(below)));
        if below > 0 {
            self.csi(below, 'A');
        }
    }

    /// The bytes since the last call, as one synchronised update that leaves the cursor at the
    /// first cell.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if self.out.is_empty() {
            return Vec::new();
        }
        self.go(Position::ORIGIN);
        let mut frame = b"\x1b[?2026h".to_vec();
        frame.append(&mut self.out);
        frame.extend_from_slice(b"\x1b[?2026l");
        frame
    }

    fn csi(&mut self, n: u16, action: char) {
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "\x1b[{n}{action}");
    }

    /// Column first by `\r`, which also ends a pending wrap in the last column.
    fn go(&mut self, to: Position) {
        self.out.push(b'\r');
        if to.y < self.at.y {
            self.csi(self.at.y - to.y, 'A');
        } else if to.y > self.at.y {
            self.csi(to.y - self.at.y, 'B');
        }
        if to.x > 0 {
            self.csi(to.x, 'C');
        }
        self.at = to;
    }

    fn style(&mut self, cell: &Cell) {
        self.out.extend_from_slice(b"\x1b[0");
        for (flag, code) in [(Modifier::BOLD, "1"), (Modifier::DIM, "2"), (Modifier::REVERSED, "7")]
        {
            if cell.modifier.contains(flag) {
                let _ = write!(self.out, ";{code}");
            }
        }
        colour(&mut self.out, cell.fg, 38);
        colour(&mut self.out, cell.bg, 48);
        self.out.push(b'm');
    }
}

/// Only the colours that our views use: the terminal's own, 256 and 24 bits.
fn colour(out: &mut Vec<u8>, colour: Color, layer: u8) {
    let _ = match colour {
        Color::Rgb(r, g, b) => write!(out, ";{layer};2;{r};{g};{b}"),
        Color::Indexed(i) => write!(out, ";{layer};5;{i}"),
        _ => Ok(()),
    };
}

impl Backend for Inline {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut next = None;
        let mut style = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.go(Position { x, y });
            }
            let wanted = (cell.fg, cell.bg, cell.modifier);
            if style != Some(wanted) {
                self.style(cell);
                style = Some(wanted);
            }
            self.out.extend_from_slice(cell.symbol().as_bytes());
            let width = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1) as u16;
            next = Some((x + width, y));
            self.at = Position { x: x + width, y };
        }
        if style.is_some() {
            self.out.extend_from_slice(b"\x1b[0m");
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.at)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.go(position.into());
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.go(Position::ORIGIN);
        self.out.extend_from_slice(b"\x1b[J");
        Ok(())
    }

    fn clear_region(&mut self, _region: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn scroll_region_up(&mut self, _region: std::ops::Range<u16>, _lines: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn scroll_region_down(&mut self, _region: std::ops::Range<u16>, _lines: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
