//! Lists above the cells: completions, the outline, the keys.

use super::app::{NotebookApp, symbol};
use super::screen::{BAR, INK};
use crate::render::text::{cut, width};
use crate::ui::full::Canvas;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

/// A list above the cells.
fn list(canvas: &mut Canvas<'_>, area: Rect, lines: &[(String, Style)]) {
    canvas.cover(area);
    for (k, (line, style)) in lines.iter().take(usize::from(area.height)).enumerate() {
        let y = area.y + k as u16;
        let blank = " ".repeat(usize::from(area.width));
        canvas.text((area.x, y), &blank, *style, area.width);
        let room = area.width.saturating_sub(1);
        canvas.text((area.x, y), &cut(&format!(" {line}"), usize::from(room)), *style, room);
    }
}

fn listed(app: &NotebookApp, chosen: bool) -> Style {
    let plain = app.colour == crate::ui::Colour::None;
    match (plain, chosen) {
        (true, true) => Style::new().add_modifier(Modifier::REVERSED),
        (true, false) => Style::new(),
        (false, true) => Style::new().fg(Color::Indexed(INK)).bg(Color::Indexed(24)),
        (false, false) => Style::new().fg(Color::Indexed(INK)).bg(Color::Indexed(BAR)),
    }
}

pub(super) fn completions(
    app: &NotebookApp,
    canvas: &mut Canvas<'_>,
    (x, y): (u16, u16),
    view: Rect,
) {
    let Some(found) = &app.completion else { return };
    let count = found.all.len().min(8) as u16;
    let wide = found.all.iter().map(|c| width(&c.display)).max().unwrap_or(0) as u16 + 2;
    let wide = wide.min(view.width);
    let x = x.min(view.width - wide);
    // Below the cursor, or above it where there is more room.
    let below = view.height.saturating_sub(y + 1);
    let (top, count) = if below >= count || below >= y {
        (y + 1, count.min(below))
    } else {
        (y.saturating_sub(count), count.min(y))
    };
    let first = found.chosen.saturating_sub(usize::from(count.max(1)) - 1);
    let lines: Vec<(String, Style)> = found
        .all
        .iter()
        .enumerate()
        .skip(first)
        .map(|(k, c)| (c.display.clone(), listed(app, k == found.chosen)))
        .collect();
    list(canvas, Rect::new(x, top, wide, count), &lines);
}

pub(super) fn outline(app: &mut NotebookApp, canvas: &mut Canvas<'_>, at: usize, view: Rect) {
    let count = app.notebook.editor.document().cells().len();
    let height = usize::from(view.height).min(count);
    let first = at.saturating_sub(height.saturating_sub(1));
    let mut lines = Vec::new();
    for k in first..(first + height).min(count) {
        let mark = app.notebook.mark(k);
        let cell = &app.notebook.editor.document().cells()[k];
        let head = match cell.title() {
            "" => cell.text.lines().next().unwrap_or("").to_owned(),
            title => title.to_owned(),
        };
        let indent = if cell.is_text() { "" } else { "  " };
        let line = format!("{:>3} {} {indent}{head}", k + 1, symbol(mark));
        lines.push((line, listed(app, k == at)));
    }
    list(canvas, Rect::new(0, 0, view.width.min(60), height as u16), &lines);
}

/// Columns of the list of keys.
const COLUMNS: u16 = 78;
/// Columns of the keys in it.
const KEY_COLUMNS: usize = 24;

/// The keys, and what they do.
const KEYS: &[(&str, &str)] = &[
    ("everywhere", ""),
    ("Ctrl-R, Alt-Enter", "run the cell, after the stale cells that it needs"),
    ("Shift-Enter", "run it and go on, in terminals that tell it apart"),
    ("Ctrl-T", "run all that is stale"),
    ("F5", "run all cells"),
    ("Ctrl-C", "stop, keep the best; again: drop it; else copy"),
    ("Ctrl-S", "save (it is also saved when you pause)"),
    ("Ctrl-F", "find and replace"),
    ("Ctrl-O", "outline"),
    ("Alt-Up, Alt-Down", "move the cell"),
    ("Alt-S, Alt-J, Alt-M", "split, join with the next, text or code"),
    ("Alt-N, Alt-F", "new cell below, fold"),
    ("Ctrl-L, Ctrl-Z", "draw again, suspend"),
    ("Ctrl-Q", "quit"),
    ("", ""),
    ("cells (Esc)", ""),
    ("Enter", "edit the cell"),
    ("j k, arrows", "next, previous cell"),
    ("r, n", "run; run and go to the next"),
    ("s, R", "run what is stale; run all"),
    ("a, b", "new cell above, below"),
    ("d d", "remove the cell"),
    ("J K", "move the cell down, up"),
    ("M, m", "join with the next; text or code"),
    ("o", "the result full screen: compare, zoom, error"),
    ("f, t, /", "fold, outline, find"),
    ("u, U", "undo, redo"),
    ("q", "quit"),
    ("", ""),
    ("editing", ""),
    ("Tab", "complete, or indent"),
    ("Shift-arrows", "select; Ctrl-arrows go by words"),
    ("Ctrl-X, Ctrl-V", "cut, paste (Ctrl-C copies a selection)"),
    ("Ctrl-U, Ctrl-Y", "undo, redo"),
    ("Ctrl-A, Ctrl-K, Ctrl-W", "select all, delete to the end, delete a word"),
    ("", ""),
    ("states", ""),
    ("● ○ ◐ ◔ ✗", "fresh, stale, running, waiting, failed"),
    ("!", "stale, with a mistake"),
];

pub(super) fn help(app: &NotebookApp, canvas: &mut Canvas<'_>, top: usize, view: Rect) {
    let height = usize::from(view.height).min(KEYS.len());
    let first = top.min(KEYS.len() - height);
    let line = |(keys, what): &(&str, &str)| {
        let style = listed(app, false);
        if what.is_empty() {
            return ((*keys).to_owned(), style.add_modifier(Modifier::BOLD));
        }
        let blank = " ".repeat(KEY_COLUMNS.saturating_sub(width(keys)));
        (format!("  {keys}{blank}{what}"), style)
    };
    let lines: Vec<(String, Style)> = KEYS[first..].iter().map(line).collect();
    list(canvas, Rect::new(0, 0, view.width.min(COLUMNS), height as u16), &lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_keys_is_cut() {
        for (keys, what) in KEYS {
            // A blank on each side, an indent, and the column of the keys.
            let room = usize::from(COLUMNS) - 2 - 2 - KEY_COLUMNS;
            assert!(width(keys) < KEY_COLUMNS && width(what) <= room, "{keys}: {what}");
        }
    }
}
