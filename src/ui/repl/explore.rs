//! `explore(…)` at the prompt.

use super::Repl;
use crate::builtin::Exploration;
use crate::error::Result;
use crate::session::Chosen;
use crate::session::explore::{Model, Renderer, Subject};
use crate::session::script::script;
use crate::ui::explore::{Explorer, Scripts, explore};
use std::sync::mpsc::Sender;

impl Repl {
    /// Opens the screen for a call of `explore`, and answers with the code that was chosen. Without
    /// an answer the code stays as it is.
    pub(super) fn explore(&mut self, what: &Exploration, answer: &Sender<Chosen>) -> Result<()> {
        if !self.interactive() {
            return Ok(());
        }
        let now = self.now();
        let (subject, bound) = Subject::of(what, &now.state)?;
        let renderer = Renderer::new(&now.state, bound)?;
        let folder = now.state.options.out.clone();
        let place = folder.join("explored.gnt");
        let before = script(now.log.cells(), &now.model, now.state.options.seed, &place);
        let scripts = Scripts { preamble: format!("{before}\n#%% explored\n"), folder };
        let explorer = Explorer::new(Model::new(subject), renderer, scripts);
        let able = self.runner.painter.terminal.clone();
        let (chosen, _) = explore(&mut self.runner.terminal, &able, explorer)?;
        let left = || Chosen { code: what.code.clone(), written: what.written.clone() };
        let chosen = chosen.unwrap_or_else(left);
        self.whisper(&format!("→ {}", chosen.written))?;
        // If the session is gone, its next event says so.
        let _ = answer.send(chosen);
        Ok(())
    }
}
