//! Records of a journal.

use crate::lang::import::Imported;
use crate::store::base64;
use crate::value::kept::{KeptTable, Shared};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Maximum number of pictures for each cell.
pub const PICTURES: usize = 8;
/// Maximum size of a picture's PNG, in bytes.
pub const PICTURE_BYTES: usize = 64 << 10;
/// Maximum size of a cell's output text, in bytes.
pub const OUTPUT_BYTES: usize = 256 << 10;

/// Outcome of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to the end.
    Ok,
    /// It failed; the error is in its output.
    Failed,
    /// The user stopped it; the best result so far was kept.
    Stopped,
}

/// A small picture of an output, to show it again without computing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Label of the picture: `target`, `inverted`.
    pub label: String,
    /// A PNG file, at most `PICTURE_BYTES`.
    #[serde(with = "base64")]
    pub png: Vec<u8>,
}

/// A cell as it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Its number at the prompt, from 1.
    pub id: u64,
    /// The text as typed.
    pub source: String,
    /// Outcome of the cell.
    pub status: Status,
    /// The lines it printed.
    pub output: Vec<String>,
    /// The pictures it showed.
    #[serde(default)]
    pub pictures: Vec<Picture>,
    /// The tables among its lines: the index of each one's header, and the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<(usize, KeptTable)>,
    /// The seed in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Run time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// The values that it bound; empty for cells that were written before journals kept values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Shared>,
    /// The texts of the files that it imports, so that it can run without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Imported>,
}

impl Cell {
    /// A cell without output.
    pub fn new(id: u64, source: impl Into<String>, status: Status) -> Self {
        Self {
            id,
            source: source.into(),
            status,
            output: Vec::new(),
            pictures: Vec::new(),
            tables: Vec::new(),
            seed: None,
            millis: None,
            values: BTreeMap::new(),
            imports: Vec::new(),
        }
    }

    /// Cuts the output to the limits; the last line states how much was left out.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        let mut left = OUTPUT_BYTES;
        let fits = self.output.iter().take_while(|line| {
            let fit = line.len() < left;
            left = left.saturating_sub(line.len() + 1);
            fit
        });
        let (kept, all) = (fits.count(), self.output.len());
        if kept < all {
            self.output.truncate(kept);
            self.tables.retain(|(at, table)| at + table.rows() < kept);
            self.output.push(format!("… {} more lines were not kept", all - kept));
        }
        self.pictures.retain(|p| p.png.len() <= PICTURE_BYTES);
        self.pictures.truncate(PICTURES);
        self
    }
}

/// The first record of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The journal format's version.
    pub format: u32,
    /// Version of the gannet that wrote it.
    pub version: String,
    /// The session's name, which is also the file name.
    pub session: String,
    /// The generator at the beginning, by name and fingerprint.
    pub model: String,
    /// Start time, in seconds since 1970.
    pub started: u64,
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// Author and version of the file; always first.
    Header(Header),
    /// A cell ran and was acknowledged.
    Cell(Cell),
    /// The last cell in force was undone.
    Undo,
    /// The cell that was undone last is in force again.
    Redo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_cut_and_say_so() {
        let mut cell = Cell::new(1, "x", Status::Ok);
        cell.output = vec!["y".repeat(1000); 1000];
        let picture = |n| Picture { label: String::new(), png: vec![0; n] };
        cell.pictures = (0..12).map(|_| picture(10)).chain([picture(PICTURE_BYTES + 1)]).collect();
        let cell = cell.bounded();
        assert!(cell.output.iter().map(|l| l.len() + 1).sum::<usize>() <= OUTPUT_BYTES + 64);
        assert_eq!(cell.output.last().unwrap(), "… 739 more lines were not kept");
        assert_eq!(cell.pictures.len(), PICTURES);
        let small = Cell { output: vec!["a".into()], ..Cell::new(1, "x", Status::Ok) };
        assert_eq!(small.clone().bounded(), small);
    }

    #[test]
    fn a_record_is_one_line_of_json_and_comes_back() {
        let mut cell = Cell::new(3, "a\nb\u{1b}\u{2028}", Status::Stopped);
        cell.pictures.push(Picture { label: "p".into(), png: vec![0, 255, 10] });
        cell.seed = Some(u64::MAX);
        for record in [Record::Cell(cell), Record::Undo, Record::Redo] {
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }
}
