//! Draws the notebook.

use super::app::{Mode, NotebookApp, symbol};
use super::document::Cell;
use super::layout::{Band, Ink, MARGIN, Room, Row, place, rows};
use super::lists::{completions, help, outline};
use super::model::Mark;
use super::screen::{BAR, INK, Inked, Key, Laid};
use super::text::columns;
use crate::error::Span;
use crate::render::text::{cut, printable, width};
use crate::safe::is_safe;
use crate::ui::format;
use crate::ui::full::Canvas;
use crate::ui::screen::{ACCENT, QUIET};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::rc::Rc;
use std::time::Duration;
use unicode_segmentation::UnicodeSegmentation;

/// Colour of failures.
const BAD: u8 = 203;
/// Colour of what is stale.
const STALE: u8 = 179;
/// Run time from which it is shown.
const LONG: u64 = 500;

/// Draws a frame.
pub(super) fn draw(app: &mut NotebookApp, canvas: &mut Canvas<'_>) {
    let area = canvas.area();
    let hint = if area.height >= 12 { app.hint(area.width) } else { Vec::new() };
    let below = 1 + hint.len().min(2) as u16 + u16::from(matches!(app.mode, Mode::Find(..)));
    let height = area.height.saturating_sub(below).max(1);
    app.screen.rows = height;
    let view = Rect { height, ..area };
    let cursor = cells(app, canvas, view);
    let mut y = height;
    for line in hint.iter().take(2) {
        canvas.text((0, y), line, quiet(), area.width);
        y += 1;
    }
    if let Mode::Find(wanted, new, second) = &app.mode {
        find(canvas, y, (wanted, new.as_deref(), *second));
        y += 1;
    }
    status(app, canvas, y.min(area.height - 1));
    match (&app.mode, cursor) {
        (Mode::Edit, Some((x, y))) => {
            canvas.cursor(x.min(area.width - 1), y);
            completions(app, canvas, (x, y), view);
        }
        (Mode::Outline(at), _) => outline(app, canvas, *at, view),
        (Mode::Help(top), _) => help(app, canvas, *top, view),
        _ => {}
    }
}

fn quiet() -> Style {
    Style::new().fg(Color::Indexed(QUIET))
}

fn accent() -> Style {
    Style::new().fg(Color::Indexed(ACCENT))
}

/// Draws the cells; returns where the cursor is.
fn cells(app: &mut NotebookApp, canvas: &mut Canvas<'_>, view: Rect) -> Option<(u16, u16)> {
    let room = Room { columns: view.width.saturating_sub(MARGIN + 1).max(4), rows: view.height };
    let all: Vec<Cell> = app.notebook.editor.document().cells().to_vec();
    let laid: Vec<Rc<Vec<Row>>> =
        all.iter().map(|cell| lay_out(app, canvas, cell, &room)).collect();
    app.screen.heights = laid.iter().map(|rows| rows.len() + 1).collect();
    app.screen.laid.retain(|id, _| all.iter().any(|c| c.id == *id));
    let here = app.notebook.editor.place();
    let before: usize = app.screen.heights[..here.cell].iter().sum();
    let (row, column) = place(&laid[here.cell], &all[here.cell].text, here.at);
    let at = before + row;
    if std::mem::take(&mut app.screen.follow) {
        reveal(app, (before, laid[here.cell].len(), at));
    }
    app.screen.scroll(0);
    let top = app.screen.top;
    let mut from = 0;
    for (k, cell) in all.iter().enumerate() {
        let height = app.screen.heights[k];
        if from + height > top && from < top + usize::from(view.height) {
            // Rows are counted from the screen's first one; pictures begin above it.
            let y = from as i64 - top as i64;
            draw_cell(app, canvas, &Drawing { k, cell, rows: &laid[k], y, view });
        }
        from += height;
    }
    let y = at.checked_sub(top).filter(|y| *y < usize::from(view.height))?;
    Some((MARGIN + column, y as u16))
}

/// Scrolls so that the cursor is on the screen, with as much of its cell as fits.
fn reveal(app: &mut NotebookApp, (first, count, cursor): (usize, usize, usize)) {
    let rows = usize::from(app.screen.rows);
    let top = &mut app.screen.top;
    let last = first + count.max(1) - 1;
    if *top + rows <= last {
        *top = last + 1 - rows;
    }
    if *top > first {
        *top = first;
    }
    // A cell that is higher than the screen shows its cursor.
    if cursor < *top {
        *top = cursor;
    } else if cursor >= *top + rows {
        *top = cursor + 1 - rows;
    }
}

