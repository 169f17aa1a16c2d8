//! The notebook as a full-screen program.

use super::app::{Mode, NotebookApp};
use super::model::Notebook;
use super::view::draw;
use crate::ui::full::{App, Canvas, Change};
use crossterm::event::{Event, MouseEventKind};

impl App for NotebookApp {
    fn input(&mut self, event: &Event) {
        if let Some(room) = self.rooms.last_mut() {
            self.screen.follow |= matches!(event, Event::Resize(..));
            return room.app_mut().input(event);
        }
        self.change = Change::All;
        match event {
            Event::Key(key) => {
                let leaving = self.leaving;
                self.key(*key);
                // Any other key cancels leaving.
                if leaving && !self.ending {
                    self.leaving = false;
                }
            }
            Event::Paste(text) => match &mut self.mode {
                Mode::Find(wanted, new, second) => {
                    let line = text.lines().next().unwrap_or("");
                    if *second { new.get_or_insert_default() } else { wanted }.push_str(line);
                }
                _ if self.notebook.conflict() => {}
                _ => {
                    self.completion = None;
                    self.mode = Mode::Edit;
                    self.notebook.editor.paste(text);
                    self.screen.follow = true;
                }
            },
            Event::Mouse(mouse) => {
                if matches!(mouse.kind, MouseEventKind::Moved | MouseEventKind::Up(_)) {
                    self.change = Change::None;
                }
                self.mouse(*mouse);
            }
            Event::Resize(..) => self.screen.follow = true,
            Event::FocusGained | Event::FocusLost => {}
        }
    }

    fn tick(&mut self) {
        if let Some(room) = self.rooms.last_mut() {
            room.app_mut().tick();
        }
        self.leave_rooms();
        let (any, more) = self.notebook.take_events();
        self.open_explorer();
        if any {
            self.change = self.change.max(if more { Change::All } else { Change::Live });
            self.follow_run();
            self.screen.follow |= more && self.screen.watched == Some(self.notebook.editor.id());
        }
        let state = |n: &Notebook| (n.is_saved(), n.conflict(), n.revision());
        let before = state(&self.notebook);
        self.notebook.keep();
        if state(&self.notebook) != before {
            self.change = Change::All;
        }
        self.check();
    }

    fn busy(&self) -> bool {
        self.notebook.busy() || self.rooms.last().is_some_and(|room| room.app().busy())
    }

    fn change(&self) -> Change {
        // A screen covers what changes below it.
        self.rooms.last().map_or(self.change, |room| room.app().change())
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        self.follow_run();
        if let Some(room) = self.rooms.last_mut() {
            return room.app_mut().draw(canvas);
        }
        if canvas.ready() {
            self.take_preview();
        }
        draw(self, canvas);
        self.change = Change::None;
    }

    fn end(&mut self) {
        self.ending = true;
        // A cell that explores goes on with the code as it was.
        self.rooms.clear();
        self.notebook.checkpoint();
        self.notebook.close_safely();
    }

    fn over(&self) -> bool {
        self.ending && self.notebook.running().is_none()
    }
}
