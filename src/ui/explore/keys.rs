//! Keys and the mouse of an exploration.

use super::{End, Explorer, Shows, named};
use crate::session::explore::{Move, Pin, Row};
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect};

/// Part of a key press that a press with Shift is.
pub(super) const FINE: f64 = 0.2;
/// Columns left of a track where a click chooses its row.
const NAMES: u16 = 22;
/// Key presses that a page is.
const COARSE: f64 = 4.0;

/// The keys, as the help explains them: as many lines as 24 rows show.
pub(super) const HELP: [(&str, &str); 20] = [
    ("← →", "less and more; with Shift a fifth, PgUp PgDn four times as much"),
    ("↑ ↓", "choose a row; click or drag a slider with the mouse"),
    ("0  Home", "the row back to its beginning; Backspace: all rows"),
    ("h", "hold: the other directions move with this one projected out"),
    ("l", "what ← → change: the amount, or the first and the last layer (@)"),
    ("a  b", "two states to compare; b begins as a copy of a"),
    ("v", "the picture now, before | now, or before the edits"),
    ("u  r", "take back a change, bring it back"),
    ("m  1-9", "bookmark the settings; go to a bookmark"),
    ("n  p", "next and previous sample"),
    ("w", "what the walk goes to: next seed, random seed, the next pin"),
    ("space", "on `mix`: this layer from the other code; else play the walk"),
    ("i", "pin the code here for a walk, or take its pin away"),
    ("x", "noise: const, none, random"),
    ("g", "the map: a grid of pictures over two directions"),
    ("f", "the layers: feature maps, channels of S to move, the spectrum"),
    ("s", "save the script that shows this picture"),
    ("Enter q", "leave with this code; Esc: leave with the code as it was"),
    ("identity", "likeness before and after the edits; drift: their length"),
    ("⟂", "a held direction is projected out of this one"),
];

/// The keys of the map.
pub(super) const HELP_MAP: [(&str, &str); 5] = [
    ("arrows", "pan, without end"),
    ("+ -", "zoom; the wheel of the mouse does it too"),
    ("x y", "the next direction to the right, and up"),
    ("Enter", "take the tile in the middle"),
    ("Esc", "back to the sliders"),
];

/// The keys of the layer inspector.
pub(super) const HELP_LAYERS: [(&str, &str); 12] = [
    ("↑ ↓", "the layer before and after"),
    ("PgUp PgDn", "more of its feature maps, each stretched from black to white"),
    ("← →", "the channel of S, of those that the layer reads; Home, End"),
    ("+ -", "move it by half a standard deviation; with Shift a fifth of that"),
    ("0", "the channel back to its beginning"),
    ("n", "the channel that is farthest from its mean, then the next"),
    ("u  r", "take back a change, bring it back"),
    ("s", "save the script that shows this picture"),
    ("Esc  f", "back to the sliders; moved channels are rows there"),
    ("", ""),
    ("bars", "standard deviations from the mean of 1000 samples, up to 4"),
    ("spectrum", "power by frequency, from 0 to half a cycle a pixel; log scale"),
];

impl Explorer {
    pub(super) fn handle(&mut self, event: &Event) {
        match event {
            Event::Key(key) => self.key(key),
            Event::Mouse(mouse) => self.mouse(mouse),
            _ => {}
        }
    }

