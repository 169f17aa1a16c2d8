//! The program that shows a comparison: its state, keys and the mouse.

use super::model::{Comparison, Part};
use super::view::{Mode, Pane, View, pixels};
use crate::error::{Error, Result};
use crate::image::encode;
use crate::safe::Safe;
use crate::store::{Disk, write_new};
use crate::ui::full::{App, Canvas, Change, Image};
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Rect;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time that each picture is shown while they flicker.
const FLICKER: Duration = Duration::from_millis(500);
/// Part of the visible width that a key moves the edge of the wipe.
const EDGE: f64 = 0.05;

/// What covers the panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Page {
    /// Nothing.
    #[default]
    None,
    /// The keys.
    Keys,
    /// Everything that is known about the chosen candidate.
    Report,
}

/// The program that shows a comparison.
pub struct Compare {
    pub(super) comparison: Comparison,
    pub(super) view: View,
    /// Where exports go.
    folder: PathBuf,
    pub(super) made: HashMap<(Pane, Part, (usize, usize)), Arc<Image>>,
    /// The panes of the last frame with the areas of their pictures.
    pub(super) panes: Vec<(Pane, Rect)>,
    /// Screen pixels of a pane in the last frame.
    pub(super) room: (usize, usize),
    /// Whether sentences replace pictures in the last frame.
    pub(super) describes: bool,
    turned: Option<Instant>,
    dragged: Option<(u16, u16)>,
    pub(super) message: String,
    pub(super) page: Page,
    changed: bool,
    over: bool,
}

impl Compare {
    /// Puts a comparison on a screen; exports go to `folder`.
    pub fn new(comparison: Comparison, folder: PathBuf) -> Self {
        let view = View::new(&comparison);
        Self {
            comparison,
            view,
            folder,
            made: HashMap::new(),
            panes: Vec::new(),
            room: (1, 1),
            describes: false,
            turned: None,
            dragged: None,
            message: String::new(),
            page: Page::default(),
            changed: true,
            over: false,
        }
    }

    fn key(&mut self, key: &KeyEvent) {
        self.message.clear();
        self.changed = true;
        match key.code {
            KeyCode::Char('c') if key.modifiers == KeyModifiers::CONTROL => self.over = true,
            KeyCode::Esc if self.page != Page::None => self.page = Page::None,
            KeyCode::Char('q') | KeyCode::Esc => self.over = true,
            KeyCode::Char('?') => self.turn(Page::Keys),
            KeyCode::Char('i') => self.turn(Page::Report),
            KeyCode::Char('e') => self.message = self.export(),
            code if self.moves(code, key.modifiers.contains(KeyModifiers::SHIFT)) => {}
            _ if self.comparison.candidates.is_empty() => {
                self.message = "there is one picture: nothing to compare it with".to_owned();
            }
            KeyCode::Char(letter) => self.letter(letter),
            KeyCode::Tab => self.choose(1),
            KeyCode::BackTab => self.choose(self.comparison.candidates.len() - 1),
            _ => self.changed = false,
        }
    }

    /// Moves the visible part; returns whether the key does that.
    fn moves(&mut self, code: KeyCode, far: bool) -> bool {
        let (whole, room) = (self.comparison.whole(), self.room);
        let (view, step) = (&mut self.view, if far { 0.5 } else { 0.1 });
        match code {
            KeyCode::Left => view.pan((-step, 0.0), whole, room),
            KeyCode::Right => view.pan((step, 0.0), whole, room),
            KeyCode::Up => view.pan((0.0, -step), whole, room),
            KeyCode::Down => view.pan((0.0, step), whole, room),
            KeyCode::Char('+' | '=' | 'z') => view.enlarge(2.0, whole, room),
            KeyCode::Char('-' | 'Z') => view.enlarge(0.5, whole, room),
            KeyCode::Char('0') => view.enlarge(0.0, whole, room),
            KeyCode::Char('1') => view.pixel_by_pixel(whole, room),
            _ => return false,
        }
        true
    }

    /// The letters that compare.
    fn letter(&mut self, letter: char) {
        let view = &mut self.view;
        match letter {
            'c' => self.mode(Mode::Columns),
            'd' => self.mode(Mode::Difference),
            'w' => self.mode(Mode::Wipe),
            'f' => {
                self.mode(Mode::Flicker);
                self.turned = (self.view.mode == Mode::Flicker).then(Instant::now);
            }
            ' ' if view.mode == Mode::Flicker => {
                view.flipped = !view.flipped;
                self.turned = None;
            }
            's' => view.signed = !view.signed,
            'g' => view.gain = (view.gain * 2).min(64),
            'G' => view.gain = (view.gain / 2).max(1),
            '[' => view.edge = (view.edge - EDGE).max(0.0),
            ']' => view.edge = (view.edge + EDGE).min(1.0),
            'n' => view.next_worst(&self.comparison, self.room),
            _ => self.message = "? shows the keys".to_owned(),
        }
    }

