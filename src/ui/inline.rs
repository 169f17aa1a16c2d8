//! A ratatui backend for a few rows at the cursor that never queries the cursor's position.
//!
//! ratatui's own inline viewport needs the absolute row of the cursor. It queries the row at the
//! start and at every resize; the answer arrives on stdin between the user's keys, and a mute
//! terminal delays the start by two seconds. Here all moves are relative to the view's first cell,
//! where the cursor rests between frames. Erasing the view is therefore the same short sequence at
//! any time and from any thread, and a resize leaves no copies behind.

use super::pen;
use crossterm::cursor::{Hide, MoveDown, MoveRight, MoveUp};
use crossterm::style::{ResetColor, force_color_output};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::{Command, QueueableCommand};
use ratatui::backend::{self, Backend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use std::{fmt, io};

/// Clears the cursor's line and everything below; the cursor ends in the first column.
///
/// The first line is cleared first, then the screen from the second column on. When a screen is
/// cleared from its very first cell, tmux pushes it into its history, as a copy of the view.
pub(super) struct ClearBelow;

impl Command for ClearBelow {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_char('\r')?;
        Clear(ClearType::UntilNewLine).write_ansi(f)?;
        // `MoveRight(1)` without its default count.
        f.write_str("\x1b[C")?;
        Clear(ClearType::FromCursorDown).write_ansi(f)?;
        f.write_char('\r')
    }
}

/// Collects a frame's bytes.
pub(super) struct Inline {
    size: Size,
    at: Position,
    out: Vec<u8>,
}

impl Inline {
    /// Makes a view of `size` cells; [`Inline::reserve`] makes room for it.
    pub(super) fn new(size: Size) -> Self {
        // The view's colours are decided already: crossterm must not check `NO_COLOR` again.
        force_color_output(true);
        Self { size, at: Position::ORIGIN, out: Vec::new() }
    }

    /// Makes room below the cursor, which must be in the first column, and hides the cursor.
    pub(super) fn reserve(&mut self) {
        let below = self.size.height.saturating_sub(1);
        self.put(Hide);
        self.put(ClearBelow);
        self.out.extend(std::iter::repeat_n(b'\n', usize::from(below)));
        if below > 0 {
            self.put(MoveUp(below));
        }
    }

    /// The bytes since the last call, as one synchronised update that leaves the cursor at the
    /// first cell.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if self.out.is_empty() {
            return Vec::new();
        }
        self.go(Position::ORIGIN);
        self.put(EndSynchronizedUpdate);
        let drawn = std::mem::take(&mut self.out);
        self.put(BeginSynchronizedUpdate);
        self.out.extend(drawn);
        std::mem::take(&mut self.out)
    }

    /// Adds bytes that paint a picture with its top left corner in this column of the first row.
    /// They must leave the cursor where it was.
    pub(super) fn paint(&mut self, column: u16, bytes: &[u8]) {
        self.go(Position { x: column, y: 0 });
        self.out.extend_from_slice(bytes);
    }

    fn put(&mut self, command: impl Command) {
        // Writing to a vector cannot fail.
        let _ = self.out.queue(command);
    }

    /// Moves the cursor. `\r` first, because it also ends a pending wrap in the last column.
    fn go(&mut self, to: Position) {
        self.out.push(b'\r');
        if to.y < self.at.y {
            self.put(MoveUp(self.at.y - to.y));
        } else if to.y > self.at.y {
            self.put(MoveDown(to.y - self.at.y));
        }
        if to.x > 0 {
            self.put(MoveRight(to.x));
        }
        self.at = to;
    }
}

