//! Rebuilds a session from the records of a journal.

use super::record::{Cell, Record};
use std::sync::Arc;

/// A session's cells. Undo moves along the log of operations and deletes no records. Cheap to
/// clone, because the cells are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    cells: Vec<Arc<Cell>>,
    undone: Vec<Arc<Cell>>,
    last_id: u64,
}

impl Log {
    /// Applies one record; returns whether it changed anything (an undo at the beginning does not).
    pub fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Header(_) => false,
            Record::Cell(cell) => {
                self.last_id = self.last_id.max(cell.id);
                self.cells.push(Arc::new(cell));
                // A new cell after an undo discards the undone cells, as in every editor.
                self.undone.clear();
                true
            }
            Record::Undo => move_last(&mut self.cells, &mut self.undone),
            Record::Redo => move_last(&mut self.undone, &mut self.cells),
        }
    }

    /// The cells in force, in order.
    pub fn cells(&self) -> &[Arc<Cell>] {
        &self.cells
    }

    /// The undone cells; the last one is redone first.
    pub fn undone(&self) -> &[Arc<Cell>] {
        &self.undone
    }

    /// The number of the next cell. Numbers are never reused, so an output always names the same
    /// cell.
    pub fn next_id(&self) -> u64 {
        self.last_id + 1
    }
}

fn move_last(from: &mut Vec<Arc<Cell>>, to: &mut Vec<Arc<Cell>>) -> bool {
    from.pop().map(|cell| to.push(cell)).is_some()
}

/// The session that these records describe.
pub fn replay(records: impl IntoIterator<Item = Record>) -> Log {
    let mut session = Log::default();
    for record in records {
        session.apply(record);
    }
    session
}

#[cfg(test)]
mod tests {
    use super::super::record::Status;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_a_list_and_a_cursor(ops in proptest::collection::vec(0u8..4, 0..1000)) {
            // The reference model: one list of cells and the number of those in force.
            let (mut all, mut upto, mut session) = (Vec::new(), 0usize, Log::default());
            for (i, op) in ops.into_iter().enumerate() {
                let id = i as u64 + 1;
                match op {
                    0 => { upto = upto.saturating_sub(1); session.apply(Record::Undo); }
                    1 => { upto = all.len().min(upto + 1); session.apply(Record::Redo); }
                    _ => {
                        all.truncate(upto);
                        all.push(id);
                        upto = all.len();
                        session.apply(Record::Cell(Cell::new(id, "", Status::Ok)));
                        prop_assert_eq!(session.next_id(), id + 1);
                    }
                }
                let ids: Vec<u64> = session.cells().iter().map(|c| c.id).collect();
                prop_assert_eq!(&ids[..], &all[..upto]);
                prop_assert_eq!(session.undone().len(), all.len() - upto);
            }
        }
    }
}
