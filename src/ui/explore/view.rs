//! The layout of an exploration.

use super::keys::{HELP, HELP_LAYERS, HELP_MAP};
use super::panel::{accent, quiet};
use super::{Explorer, Shows};
use crate::render::text::{cut, width};
use crate::ui::full::Change;
use crate::ui::full::{Canvas, Image};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::sync::Arc;

/// Columns of the panel, at least.
const PANEL: u16 = 38;
/// Columns below which picture and panel are above each other.
const NARROW: u16 = 60;
/// Columns of the help.
const HELP_COLUMNS: u16 = 78;

/// The keys, from the longest line to the shortest.
const KEYS: [&str; 3] = [
    "←→ move  ↑↓ choose  h hold  l layers  g map  a/b compare  s save script  u undo  ? keys  \
     Enter take  Esc leave",
    "←→ move  ↑↓ choose  h hold  g map  s save  u undo  ? keys  Enter take  Esc leave",
    "←→ move  ↑↓ choose  s save  u undo  ? keys  Enter take  Esc leave",
];
const MAP_KEYS: &str = "arrows pan  + - zoom  x y other directions  Enter take  Esc back";
const LAYER_KEYS: &str = "↑↓ layer  ←→ channel  + - move it  n farthest  s save  ? keys  Esc back";

impl Explorer {
    pub(super) fn paint(&mut self, canvas: &mut Canvas<'_>) {
        let screen = canvas.area();
        let body = Rect { height: screen.height.saturating_sub(2), ..screen };
        // Until the terminal has shown the last picture, the next one is not sent.
        let shown = match (&self.pictures.last, canvas.ready()) {
            (Some(last), false) => Some(last.clone()),
            _ => self.shown(),
        };
        if !canvas.ready() {
            self.change = Change::Live;
        }
        let help = if self.map {
            if let Some(image) = shown {
                self.map(canvas, body, image.raster());
            }
            &HELP_MAP[..]
        } else if self.layers.open {
            self.draw_layers(canvas, body, shown);
            &HELP_LAYERS[..]
        } else {
            self.body(canvas, body, shown);
            &HELP[..]
        };
        self.status(canvas, screen);
        if self.help {
            explain(canvas, body, help);
        }
    }

    fn body(&mut self, canvas: &mut Canvas<'_>, body: Rect, shown: Option<Arc<Image>>) {
        let wide = body.width >= NARROW;
        // Names are whole where the picture keeps half of the screen.
        let columns = self.panel_columns().min(body.width / 2).max(PANEL);
        let room = match wide {
            true => (body.width - columns - 1, body.height),
            false => (body.width, body.height / 2),
        };
        self.room = room;
        let size = shown.as_ref().map_or(room, |image| {
            let size = canvas.fit(image.raster(), room);
            canvas.live(image, (i32::from(body.x), i32::from(body.y)), size, body);
            size
        });
        if shown.is_none() {
            let text = if self.trouble().is_some() { "no picture" } else { "…" };
            canvas.text((body.x + room.0 / 2, body.y + room.1 / 2), text, quiet(), room.0);
        }
        let panel = match wide {
            true => {
                let x = (size.0 + 2).min(body.width - columns);
                Rect::new(x, body.y, body.width - x, body.height)
            }
            false => {
                let y = body.y + size.1.min(room.1);
                Rect::new(body.x, y, body.width, body.height.saturating_sub(y))
            }
        };
        self.panel(canvas, panel);
    }

    /// The last two lines: what is known about the picture, and the keys.
    fn status(&self, canvas: &mut Canvas<'_>, screen: Rect) {
        let columns = usize::from(screen.width);
        let (y, last) = (screen.height.saturating_sub(2), screen.height.saturating_sub(1));
        let trouble = self.trouble();
        let (text, style) = match (&trouble, self.message.is_empty()) {
            (Some(error), _) => {
                (format!("error: {error}"), Style::new().add_modifier(Modifier::BOLD))
            }
            (None, false) => (self.message.clone(), accent()),
            (None, true) if self.map => (self.place(), Style::new()),
            (None, true) => (self.facts(), Style::new()),
        };
        canvas.text((0, y), &cut(&text, columns), style, screen.width);
        let keys = match KEYS.iter().find(|keys| width(keys) <= columns) {
            _ if self.map => MAP_KEYS,
            _ if self.layers.open => LAYER_KEYS,
            Some(keys) => keys,
            None => KEYS[KEYS.len() - 1],
        };
        canvas.text((0, last), &cut(keys, columns), quiet(), screen.width);
    }

    /// The state in one line.
    fn facts(&self) -> String {
        let mut parts = Vec::new();
        let state = ["a", "b"][self.model.active()];
        if self.model.other().is_some() {
            parts.push(format!("state {state}"));
        }
        match self.shows {
            Shows::Now => {}
            Shows::Split => parts.push("before | now".to_owned()),
            Shows::Before => parts.push("before the edits".to_owned()),
        }
        if self.playing {
            parts.push(format!("walking: {}", self.model.now().walk.name()));
        }
        let measured = self.measured();
        if !measured.is_empty() {
            parts.push(measured);
        }
        let moved = self.model.now().channels.len();
        if moved > 0 {
            parts.push(format!("{moved} channel{} of S moved", if moved == 1 { "" } else { "s" }));
        }
        if !self.model.marks().is_empty() {
            let count = self.model.marks().len();
            parts.push(format!("{count} bookmark{}", if count == 1 { "" } else { "s" }));
        }
        parts.join(" · ")
    }
}

fn explain(canvas: &mut Canvas<'_>, body: Rect, help: &[(&str, &str)]) {
    let height = (help.len() as u16 + 2).min(body.height);
    let columns = HELP_COLUMNS.min(body.width);
    let x = body.x + (body.width - columns) / 2;
    let area = Rect::new(x, body.y + (body.height - height) / 2, columns, height);
    // Whole rows, so that nothing beside the help is cut in the middle.
    canvas.cover(Rect { x: body.x, width: body.width, ..area });
    let lines = help.iter().zip(area.top() + 1..area.bottom());
    for ((keys, about), y) in lines {
        canvas.text((x + 1, y), keys, accent(), 10);
        canvas.text((x + 12, y), about, Style::new(), columns.saturating_sub(13));
    }
}