impl Backend for Inline {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut next = None;
        let mut pen = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                self.go(Position { x, y });
            }
            pen = Some(pen::take(&mut self.out, pen, cell));
            self.out.extend_from_slice(cell.symbol().as_bytes());
            let width = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1) as u16;
            next = Some((x + width, y));
            self.at = Position { x: x + width, y };
        }
        if pen.is_some() {
            self.put(ResetColor);
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
        self.put(Clear(ClearType::FromCursorDown));
        Ok(())
    }

    fn clear_region(&mut self, _region: backend::ClearType) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::pen::Pen;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Modifier, Style};

    /// A pen after the parameters of one SGR sequence.
    fn written(mut pen: Pen, parameters: &str) -> Pen {
        let mut rest = parameters.split(';').map(|n| n.parse::<u8>().unwrap_or(0));
        while let Some(code) = rest.next() {
            let mut colour = || match rest.next() {
                Some(5) => Color::Indexed(rest.next().unwrap()),
                _ => {
                    let [r, g, b] = [(); 3].map(|()| rest.next().unwrap());
                    Color::Rgb(r, g, b)
                }
            };
            match code {
                0 => pen = (Color::Reset, Color::Reset, Modifier::empty()),
                1 => pen.2 |= Modifier::BOLD,
                2 => pen.2 |= Modifier::DIM,
                7 => pen.2 |= Modifier::REVERSED,
                38 => pen.0 = colour(),
                39 => pen.0 = Color::Reset,
                48 => pen.1 = colour(),
                49 => pen.1 = Color::Reset,
                other => panic!("SGR {other} in {parameters}"),
            }
        }
        pen
    }

    /// The pens of the characters in a frame of one row.
    fn pens(bytes: &[u8]) -> Vec<Pen> {
        // The state before the frame is unknown and must not matter.
        let mut pen = (Color::Indexed(9), Color::Indexed(9), Modifier::REVERSED);
        let mut pens = Vec::new();
        let mut rest = std::str::from_utf8(bytes).unwrap();
        while let Some(c) = rest.chars().next() {
            match rest.strip_prefix("\x1b[") {
                Some(t) => {
                    let end = t.find(|c: char| ('@'..='~').contains(&c)).unwrap();
                    if &t[end..=end] == "m" {
                        pen = written(pen, &t[..end]);
                    }
                    rest = &t[end + 1..];
                }
                None => {
                    rest = &rest[c.len_utf8()..];
                    pens.extend((!c.is_control()).then_some(pen));
                }
            }
        }
        assert_eq!(pen, (Color::Reset, Color::Reset, Modifier::empty()), "after the frame");
        pens
    }

    #[test]
    fn every_cell_has_its_own_style_whatever_came_before() {
        let colours = [Color::Reset, Color::Indexed(38), Color::Rgb(1, 2, 3)];
        let modifiers = [Modifier::empty(), Modifier::BOLD, Modifier::DIM | Modifier::REVERSED];
        let mut rng = crate::rng::Rng::new(7);
        let mut pick = || (rng.uniform() * 3.0) as usize % 3;
        let area = Rect::new(0, 0, 400, 1);
        let mut buffer = Buffer::empty(area);
        let wanted: Vec<Pen> =
            (0..400).map(|_| (colours[pick()], colours[pick()], modifiers[pick()])).collect();
        for (x, pen) in wanted.iter().enumerate() {
            let style = Style::new().fg(pen.0).bg(pen.1).add_modifier(pen.2);
            buffer[(x as u16, 0)].set_symbol("x").set_style(style);
        }
        let mut view = Inline::new(Size::new(400, 1));
        view.draw((0..400u16).map(|x| (x, 0, &buffer[(x, 0)]))).unwrap();
        assert_eq!(pens(&view.take()), wanted);
        assert!(view.take().is_empty(), "nothing is sent twice");
    }

    #[test]
    fn a_picture_is_painted_in_its_column_and_the_cursor_returns() {
        let mut view = Inline::new(Size::new(40, 5));
        view.go(Position { x: 3, y: 2 });
        view.take();
        view.paint(30, b"<picture>");
        let bytes = String::from_utf8(view.take()).unwrap();
        assert!(bytes.contains("\r\x1b[30C<picture>\r\x1b[?2026l"), "{bytes:?}");
    }
}
