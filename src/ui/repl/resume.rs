//! Going on with a session from its journal.

use super::{RECALLED, Repl};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::session::recall::{numbered, recall};

impl Repl {
    pub(super) fn resume(&mut self, wanted: Option<&str>) -> Result<()> {
        let Some(path) = self.cells.find(wanted)? else {
            return self.say(["there is no session to resume; this is a new one"]);
        };
        if self.cells.path() == Some(path.as_path()) {
            return self.say(["this is that session"]);
        }
        let notice = self.cells.resume(&path)?;
        if let Some(notice) = notice {
            self.refuse(&Error::new(Kind::Format, notice))?;
        }
        self.take_up_model()?;
        self.inversion = None;
        self.settle()?;
        self.show_again()
    }

    /// The generator that the session began with, where it can be had.
    fn take_up_model(&mut self) -> Result<()> {
        let wanted = self.cells.model().to_owned();
        let (source, fingerprint) = wanted.rsplit_once(' ').unwrap_or((&wanted, ""));
        let mut base = self.cells.base().clone();
        base.names.clear();
        base.functions.clear();
        let matches = |m: &Option<std::sync::Arc<crate::value::Loaded>>| {
            m.as_ref().is_some_and(|m| m.facts.fingerprint == fingerprint)
        };
        if !matches(&base.model) {
            let loaded = base.models().load(source).ok();
            if matches(&loaded) {
                base.model = loaded;
                self.model = source.to_owned();
            } else {
                let e = Error::runtime(format!(
                    "the session began with another generator, {}",
                    Safe(source)
                ));
                self.refuse(&e.hint(format!("gannet --resume --model {}", Safe(source))))?;
            }
        }
        self.cells.set_base(base);
        Ok(())
    }

    /// Shows the cells of the journal; nothing runs.
    fn show_again(&mut self) -> Result<()> {
        let cells = self.cells.log().cells().to_vec();
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
        match self.cells.plan(self.missing.clone(), false).computes() {
            Some(_) if cells.is_empty() => Ok(()),
            Some(what) => self.whisper(&format!(
                "as it was; too large for the journal, and computed again when used: {what}"
            )),
            None if cells.is_empty() => Ok(()),
            None => self.whisper("as it was"),
        }
    }
}
