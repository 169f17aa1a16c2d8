//! An exploration: its settings with their history, two states to compare, and bookmarks.

use super::map::Map;
use super::point::{Point, Walk};
use super::program::Words;
use super::rows::Row;
use super::subject::Subject;

/// Steps of undo that are kept; the oldest go first.
const KEPT: usize = 10_000;
/// Part of the way between two codes that a playing walk goes in a frame.
const STRIDE: f64 = 0.05;

/// What the keys for less and more change of a slider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// How far the code is moved.
    #[default]
    Amount,
    /// The first layer that it moves.
    From,
    /// One past the last layer that it moves.
    To,
}

/// A change of an exploration.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// Chooses the setting so many rows further down, around.
    Choose(i64),
    /// Chooses a setting.
    ChooseRow(Row),
    /// Changes the chosen setting by so many steps.
    Change(f64),
    /// Moves a channel of S, by its layer and its index in it, by so many steps.
    Channel(usize, usize, f64),
    /// Sets a channel of S to its beginning.
    ChannelBack(usize, usize),
    /// Puts the knob of a setting at a position of its track, in [0, 1].
    Drag(Row, f64),
    /// Ends a drag: what follows is a step of its own to undo.
    Release,
    /// Sets the chosen setting to its beginning.
    Reset,
    /// Sets everything to its beginning.
    ResetAll,
    /// Holds the chosen direction, or lets it go.
    Hold,
    /// Goes on to the next part of the chosen slider: amount, first layer, last layer.
    Layers,
    /// Takes the layer under the cursor from the other code.
    Mix,
    /// Goes so many samples on.
    Seed(i64),
    /// Goes a stride along the walk.
    Stroll,
    /// Chooses another kind of walk.
    Walk,
    /// Pins the code that the walk is at, or takes its pin away.
    Pin,
    /// Goes on to the next kind of noise.
    Noise,
    /// Goes to the first or the second of the states that are compared.
    Compare(usize),
    /// Keeps the settings as a bookmark.
    Mark,
    /// Goes to a bookmark.
    Recall(usize),
    /// Goes to a place of the map.
    Place(Vec<(usize, f64)>),
    /// Takes back the last change.
    Undo,
    /// Brings back the change that was taken back last.
    Redo,
}

/// One of the two states, with its history.
#[derive(Clone, Debug)]
struct Track {
    /// Whether the user has been there.
    begun: bool,
    now: Point,
    undone: Vec<Point>,
    done: Vec<Point>,
}

/// An exploration.
#[derive(Clone, Debug)]
pub struct Model {
    /// What is explored.
    pub subject: Subject,
    /// The grid of pictures over two directions.
    pub map: Map,
    tracks: [Track; 2],
    active: usize,
    marks: Vec<Point>,
    chosen: Row,
    part: Part,
    cursor: usize,
    /// The kind of the last change, which further ones of its kind belong to.
    run: Option<(Row, Part, bool)>,
}

impl Model {
    /// The beginning of an exploration.
    pub fn new(subject: Subject) -> Self {
        let point = Point::new(subject.first(), subject.axes.len(), subject.layers);
        let map = Map::new(subject.axes.len());
        let chosen = subject.rows(&point).first().copied().unwrap_or(Row::Seed);
        let track =
            |begun| Track { begun, now: point.clone(), undone: Vec::new(), done: Vec::new() };
        Self {
            subject,
            map,
            tracks: [track(true), track(false)],
            active: 0,
            marks: Vec::new(),
            chosen,
            part: Part::default(),
            cursor: 0,
            run: None,
        }
    }

    /// The settings now.
    pub fn now(&self) -> &Point {
        &self.tracks[self.active].now
    }

    /// The settings of the other state, if it was begun.
    pub fn other(&self) -> Option<&Point> {
        let other = &self.tracks[1 - self.active];
        other.begun.then_some(&other.now)
    }

    /// Which of the two states is shown, 0 or 1.
    pub fn active(&self) -> usize {
        self.active
    }

    /// The bookmarks, the oldest first.
    pub fn marks(&self) -> &[Point] {
        &self.marks
    }

