//! Text that is longer than the screen, page by page.

use super::full::{self, App, Canvas, Change};
use super::screen::{Colour, QUIET};
use super::{Line, Terminal};
use crate::error::Result;
use crate::render;
use crate::render::text::printable;
use crossterm::event::{Event, KeyCode, KeyModifiers, MouseEventKind};
use ratatui::style::{Color, Modifier, Style};

/// Lines that a turn of the mouse's wheel scrolls.
const WHEEL: usize = 3;

/// Shows lines on the full screen until the user leaves it.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn page(
    terminal: &mut Terminal<Line>,
    able: &render::Terminal,
    lines: Vec<String>,
) -> Result<()> {
    let colour = terminal.colour();
    let mut full = terminal.full(able)?;
    full::run(&mut Pager::new(lines, colour), &mut full)
}

/// The program that shows lines.
struct Pager {
    lines: Vec<String>,
    colour: Colour,
    /// The first line on the screen.
    top: usize,
    /// Lines of the last frame.
    rows: usize,
    changed: bool,
    over: bool,
}

impl Pager {
    fn new(lines: Vec<String>, colour: Colour) -> Self {
        Self { lines, colour, top: 0, rows: 1, changed: true, over: false }
    }

    fn key(&mut self, code: KeyCode, held: KeyModifiers) {
        let (top, page) = (self.top, self.rows.saturating_sub(1).max(1));
        match code {
            KeyCode::Char('c') if held == KeyModifiers::CONTROL => self.over = true,
            KeyCode::Char('q') | KeyCode::Esc => self.over = true,
            KeyCode::Up | KeyCode::Char('k') => self.scroll(top.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') | KeyCode::Enter => self.scroll(top + 1),
            KeyCode::PageUp | KeyCode::Char('b') => self.scroll(top.saturating_sub(page)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll(top + page),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(0),
            KeyCode::End | KeyCode::Char('G') => self.scroll(usize::MAX),
            _ => {}
        }
    }

    fn scroll(&mut self, top: usize) {
        self.top = top.min(self.lines.len().saturating_sub(self.rows));
        self.changed = true;
    }
}

impl App for Pager {
    fn input(&mut self, event: &Event) {
        match event {
            Event::Key(key) => self.key(key.code, key.modifiers),
            Event::Mouse(mouse) if mouse.kind == MouseEventKind::ScrollUp => {
                self.scroll(self.top.saturating_sub(WHEEL));
            }
            Event::Mouse(mouse) if mouse.kind == MouseEventKind::ScrollDown => {
                self.scroll(self.top + WHEEL);
            }
            Event::Resize(..) => self.changed = true,
            _ => {}
        }
    }

    fn tick(&mut self) {}

    fn busy(&self) -> bool {
        false
    }

    fn change(&self) -> Change {
        if self.changed { Change::All } else { Change::None }
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let area = canvas.area();
        self.rows = usize::from(area.height.saturating_sub(1)).max(1);
        self.scroll(self.top);
        self.changed = false;
        let shown = self.lines.iter().skip(self.top).take(self.rows);
        for (y, line) in shown.enumerate() {
            canvas.text((0, y as u16), &printable(line), Style::new(), area.width);
        }
        let last = (self.top + self.rows).min(self.lines.len());
        let count = self.lines.len();
        let keys = format!("{}–{last} of {count} · ↑↓ space b · q quits", self.top + 1);
        let style = match self.colour {
            Colour::None => Style::new().add_modifier(Modifier::REVERSED),
            _ => Style::new().fg(Color::Indexed(QUIET)),
        };
        canvas.text((0, area.height.saturating_sub(1)), &keys, style, area.width);
    }

    fn end(&mut self) {
        self.over = true;
    }

    fn over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Terminal;
    use crate::ui::full::Compositor;
    use crossterm::event::KeyEvent;

    #[test]
    fn every_line_can_be_reached_and_the_last_page_is_full() {
        let lines: Vec<String> = (1..=40).map(|n| format!("line {n}.")).collect();
        let mut pager = Pager::new(lines, Colour::None);
        let mut compositor = Compositor::new(&Terminal::plain("test"));
        let mut shown = |pager: &mut Pager| {
            let mut rows = Vec::new();
            let draw = |canvas: &mut Canvas<'_>| {
                pager.draw(canvas);
                let row = |y| (0..40).map(|x| canvas.buffer[(x, y)].symbol()).collect::<String>();
                rows = (0..10).map(row).collect();
            };
            compositor.frame((40, 10), true, draw).unwrap();
            rows
        };
        let mut press = |pager: &mut Pager, code| {
            pager.input(&Event::Key(KeyEvent::from(code)));
            shown(pager)
        };
        let first = press(&mut pager, KeyCode::Home);
        assert!(
            first[0].starts_with("line 1.") && first[9].starts_with("1–9 of 40 · "),
            "{first:?}"
        );
        let second = press(&mut pager, KeyCode::Char(' '));
        assert!(second[0].starts_with("line 9."), "{second:?}");
        let last = press(&mut pager, KeyCode::End);
        assert!(last[8].starts_with("line 40.") && last[9].starts_with("32–40"), "{last:?}");
        assert_eq!(press(&mut pager, KeyCode::Down), last);
        let up = press(&mut pager, KeyCode::Up);
        assert!(up[8].starts_with("line 39.") && !pager.over(), "{up:?}");
        press(&mut pager, KeyCode::Char('q'));
        assert!(pager.over());
    }
}