fn lay_out(app: &mut NotebookApp, canvas: &Canvas<'_>, cell: &Cell, room: &Room) -> Rc<Vec<Row>> {
    let running = app.notebook.running().is_some_and(|r| r.id == cell.id);
    let key = Key {
        text: cell.text.clone(),
        title: cell.title().to_owned(),
        stamp: app.notebook.stamp(cell.id),
        room: (room.columns, room.rows),
        folded: cell.folded,
        remark: app.notebook.disorder(cell.id),
    };
    if let Some(laid) = app.screen.laid.get(&cell.id)
        && laid.key == key
        && !running
    {
        return laid.rows.clone();
    }
    let live = app.live.as_ref().filter(|l| l.id == cell.id && running);
    let live = live.map(|l| l.shown.is_some() && !canvas.describes());
    let shown = (key.remark.as_deref(), app.notebook.output(cell.id));
    let rows = Rc::new(rows(cell, shown, live, room, canvas));
    let key = if running { Key { stamp: u64::MAX, ..key } } else { key };
    app.screen.laid.insert(cell.id, Laid { key, rows: rows.clone() });
    rows
}

/// A cell to draw: its first row is at `y` of the screen.
struct Drawing<'a> {
    k: usize,
    cell: &'a Cell,
    rows: &'a [Row],
    y: i64,
    view: Rect,
}

fn draw_cell(app: &mut NotebookApp, canvas: &mut Canvas<'_>, d: &Drawing<'_>) {
    let mark = app.notebook.mark(d.k);
    let current = app.notebook.editor.place().cell == d.k;
    let styles = ink(app, d.cell, current);
    let (mut band, mut live): (Option<&Rc<Band>>, bool) = (None, false);
    for (n, row) in d.rows.iter().enumerate() {
        let at = d.y + n as i64;
        let Some(y) = u16::try_from(at).ok().filter(|y| *y < d.view.height) else { continue };
        if current {
            let bar = if app.mode == Mode::Edit { accent() } else { quiet() };
            canvas.text((0, y), "▌", bar, 1);
        }
        if n == 0 {
            margin(app, canvas, (d.k, y), mark);
        }
        match row {
            Row::Title(title) => {
                let style = Style::new().add_modifier(Modifier::BOLD);
                canvas.text((MARGIN, y), title, style, d.view.width);
            }
            Row::Source(from, to) => source(app, canvas, d, (*from, *to, y), &styles),
            Row::Words(line, ink) => {
                let style = match ink {
                    Ink::Plain => Style::new(),
                    Ink::Head => quiet(),
                    Ink::Bad => Style::new().fg(Color::Indexed(BAD)),
                    Ink::Warn => Style::new().fg(Color::Indexed(STALE)),
                };
                canvas.text((MARGIN, y), line, style, d.view.width);
            }
            Row::Folded(line) => {
                canvas.text((MARGIN, y), line, quiet(), d.view.width);
            }
            // The whole band at its first visible row.
            Row::Band(all, row) if !band.is_some_and(|drawn| Rc::ptr_eq(drawn, all)) => {
                band = Some(all);
                pictures(app, canvas, all, (at - i64::from(*row), d.view));
            }
            Row::Band(..) => {}
            Row::Captions(all) => captions(canvas, all, y),
            Row::Live(row) if !live => {
                live = true;
                let height = d.rows.len() - (n - usize::from(*row));
                progress(app, canvas, (at - i64::from(*row), height as u16), d.view);
            }
            Row::Live(_) => {}
        }
        if n == 0 {
            run_time(app, canvas, d.cell.id, (d.view.width, y));
        }
    }
}

/// Number and state of a cell.
fn margin(app: &NotebookApp, canvas: &mut Canvas<'_>, (k, y): (usize, u16), mark: Mark) {
    canvas.text((1, y), &format!("{:>3}", k + 1), quiet(), 3);
    let style = match mark {
        Mark::Fresh => accent(),
        Mark::Stale | Mark::Waiting => Style::new().fg(Color::Indexed(STALE)),
        Mark::Running => accent().add_modifier(Modifier::BOLD),
        Mark::Failed => Style::new().fg(Color::Indexed(BAD)),
        Mark::None => quiet(),
    };
    let wrong = app.mistakes.iter().any(|(cell, _)| *cell == k);
    let shown = if wrong && mark == Mark::Stale { "!" } else { symbol(mark) };
    canvas.text((5, y), shown, style, 1);
}

/// How long a cell ran, at the right end of its first row.
fn run_time(app: &NotebookApp, canvas: &mut Canvas<'_>, id: u64, (right, y): (u16, u16)) {
    let text = match app.notebook.ran(id) {
        Some(ran) if ran.cached => "cached".to_owned(),
        Some(ran) if ran.millis >= LONG => format::time(Duration::from_millis(ran.millis)),
        _ => return,
    };
    let x = right.saturating_sub(width(&text) as u16 + 1);
    // Never over the text of the cell, nor right behind it.
    if (x.saturating_sub(2)..right).all(|x| canvas.buffer[(x, y)].symbol() == " ") {
        canvas.text((x, y), &text, quiet(), 12);
    }
}