    /// The settings that there are.
    pub fn rows(&self) -> Vec<Row> {
        self.subject.rows(self.now())
    }

    /// The chosen setting; the first one when it is not there any more.
    pub fn row(&self) -> Row {
        let rows = self.rows();
        let chosen = rows.iter().find(|r| **r == self.chosen).or(rows.first());
        chosen.copied().unwrap_or(Row::Seed)
    }

    /// What less and more change of the chosen slider.
    pub fn part(&self) -> Part {
        if matches!(self.row(), Row::Axis(_)) { self.part } else { Part::Amount }
    }

    /// The layer that [`Move::Mix`] takes from the other code.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Number of changes that can be taken back, and brought back.
    pub fn history(&self) -> (usize, usize) {
        let track = &self.tracks[self.active];
        (track.done.len(), track.undone.len())
    }

    /// The code now as an expression in the exploration's session.
    pub fn expression(&self) -> String {
        self.subject.expression(self.now(), Words::Names)
    }

    /// The code now as an expression of the program that called `explore`.
    pub fn written(&self) -> String {
        self.subject.expression(self.now(), Words::Written)
    }

    /// The script that shows the settings now, after the `preamble` that loads the generator.
    pub fn script(&self, preamble: &str) -> String {
        format!("{preamble}{}", self.subject.script(self.now(), &self.marks))
    }

    /// Makes a change. What cannot be done in a state changes nothing.
    pub fn make(&mut self, change: Move) {
        match change {
            Move::Choose(by) => {
                let (rows, now) = (self.rows(), self.row());
                let at = rows.iter().position(|r| *r == now).unwrap_or(0) as i64;
                let next = (at + by).rem_euclid(rows.len().max(1) as i64) as usize;
                self.chosen = rows.get(next).copied().unwrap_or(now);
                (self.part, self.run) = (Part::Amount, None);
            }
            Move::ChooseRow(row) => self.choose(row),
            Move::Change(steps) => self.change(steps),
            Move::Drag(row, to) => {
                self.choose(row);
                let subject = self.subject.clone();
                self.edit(Some((row, Part::Amount, true)), |p| subject.drag(p, row, to));
            }
            Move::Channel(layer, channel, steps) => self.channel((layer, channel), steps),
            Move::Release => self.run = None,
            Move::Stroll => {
                self.edit(Some((Row::At, Part::Amount, true)), |p| p.stroll(STRIDE));
            }
            Move::Undo => self.step(true),
            Move::Redo => self.step(false),
            Move::Compare(to) => self.compare(to.min(1)),
            Move::Mark => {
                let now = self.now().clone();
                if !self.marks.contains(&now) {
                    self.marks.push(now);
                }
            }
            Move::Layers => {
                self.part = match (self.part, self.row()) {
                    (Part::Amount, Row::Axis(_)) if self.subject.layers > 0 => Part::From,
                    (Part::From, _) => Part::To,
                    _ => Part::Amount,
                };
                self.run = None;
            }
            other => self.at_once(other),
        }
    }

    /// Changes that are one step to undo.
    fn at_once(&mut self, change: Move) {
        let (row, subject) = (self.row(), self.subject.clone());
        let (cursor, marks) = (self.cursor, self.marks.clone());
        let fresh = Point::new(subject.first(), subject.axes.len(), subject.layers);
        self.edit(None, |p| match change {
            Move::Reset => subject.reset(p, row),
            Move::ChannelBack(layer, channel) => subject.reset(p, Row::Channel(layer, channel)),
            Move::ResetAll => *p = Point { pins: p.pins.clone(), ..fresh },
            Move::Hold => {
                if let Row::Axis(i) = row
                    && let Some(slider) = p.sliders.get_mut(i)
                {
                    slider.hold = !slider.hold;
                }
            }
            Move::Mix => {
                if let Some(mixed) = p.mixed.get_mut(cursor) {
                    *mixed = !*mixed;
                }
            }
            Move::Seed(by) => subject.change(p, Row::Seed, by as f64),
            Move::Walk => p.walk = p.walk.other(p.pins.len()),
            Move::Pin => pin(p),
            Move::Noise if subject.noise => subject.change(p, Row::Noise, 1.0),
            Move::Recall(k) => {
                if let Some(mark) = marks.get(k) {
                    p.clone_from(mark);
                }
            }
            Move::Place(amounts) => {
                for (i, amount) in amounts {
                    if let Some(slider) = p.sliders.get_mut(i) {
                        slider.amount = amount;
                    }
                }
            }
            _ => {}
        });
    }

