//! Opens and leaves the screens above the notebook: the explorer of a running cell, the full view
//! of a result.

use super::app::NotebookApp;
use super::model::Notebook;
use super::outputs::{Piece, Shown};
use super::room::Room;
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use crate::session::Chosen;
use crate::ui::compare::{self, Compare, Comparison};
use crate::ui::explore::Explorer;
use crate::ui::full::Change;
use crate::value::Value;

impl NotebookApp {
    /// Opens the explorer for a cell that asks for it.
    pub(super) fn open_explorer(&mut self) {
        let Some(asked) = self.notebook.asked.take() else { return };
        let explorer = Explorer::of_call(&asked.what, &self.notebook.session.snapshot());
        match explorer {
            Ok(explorer) => self.enter(Room::Explore(Box::new(explorer), asked)),
            Err(e) => self.notebook.trouble(&e),
        }
    }

    /// Opens the full view of the result of the cell with the cursor.
    pub(super) fn view_result(&mut self) {
        match self.notebook.comparison(self.place().cell) {
            Ok(comparison) => {
                let folder = self.notebook.session.snapshot().state.options.out.clone();
                self.enter(Room::Compare(Box::new(Compare::new(comparison, folder))));
            }
            Err(e) => self.notebook.trouble(&e),
        }
    }

    fn enter(&mut self, room: Room) {
        (self.completion, self.change) = (None, Change::All);
        self.rooms.push(room);
    }

    /// Goes back to what is below the screens that are over.
    pub(super) fn leave_rooms(&mut self) {
        while self.rooms.last().is_some_and(|room| room.app().over()) {
            self.change = Change::All;
            if let Some(Room::Explore(mut explorer, asked)) = self.rooms.pop() {
                match explorer.chosen() {
                    Ok(chosen) => {
                        let chosen = chosen.unwrap_or_else(|| Chosen::unchanged(&asked.what));
                        // If the session is gone, its next event says so.
                        let _ = asked.answer.send(chosen);
                    }
                    Err(e) => self.notebook.trouble(&e),
                }
            }
        }
    }
}

impl Notebook {
    /// The pictures of a cell's result to compare: its inversions with their numbers where the
    /// session has them, otherwise the pictures that it showed.
    ///
    /// # Errors
    /// Without a picture, and when a picture cannot be read.
    pub fn comparison(&mut self, at: usize) -> Result<Comparison> {
        let cell = self.editor.document().cells().get(at).map_or(0, |c| c.id);
        let values = self.pictured(cell);
        let snapshot = self.session.snapshot();
        let inverted = |value: &Value| match value {
            Value::Inversion(_) => true,
            Value::Table(table) => !table.found.is_empty(),
            _ => false,
        };
        if values.iter().any(|(_, value)| inverted(value)) {
            let mut all = compare::of_values(&values)?;
            compare::read(&mut all, &values, &snapshot.state)?;
            return Ok(all);
        }
        let pictures = |piece: &Piece| match piece {
            Piece::Pictures { all } => all.clone(),
            _ => Vec::new(),
        };
        let table = |piece: &Piece| match piece {
            Piece::Table { table } => table.table().ok(),
            _ => None,
        };
        let shown: Vec<Shown> = self.output(cell).iter().flat_map(pictures).collect();
        let tables: Vec<_> = self.output(cell).iter().filter_map(table).collect();
        if shown.is_empty() {
            return Err(Error::new(Kind::Usage, "this cell shows no picture")
                .hint("choose a cell with one, or run it first"));
        }
        let pictures = shown.iter().map(|s| self.kept(s)).collect::<Result<Vec<_>>>()?;
        let mut all = compare::of_pictures(pictures, &tables)?;
        compare::read(&mut all, &values, &snapshot.state)?;
        Ok(all)
    }

    fn kept(&mut self, one: &Shown) -> Result<(String, Raster)> {
        let image = self.outputs.image(one).ok_or_else(|| {
            Error::runtime("a picture of this output is gone from the disk").hint("run the cell")
        })?;
        Ok((one.caption.clone(), image.raster().clone()))
    }

    /// The pictures, inversions and tables of inversions among the values of a cell's last run that
    /// no other cell has bound since.
    fn pictured(&self, cell: u64) -> Vec<(String, Value)> {
        let Some(ran) = self.ran(cell) else { return Vec::new() };
        let snapshot = self.session.snapshot();
        let own = |name: &&String| self.bound.get(*name).is_none_or(|key| *key == ran.key);
        let value = |name: &String| Some((name.clone(), snapshot.state.names.get(name)?.clone()));
        let all = ran.names.iter().filter(own).filter_map(value);
        let pictured = |v: &Value| match v {
            Value::Image(_) | Value::Inversion(_) => true,
            Value::Table(table) => !table.found.is_empty(),
            _ => false,
        };
        all.filter(|(_, v)| pictured(v)).collect()
    }
}
