//! The rows and columns of a table, with the exact bits of its numbers.

use super::numbers::{Bits, broken};
use crate::error::Result;
use crate::render::{self, Cell};
use serde::{Deserialize, Serialize};

/// Most digits after the point that a stored number is shown with.
const DIGITS: usize = 32;

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A text.
    Text(String),
    /// A number and its digits after the point.
    Number(Bits, usize),
}

/// A table as it was shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTable {
    columns: Vec<String>,
    rows: Vec<Vec<Entry>>,
}

impl KeptTable {
    /// The stored form of a table.
    pub fn of(table: &render::Table) -> Self {
        Self { columns: table.columns.clone(), rows: entries(&table.rows) }
    }

    /// The table.
    ///
    /// # Errors
    /// For a number of more digits than any has.
    pub fn table(&self) -> Result<render::Table> {
        Ok(render::Table { columns: self.columns.clone(), rows: cells(&self.rows)? })
    }

    /// Number of rows below the header.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Drops the rows after the first `most`; returns how many.
    pub fn limit(&mut self, most: usize) -> usize {
        let dropped = self.rows.len().saturating_sub(most);
        self.rows.truncate(most);
        dropped
    }
}

/// The stored form of cells.
pub(super) fn entries(rows: &[Vec<Cell>]) -> Vec<Vec<Entry>> {
    let entry = |c: &Cell| match c {
        Cell::Text(s) => Entry::Text(s.clone()),
        Cell::Number(v, digits) => Entry::Number((*v).into(), *digits),
    };
    rows.iter().map(|r| r.iter().map(entry).collect()).collect()
}

/// The cells of their stored form.
///
/// # Errors
/// As [`KeptTable::table`].
pub(super) fn cells(rows: &[Vec<Entry>]) -> Result<Vec<Vec<Cell>>> {
    let cell = |e: &Entry| match e {
        Entry::Text(s) => Ok(Cell::Text(s.clone())),
        Entry::Number(v, digits) if *digits <= DIGITS => Ok(Cell::Number((*v).into(), *digits)),
        Entry::Number(_, digits) => Err(broken(format!("a number of {digits} digits"))),
    };
    rows.iter().map(|r| r.iter().map(cell).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_with_every_number() {
        let rows = vec![vec![Cell::Text("a".into()), Cell::Number(0.1 + 0.2, 3)]];
        let table = render::Table { columns: vec!["name".into(), "value".into()], rows };
        let text = serde_json::to_string(&KeptTable::of(&table)).unwrap();
        let mut again: KeptTable = serde_json::from_str(&text).unwrap();
        assert_eq!(again.table().unwrap(), table);
        assert_eq!((again.limit(5), again.limit(0), again.rows()), (0, 1, 0));
        let special = vec![vec![Cell::Number(f64::NAN, 1), Cell::Number(f64::INFINITY, 1)]];
        let lines =
            KeptTable::of(&render::Table { rows: special, ..table }).table().unwrap().lines();
        assert_eq!(lines[1], " NaN    inf");
        let wide = r#"{"columns":["x"],"rows":[[{"number":[0,4000000000]}]]}"#;
        assert!(serde_json::from_str::<KeptTable>(wide).unwrap().table().is_err());
    }
}