    fn choose(&mut self, row: Row) {
        if row != self.row() && self.rows().contains(&row) {
            (self.chosen, self.part, self.run) = (row, Part::Amount, None);
        }
    }

    /// Moves a channel that the generator has.
    fn channel(&mut self, (layer, channel): (usize, usize), steps: f64) {
        if self.subject.network.get(layer).is_none_or(|l| channel >= l.styles) {
            return;
        }
        let (row, subject) = (Row::Channel(layer, channel), self.subject.clone());
        self.edit(Some((row, Part::Amount, steps > 0.0)), |p| subject.change(p, row, steps));
    }

    fn change(&mut self, steps: f64) {
        let (row, part, subject) = (self.row(), self.part(), self.subject.clone());
        if row == Row::Mixed {
            let last = self.subject.layers.saturating_sub(1) as i64;
            let by = if steps < 0.0 { -1 } else { 1 };
            self.cursor = (self.cursor as i64 + by).clamp(0, last) as usize;
            return;
        }
        self.edit(Some((row, part, steps > 0.0)), |p| match (row, part) {
            (Row::Axis(i), Part::From | Part::To) => layers(p, i, (part, steps), subject.layers),
            _ => subject.change(p, row, steps),
        });
    }

    /// Makes a change that can be taken back. Changes of one `run` are taken back together.
    fn edit(&mut self, run: Option<(Row, Part, bool)>, change: impl FnOnce(&mut Point)) {
        let before = self.now().clone();
        let track = &mut self.tracks[self.active];
        change(&mut track.now);
        if track.now == before {
            return;
        }
        if run.is_none() || run != self.run {
            track.done.push(before);
            if track.done.len() > KEPT {
                track.done.remove(0);
            }
        }
        track.undone.clear();
        self.run = run;
    }

    fn step(&mut self, back: bool) {
        self.run = None;
        let track = &mut self.tracks[self.active];
        let (from, to) = if back {
            (&mut track.done, &mut track.undone)
        } else {
            (&mut track.undone, &mut track.done)
        };
        if let Some(point) = from.pop() {
            to.push(std::mem::replace(&mut track.now, point));
        }
    }

    fn compare(&mut self, to: usize) {
        if !self.tracks[to].begun {
            let now = self.now().clone();
            self.tracks[to] = Track { begun: true, now, undone: Vec::new(), done: Vec::new() };
        }
        (self.active, self.run) = (to, None);
    }
}

fn pin(p: &mut Point) {
    // Halfway between two codes, the nearer one is meant.
    let here = if p.at < 0.5 { p.from } else { p.next() };
    match p.pins.iter().position(|other| *other == here) {
        Some(at) => drop(p.pins.remove(at)),
        None => p.pins.push(here),
    }
    if p.walk == Walk::Pins && p.pins.len() < 2 {
        p.walk = Walk::Seeds;
    }
}

/// Moves an end of the layers of a slider; all layers are the same as none chosen.
fn layers(p: &mut Point, i: usize, (part, steps): (Part, f64), all: usize) {
    let Some(slider) = p.sliders.get_mut(i) else { return };
    let by = if steps < 0.0 { -1 } else { 1 };
    let now = slider.layers.clone().unwrap_or(0..all);
    let moved = |v: usize| (v as i64 + by).max(0) as usize;
    let range = match part {
        Part::To => now.start..moved(now.end).clamp(now.start + 1, all),
        _ => moved(now.start).min(now.end.saturating_sub(1))..now.end,
    };
    slider.layers = (range != (0..all)).then_some(range);
}