/// The colours of a cell's text.
fn ink(app: &mut NotebookApp, cell: &Cell, current: bool) -> Rc<Vec<(Span, Style)>> {
    if cell.is_text() {
        return Rc::new(words_styles(&cell.text));
    }
    app.name_things();
    let at = match (current, &app.mode) {
        (true, Mode::Edit) => app.notebook.editor.place().at,
        // Nowhere: no bracket is marked.
        _ => usize::MAX,
    };
    let names = app.notebook.revision();
    if let Some(known) = app.screen.inked.get(&cell.id)
        && (known.at, known.names) == (at, names)
        && known.text == cell.text
    {
        return known.styles.clone();
    }
    let styles = app.language.styles(&cell.text, at).into_iter();
    let styles = Rc::new(styles.map(|(span, sgr)| (span, style(sgr))).collect::<Vec<_>>());
    let inked = Inked { text: cell.text.clone(), at, names, styles: styles.clone() };
    app.screen.inked.insert(cell.id, inked);
    styles
}

/// Headings of words are bold.
fn words_styles(text: &str) -> Vec<(Span, Style)> {
    let mut at = 0;
    let mut all = Vec::new();
    for line in text.split('\n') {
        if line.starts_with('#') {
            let bold = Style::new().add_modifier(Modifier::BOLD);
            all.push((Span::new(at, at + line.len()), bold));
        }
        at += line.len() + 1;
    }
    all
}

/// The style of the parameters of an SGR sequence.
fn style(sgr: &str) -> Style {
    let mut style = Style::new();
    let mut codes = sgr.split(';');
    while let Some(code) = codes.next() {
        style = match code {
            "1" => style.add_modifier(Modifier::BOLD),
            "4" => style.add_modifier(Modifier::UNDERLINED),
            "38" => match codes.nth(1).and_then(|n| n.parse().ok()) {
                Some(colour) => style.fg(Color::Indexed(colour)),
                None => style,
            },
            _ => style,
        };
    }
    style
}

/// Draws bytes of a cell's text.
fn source(
    app: &NotebookApp,
    canvas: &mut Canvas<'_>,
    d: &Drawing<'_>,
    (from, to, y): (usize, usize, u16),
    styles: &[(Span, Style)],
) {
    let Some(text) = d.cell.text.get(from..to) else { return };
    let current = app.notebook.editor.place().cell == d.k;
    let selected = app.notebook.editor.selection().filter(|_| current);
    let mistakes: Vec<Span> =
        app.mistakes.iter().filter(|(cell, _)| *cell == d.k).map(|(_, m)| m.span).collect();
    let mut x = MARGIN;
    let mut k = styles.partition_point(|(span, _)| span.end <= from);
    for (n, grapheme) in text.grapheme_indices(true) {
        let at = from + n;
        while styles.get(k).is_some_and(|(span, _)| span.end <= at) {
            k += 1;
        }
        let mut style = match styles.get(k) {
            Some((span, style)) if span.start <= at => *style,
            _ => Style::new(),
        };
        if mistakes.iter().any(|m| m.start <= at && at < m.end.max(m.start + 1)) {
            style = style.add_modifier(Modifier::UNDERLINED).fg(Color::Indexed(BAD));
        }
        if selected.is_some_and(|(from, to)| from <= at && at < to) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let wide = columns(grapheme) as u16;
        if x + wide > d.view.width {
            break;
        }
        let shown = match grapheme {
            "\t" => "    ",
            g if g.chars().all(is_safe) && width(g) > 0 => g,
            _ => "\u{fffd}",
        };
        canvas.text((x, y), shown, style, wide);
        x += wide;
    }
}

fn pictures(app: &mut NotebookApp, canvas: &mut Canvas<'_>, band: &Band, (y, view): (i64, Rect)) {
    let y = i32::try_from(y).unwrap_or(i32::MIN);
    for (one, x, size) in &band.all {
        let x = MARGIN + x;
        match app.notebook.outputs.image(one) {
            Some(image) => canvas.picture(&image, (i32::from(x), y), *size, view),
            None => {
                if let Some(row) = u16::try_from(y).ok().filter(|y| *y < view.height) {
                    canvas.text((x, row), &one.words, quiet(), size.0);
                }
            }
        }
    }
}

