//! The panel of sliders.

use super::Explorer;
use crate::render::text::{cut, width};
use crate::session::explore::{Part, Row};
use crate::ui::full::Canvas;
use crate::ui::screen::{ACCENT, QUIET};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

/// Columns of a name with the mark of the chosen row, at least and at most.
const NAME: [u16; 2] = [13, 24];
/// Columns of a track, a value and the layers of a slider.
const REST: u16 = 31;
/// Columns of a slider's value, so that what comes after it is aligned.
const VALUE: usize = 6;
/// Columns of a track.
pub(super) const TRACK: u16 = 13;

pub(super) fn quiet() -> Style {
    Style::new().fg(Color::Indexed(QUIET))
}

pub(super) fn accent() -> Style {
    Style::new().fg(Color::Indexed(ACCENT))
}

impl Explorer {
    /// Draws the rows that fit; the chosen one is among them.
    pub(super) fn panel(&mut self, canvas: &mut Canvas<'_>, area: Rect) {
        self.tracks.clear();
        let rows = self.model.rows();
        let chosen = rows.iter().position(|r| *r == self.model.row()).unwrap_or(0);
        let room = usize::from(area.height.max(1));
        self.first = self.first.clamp((chosen + 1).saturating_sub(room), chosen);
        self.first = self.first.min(rows.len().saturating_sub(room));
        let most = area.width.saturating_sub(REST).clamp(NAME[0], NAME[1]);
        let name = self.name_columns().clamp(NAME[0].min(most), most);
        let shown = rows.iter().enumerate().skip(self.first).take(room);
        for ((i, row), y) in shown.zip(area.top()..) {
            let line = Rect::new(area.x, y, area.width, 1);
            self.row(canvas, (line, name), (*row, i == chosen));
        }
        // Marks at the right edge say that there is more.
        let x = area.right().saturating_sub(1);
        if self.first > 0 {
            canvas.text((x, area.top()), "↑", quiet(), 1);
        }
        if self.first + room < rows.len() {
            canvas.text((x, area.bottom().saturating_sub(1)), "↓", quiet(), 1);
        }
    }

    /// Columns of the longest name, with the mark of the chosen row.
    fn name_columns(&self) -> u16 {
        let rows = self.model.rows();
        let names = rows.iter().map(|r| width(&self.model.subject.shown(self.model.now(), *r).0));
        names.max().unwrap_or(0) as u16 + 3
    }

    /// Columns in which the panel cuts no usual name.
    pub(super) fn panel_columns(&self) -> u16 {
        self.name_columns().min(NAME[1]) + REST
    }

    fn row(
        &mut self,
        canvas: &mut Canvas<'_>,
        (line, columns): (Rect, u16),
        (row, chosen): (Row, bool),
    ) {
        let (name, value) = self.model.subject.shown(self.model.now(), row);
        let style = if chosen { accent().add_modifier(Modifier::BOLD) } else { Style::new() };
        let (mark, end) = (if chosen { "›" } else { " " }, line.right().saturating_sub(1));
        let room = |x: u16| end.saturating_sub(x);
        canvas.text((line.x, line.y), mark, style, room(line.x));
        let at = line.x + 2;
        canvas.text((at, line.y), &cut(&name, usize::from(columns) - 3), style, room(at));
        let at = line.x + columns;
        let track = Rect::new(at, line.y, TRACK.min(room(at)), 1);
        self.tracks.push((track, row));
        let at = match self.model.subject.knob(self.model.now(), row) {
            Some(knob) => {
                self.track(canvas, track, (row, knob), style);
                track.right() + 1
            }
            None => at,
        };
        let mut value = self.value(row, value, chosen);
        if matches!(row, Row::Axis(_)) {
            value = format!("{value:<VALUE$}");
        }
        let at = canvas.text((at, line.y), &value, style, room(at));
        self.extras(canvas, (at + 1, line.y), (row, chosen), end);
    }

    fn track(&self, canvas: &mut Canvas<'_>, track: Rect, (row, knob): (Row, f64), style: Style) {
        let last = track.width.saturating_sub(1);
        let at = (knob * f64::from(last)).round() as u16;
        let zero = if matches!(row, Row::Axis(_) | Row::Channel(..)) { last / 2 } else { u16::MAX };
        for k in 0..track.width {
            let (sign, style) = match k {
                k if k == at => ("●", style),
                k if k == zero => ("┼", quiet()),
                _ => ("─", quiet()),
            };
            canvas.text((track.x + k, track.y), sign, style, 1);
        }
    }

    /// The value of a row; of the layers that are mixed, with the cursor.
    fn value(&self, row: Row, value: String, chosen: bool) -> String {
        if row != Row::Mixed || !chosen {
            return value;
        }
        let cursor = self.model.cursor();
        let each = value.chars().enumerate();
        each.map(|(i, c)| match (i == cursor, c) {
            (true, '●') => '◉',
            (true, _) => '○',
            (false, c) => c,
        })
        .collect()
    }

    /// What else is set about a direction: layers, held, projected.
    fn extras(
        &self,
        canvas: &mut Canvas<'_>,
        (mut x, y): (u16, u16),
        (row, chosen): (Row, bool),
        end: u16,
    ) {
        let Row::Axis(i) = row else { return };
        let (point, part) = (self.model.now(), self.model.part());
        let Some(slider) = point.sliders.get(i) else { return };
        let mut put = |text: &str, style: Style| {
            x = canvas.text((x, y), text, style, end.saturating_sub(x));
        };
        let editing = chosen && part != Part::Amount;
        if slider.layers.is_some() || editing {
            let all = slider.layers.clone().unwrap_or(0..self.model.subject.layers);
            let lit = |own: Part| {
                if chosen && part == own {
                    accent().add_modifier(Modifier::REVERSED)
                } else {
                    quiet()
                }
            };
            put("@ ", quiet());
            put(&all.start.to_string(), lit(Part::From));
            put("–", quiet());
            put(&(all.end - 1).to_string(), lit(Part::To));
            put(" ", quiet());
        }
        let others = point.sliders.iter().any(|s| s.hold);
        if slider.hold {
            put("hold", accent());
        } else if others && slider.amount != 0.0 {
            put("⟂", quiet());
        }
    }
}
