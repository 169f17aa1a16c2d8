//! `explore(…)` at the prompt.

use super::Repl;
use crate::builtin::Exploration;
use crate::error::Result;
use crate::session::Chosen;
use crate::ui::explore::{Explorer, explore};
use std::sync::mpsc::Sender;

impl Repl {
    /// Opens the screen for a call of `explore`, and answers with the code that was chosen. Without
    /// an answer the code stays as it is.
    pub(super) fn explore(&mut self, what: &Exploration, answer: &Sender<Chosen>) -> Result<()> {
        if !self.interactive() {
            return Ok(());
        }
        let explorer = Explorer::of_call(what, &self.now())?;
        let able = self.runner.painter.terminal.clone();
        let (chosen, _) = explore(&mut self.runner.terminal, &able, explorer)?;
        let chosen = chosen.unwrap_or_else(|| Chosen::unchanged(what));
        self.whisper(&format!("→ {}", chosen.written))?;
        // If the session is gone, its next event says so.
        let _ = answer.send(chosen);
        Ok(())
    }
}