    fn turn(&mut self, page: Page) {
        self.page = if self.page == page { Page::None } else { page };
    }

    /// Goes on to the candidate so many further, around.
    fn choose(&mut self, by: usize) {
        self.view.chosen = (self.view.chosen + by) % self.comparison.candidates.len();
    }

    /// Takes a layout, or goes back to panes when it is taken already.
    fn mode(&mut self, mode: Mode) {
        self.view.mode = if self.view.mode == mode { Mode::Side } else { mode };
        self.turned = None;
    }

    fn mouse(&mut self, event: &MouseEvent) {
        let (whole, room) = (self.comparison.whole(), self.room);
        let at = (event.column, event.row);
        let inside = |area: &Rect| area.contains((at.0, at.1).into());
        let Some(area) = self.panes.iter().map(|p| p.1).find(inside) else {
            self.dragged = None;
            return;
        };
        let share = |at: u16, from: u16, length: u16| {
            f64::from(at.saturating_sub(from)) / f64::from(length.max(1))
        };
        match event.kind {
            MouseEventKind::ScrollUp | MouseEventKind::ScrollDown => {
                let up = event.kind == MouseEventKind::ScrollUp;
                let (x, y) =
                    (share(at.0, area.x, area.width) - 0.5, share(at.1, area.y, area.height) - 0.5);
                // The point under the pointer stays there.
                self.view.pan((x, y), whole, room);
                self.view.enlarge(if up { 1.5 } else { 1.0 / 1.5 }, whole, room);
                self.view.pan((-x, -y), whole, room);
            }
            MouseEventKind::Down(MouseButton::Left) => self.dragged = Some(at),
            MouseEventKind::Drag(MouseButton::Left) if self.view.mode == Mode::Wipe => {
                self.view.edge = share(at.0, area.x, area.width).min(1.0);
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(from) = self.dragged.replace(at) {
                    let moved = |a: u16, b: u16, length: u16| {
                        (f64::from(a) - f64::from(b)) / f64::from(length.max(1))
                    };
                    let step = (moved(from.0, at.0, area.width), moved(from.1, at.1, area.height));
                    self.view.pan(step, whole, room);
                }
            }
            _ => return,
        }
        self.changed = true;
    }

    /// Saves what is visible, a pixel for a pixel, panes beside each other; says where.
    fn export(&self) -> String {
        let saved = || -> Result<PathBuf> {
            let part = self.view.part(self.comparison.whole(), self.room);
            let panes: Vec<_> = self
                .panes
                .iter()
                .map(|(pane, _)| pixels(&self.comparison, *pane, part))
                .collect::<Result<_>>()?;
            let png = encode::png(&encode::grid(&panes, panes.len())?, &[])?;
            write_numbered(&self.folder, &png)
        };
        match saved() {
            Ok(path) => format!("saved as {}", Safe(&path.to_string_lossy())),
            Err(e) => format!("not saved: {}", e.message()),
        }
    }
}

/// Writes a picture under the first free name.
fn write_numbered(folder: &Path, bytes: &[u8]) -> Result<PathBuf> {
    for n in 1..10_000 {
        let path = folder.join(format!("comparison-{n}.png"));
        match write_new(&Disk, &path, bytes) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("cannot write the picture", &e)),
        }
    }
    Err(Error::runtime("9999 comparisons lie in this folder").hint("move some of them"))
}

impl App for Compare {
    fn input(&mut self, event: &Event) {
        match event {
            Event::Key(key) => self.key(key),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Resize(..) => self.changed = true,
            _ => {}
        }
    }

    fn tick(&mut self) {
        if let Some(since) = self.turned
            && since.elapsed() >= FLICKER
        {
            self.view.flipped = !self.view.flipped;
            self.turned = Some(Instant::now());
            self.changed = true;
        }
    }

    fn busy(&self) -> bool {
        self.turned.is_some()
    }

    fn change(&self) -> Change {
        if self.changed { Change::All } else { Change::None }
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        self.changed = false;
        self.paint(canvas);
    }

    fn end(&mut self) {
        self.over = true;
    }

    fn over(&self) -> bool {
        self.over
    }
}