    fn key(&mut self, key: &KeyEvent) {
        self.message.clear();
        let warned = std::mem::take(&mut self.warned);
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            self.end = Some(End::Leave);
        } else if control && key.code == KeyCode::Char('r') {
            self.make(Move::Redo);
        } else if control || key.modifiers.contains(KeyModifiers::ALT) {
            // Not a key of this screen.
        } else if self.help {
            self.help = false;
        } else if self.map {
            self.map_key(key.code);
        } else if self.layers.open {
            self.layers_key(key.code, key.modifiers.contains(KeyModifiers::SHIFT));
        } else {
            match key.code {
                KeyCode::Esc => self.leave(warned),
                code => self.own_key(code, key.modifiers.contains(KeyModifiers::SHIFT)),
            }
        }
    }

    /// Leaves with the code as it was; asks first when that drops changes.
    fn leave(&mut self, warned: bool) {
        if warned || self.model.history().0 == 0 {
            self.end = Some(End::Leave);
        } else {
            self.warned = true;
            self.say("Esc again drops the changes; Enter leaves with them");
        }
    }

    fn own_key(&mut self, code: KeyCode, shift: bool) {
        let size = if shift { FINE } else { 1.0 };
        match code {
            KeyCode::Left => self.make(Move::Change(-size)),
            KeyCode::Right => self.make(Move::Change(size)),
            KeyCode::PageDown => self.make(Move::Change(-COARSE)),
            KeyCode::PageUp => self.make(Move::Change(COARSE)),
            KeyCode::Up | KeyCode::BackTab | KeyCode::Char('k') => self.make(Move::Choose(-1)),
            KeyCode::Down | KeyCode::Tab | KeyCode::Char('j') => self.make(Move::Choose(1)),
            KeyCode::Home | KeyCode::Char('0') => self.make(Move::Reset),
            KeyCode::Backspace => self.make(Move::ResetAll),
            KeyCode::Enter | KeyCode::Char('q') => self.end = Some(End::Take),
            KeyCode::Char(letter) => self.letter(letter),
            _ => {}
        }
    }

    fn letter(&mut self, letter: char) {
        match letter {
            'h' => self.hold(),
            'l' => self.layers(),
            'a' => self.make(Move::Compare(0)),
            'b' => self.make(Move::Compare(1)),
            'v' => {
                self.shows = match self.shows {
                    Shows::Now => Shows::Split,
                    Shows::Split => Shows::Before,
                    Shows::Before => Shows::Now,
                };
            }
            'u' => self.undo(),
            'r' => self.make(Move::Redo),
            'm' => self.mark(),
            '1'..='9' => self.recall(letter),
            'n' => self.make(Move::Seed(1)),
            'p' => self.make(Move::Seed(-1)),
            'w' => {
                self.make(Move::Walk);
                let point = self.model.now();
                let said = format!("walk of {}: next {}", point.walk.name(), named(point.next()));
                self.say(said);
            }
            ' ' if self.model.row() == Row::Mixed => self.make(Move::Mix),
            ' ' => self.playing = !self.playing,
            'i' => self.pin(),
            'x' => self.make(Move::Noise),
            'g' => self.open_map(),
            'f' => self.open_layers(),
            's' => self.save(),
            '?' => self.help = true,
            _ => self.say("? explains the keys"),
        }
    }

    fn hold(&mut self) {
        if matches!(self.model.row(), Row::Axis(_)) {
            self.make(Move::Hold);
        } else {
            self.say("only a direction can be held");
        }
    }

    fn layers(&mut self) {
        if !matches!(self.model.row(), Row::Axis(_)) {
            self.say("only a direction has layers; `mix` takes layers from another code");
        } else if self.model.subject.layers == 0 {
            self.say("codes of this space have no layers");
        } else {
            self.make(Move::Layers);
        }
    }

    pub(super) fn undo(&mut self) {
        if self.model.history().0 == 0 {
            self.say("nothing to take back");
        } else {
            self.make(Move::Undo);
        }
    }

    fn mark(&mut self) {
        self.make(Move::Mark);
        let count = self.model.marks().len();
        self.say(format!("bookmark {count}: the key {} comes back here", count.min(9)));
    }

    fn recall(&mut self, letter: char) {
        let k = letter as usize - '1' as usize;
        if k < self.model.marks().len() {
            self.make(Move::Recall(k));
        } else {
            self.say(format!("there is no bookmark {letter} yet: m makes one"));
        }
    }

    fn pin(&mut self) {
        self.make(Move::Pin);
        let pins = &self.model.now().pins;
        let names: Vec<String> = pins.iter().map(|p: &Pin| named(*p)).collect();
        self.say(match names.len() {
            0 => "no pins".to_owned(),
            1 => format!("pinned: {}; a walk of pins needs two", names[0]),
            _ => format!("pinned: {}; w walks between them", names.join(", ")),
        });
    }

    fn open_map(&mut self) {
        if !self.model.map.possible() {
            return self.say("a map needs two directions");
        }
        let chosen = match self.model.row() {
            Row::Axis(i) => Some(i),
            _ => None,
        };
        let now = self.model.now().clone();
        let subject = self.model.subject.clone();
        self.model.map.open(&subject, &now, chosen);
        (self.map, self.playing) = (true, false);
    }

    fn map_key(&mut self, code: KeyCode) {
        let map = &mut self.model.map;
        match code {
            KeyCode::Left => map.pan([-1, 0]),
            KeyCode::Right => map.pan([1, 0]),
            KeyCode::Up => map.pan([0, 1]),
            KeyCode::Down => map.pan([0, -1]),
            KeyCode::Char('+' | '=') => map.zoom(true),
            KeyCode::Char('-') => map.zoom(false),
            KeyCode::Char('x') => map.turn(0),
            KeyCode::Char('y') => map.turn(1),
            KeyCode::Char('?') => self.help = true,
            KeyCode::Enter => {
                let place = map.amounts(&self.model.subject, [0, 0]);
                self.map = false;
                self.make(Move::Place(place));
            }
            KeyCode::Esc | KeyCode::Char('g' | 'q') => self.map = false,
            _ => {}
        }
    }

    fn mouse(&mut self, mouse: &MouseEvent) {
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            _ if self.layers.open => {}
            MouseEventKind::Down(MouseButton::Left) if !self.map && !self.help => {
                self.dragged = self.tracks.iter().copied().find(|(area, _)| grasps(*area, at));
                self.drag(at);
            }
            MouseEventKind::Drag(MouseButton::Left) => self.drag(at),
            MouseEventKind::Up(_) => {
                self.dragged = None;
                self.make(Move::Release);
            }
            MouseEventKind::ScrollUp if self.map => self.model.map.zoom(true),
            MouseEventKind::ScrollDown if self.map => self.model.map.zoom(false),
            MouseEventKind::ScrollUp => self.make(Move::Choose(-1)),
            MouseEventKind::ScrollDown => self.make(Move::Choose(1)),
            _ => {}
        }
    }

    fn drag(&mut self, at: Position) {
        let Some((track, row)) = self.dragged else { return };
        if at.x < track.x {
            // The name was pressed, or the knob is at the left end.
            self.make(Move::ChooseRow(row));
        }
        if track.width > 1 && at.x >= track.x {
            let along = f64::from(at.x.min(track.right() - 1) - track.x);
            self.make(Move::Drag(row, along / f64::from(track.width - 1)));
        }
    }
}

/// Whether a click belongs to a track: its row, from the name at its left to its right end.
fn grasps(track: Rect, at: Position) -> bool {
    at.y == track.y && at.x < track.right().saturating_add(1) && at.x + NAMES > track.x
}
