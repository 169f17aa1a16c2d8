//! A table of the language with its pictures, plots and inversions.

use super::Budget;
use super::inversion::Inversion;
use super::picture::Image;
use super::plot::Plot;
use super::table::{Entry, cells, entries};
use crate::error::Result;
use crate::{latent, value};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A table with its pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Entry>>,
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    definitions: Vec<String>,
    pictures: Vec<Image>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plots: Vec<Plot>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    found: Vec<Inversion>,
}

impl Table {
    pub(super) fn of(t: &value::Table, budget: &mut Budget) -> Option<Self> {
        let bytes = |c: &value::Cell| match c {
            value::Cell::Text(s) => s.len() + 16,
            value::Cell::Number(..) => 16,
        };
        budget.spend(t.rows.iter().flatten().map(bytes).sum())?;
        budget.spend(t.plots.iter().map(|p| 8 * p.numbers()).sum())?;
        Some(Self {
            columns: t.columns.clone(),
            rows: entries(&t.rows),
            notes: t.notes.clone(),
            definitions: t.definitions.clone(),
            pictures: t.pictures.iter().map(|i| Image::of(i, budget)).collect::<Option<_>>()?,
            plots: t.plots.iter().map(Plot::of).collect(),
            found: t.found.iter().map(|i| Inversion::of(i, budget)).collect::<Option<_>>()?,
        })
    }

    /// Forgets how long its inversions took, in the cells too.
    pub(super) fn timeless(&mut self) {
        if self.found.is_empty() {
            return;
        }
        self.found.iter_mut().for_each(Inversion::timeless);
        let Some(k) = self.columns.iter().position(|c| c == value::Table::SECONDS) else { return };
        let cells = self.rows.iter_mut().filter_map(|row| row.get_mut(k));
        cells.for_each(|cell| *cell = Entry::Number(0.0.into(), 0));
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        self.pictures.iter_mut().for_each(|i| i.each_bytes(take));
        self.found.iter_mut().for_each(|i| i.each_bytes(take));
    }

    /// The table; `picture` gives the pictures of codes.
    pub(super) fn value(
        &self,
        device: &Device,
        picture: &dyn Fn(&latent::Code) -> Result<Tensor>,
    ) -> Result<value::Table> {
        let found = |i: &Inversion| i.value(device, picture).map(Arc::new);
        Ok(value::Table {
            columns: self.columns.clone(),
            rows: cells(&self.rows)?,
            notes: self.notes.clone(),
            definitions: self.definitions.clone(),
            pictures: self.pictures.iter().map(|i| i.value(device)).collect::<Result<_>>()?,
            plots: self.plots.iter().map(Plot::value).collect::<Result<_>>()?,
            found: self.found.iter().map(found).collect::<Result<_>>()?,
        })
    }
}
