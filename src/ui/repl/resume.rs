//! Continues a session from its journal.

use super::{RECALLED, Repl};
use crate::error::Result;
use crate::session::recall::{numbered, recall};
use crate::session::{Reply, Request, Resumed};

impl Repl {
    pub(super) fn resume(&mut self, wanted: Option<String>) -> Result<()> {
        match self.ask(Request::Resume(wanted))? {
            Reply::Resumed(Some(resumed)) => self.show_again(&resumed),
            _ => Ok(()),
        }
    }

    /// Shows the cells of the journal without running them.
    fn show_again(&mut self, resumed: &Resumed) -> Result<()> {
        let now = self.now();
        let cells = now.log.cells();
        let earlier = cells.len().saturating_sub(RECALLED);
        if earlier > 0 {
            self.whisper(&format!("… {earlier} earlier cells: :history"))?;
        }
        let pictures = self.runner.painter.shows_pictures();
        for cell in &cells[earlier..] {
            self.say(numbered(cell).lines())?;
            let shown = recall(cell, pictures);
            self.paint(&shown)?;
        }
        match &resumed.computes {
            Some(_) if cells.is_empty() => Ok(()),
            Some(what) => self.whisper(&format!(
                "as it was; too large for the journal, and computed again when used: {what}"
            )),
            None if cells.is_empty() => Ok(()),
            None => self.whisper("as it was"),
        }
    }
}