fn captions(canvas: &mut Canvas<'_>, band: &Band, y: u16) {
    for (k, (one, x, size)) in band.all.iter().enumerate() {
        let next = band.all.get(k + 1).map(|n| n.1.saturating_sub(1));
        let room = next.map_or(size.0.max(20), |next| next - x);
        let text = cut(&printable(&one.caption), usize::from(room));
        canvas.text((MARGIN + x, y), &text, quiet(), room);
    }
}

/// Draws the progress of the running cell, from row `y` on.
fn progress(app: &NotebookApp, canvas: &mut Canvas<'_>, (y, height): (i64, u16), view: Rect) {
    let Some(live) = &app.live else { return };
    let mut right = view.width;
    if let Some(image) = live.shown.as_ref().filter(|_| !canvas.describes()) {
        let size = canvas.fit(image.raster(), (view.width / 2, height));
        right = view.width.saturating_sub(size.0 + 1);
        let at = (i32::from(right), i32::try_from(y).unwrap_or(i32::MIN));
        canvas.live(image, at, size, view);
    }
    // When the first rows are scrolled off, only the picture is drawn.
    let Ok(top) = u16::try_from(y) else { return };
    let rows = view.height.saturating_sub(top).min(height).min(super::layout::PROGRESS);
    if rows > 0 && right > MARGIN + 10 {
        let area = Rect::new(MARGIN - 1, top, right - MARGIN, rows);
        live.view.text(area, canvas.buffer);
    }
}

// ---- lines below

fn find(canvas: &mut Canvas<'_>, y: u16, (wanted, new, second): (&str, Option<&str>, bool)) {
    let area = canvas.area();
    let mut x = canvas.text((0, y), " find: ", accent(), area.width);
    x = canvas.text((x, y), wanted, Style::new(), area.width);
    let mut cursor = x;
    if let Some(new) = new {
        x = canvas.text((x, y), "   replace by: ", accent(), area.width);
        x = canvas.text((x, y), new, Style::new(), area.width);
        cursor = if second { x } else { cursor };
    }
    let keys = match new {
        Some(_) => "   Enter replaces, ^A all, Esc ends",
        None => "   Enter next, ↑ previous, Tab replaces, Esc ends",
    };
    canvas.text((x, y), keys, quiet(), area.width);
    canvas.cursor(cursor.min(area.width - 1), y);
}

/// The status line: file, whether it is saved, the generator, the device; or a message.
fn status(app: &mut NotebookApp, canvas: &mut Canvas<'_>, y: u16) {
    let area = canvas.area();
    let bar = Style::new().fg(Color::Indexed(INK)).bg(Color::Indexed(BAR));
    let plain = app.colour == crate::ui::Colour::None;
    let bar = if plain { Style::new().add_modifier(Modifier::REVERSED) } else { bar };
    canvas.text((0, y), &" ".repeat(usize::from(area.width)), bar, area.width);
    let name = app.notebook.path().file_name().map(|n| n.to_string_lossy().into_owned());
    let saved = if app.notebook.is_saved() { "saved" } else { "not saved" };
    let here = app.notebook.editor.place().cell;
    let count = app.notebook.editor.document().cells().len();
    let mut x = canvas.text(
        (0, y),
        &format!(" {}", name.unwrap_or_default()),
        bar.add_modifier(Modifier::BOLD),
        40,
    );
    let vi = app.vi.as_ref().filter(|_| app.mode == Mode::Edit).map_or("", |vi| vi.name());
    let mode = match app.mode {
        Mode::Edit if vi.is_empty() => "edit",
        Mode::Edit => vi,
        _ => "cells",
    };
    x = canvas.text(
        (x, y),
        &format!(" · {saved} · {}/{count} · {mode} · ", here + 1),
        bar,
        area.width,
    );
    let mistake = app.mistakes.iter().find(|(cell, _)| *cell == here).map(|(_, m)| m.text.clone());
    let bad = bar.fg(Color::Indexed(BAD));
    let (text, style) = if app.notebook.conflict() {
        ("another program changed the file: r reload, k keep both".to_owned(), bad)
    } else if let Some(message) = app.notebook.message() {
        (message.text.clone(), if message.bad { bad } else { bar })
    } else if let (Some(mistake), Mode::Edit) = (mistake, &app.mode) {
        (mistake, bad)
    } else if app.notebook.busy() {
        let keeps = app.live.as_ref().is_some_and(|live| live.view.keeps());
        (if keeps { "^C stops and keeps the best" } else { "^C stops" }.to_owned(), bar)
    } else {
        let types = app.mode == Mode::Edit && !app.notebook.editor.text().trim().is_empty();
        let keys = if types { "Esc, then ? keys" } else { "? keys" };
        (format!("{} · {keys}", app.about), bar)
    };
    let room = usize::from(area.width.saturating_sub(x + 1));
    canvas.text((x, y), &cut(&printable(&text), room), style, area.width);
}
