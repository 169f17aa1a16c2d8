//! What goes on beside the keys: checking the text, following the running cell.

use super::app::{Live, NotebookApp};
use super::checker::{Job, Mistake};
use crate::image::Raster;
use crate::lang::lex::{self, TokenKind};
use crate::ui::full::{Change, Image};
use crate::ui::view::View;
use std::time::{Duration, Instant};

/// Time without a key after which the notebook is checked.
const CHECK: Duration = Duration::from_millis(250);

impl NotebookApp {
    /// Has the text checked when the user pauses, and takes what was found.
    pub(super) fn check(&mut self) {
        let version = self.notebook.editor.version();
        if self.typed.0 != version {
            self.typed = (version, Instant::now());
        }
        if let Some((of, found)) = self.checker.take()
            && of == version
        {
            let (_, starts) = self.notebook.editor.document().program();
            let place = |m: Mistake| {
                let cell = starts.iter().rposition(|s| *s <= m.span.start)?;
                let mut own = m;
                own.span.start -= starts[cell];
                own.span.end = own.span.end.saturating_sub(starts[cell]);
                Some((cell, own))
            };
            self.mistakes = found.into_iter().filter_map(place).collect();
            self.change = Change::All;
        }
        if self.checked != version && self.typed.1.elapsed() >= CHECK {
            self.checked = version;
            let (text, _) = self.notebook.editor.document().program();
            // Reading a generator's file at every pause would cost too much.
            let loads = lex::tokens(&text).iter().any(|t| {
                t.kind == TokenKind::Keyword && text.get(t.span.start..t.span.end) == Some("load")
            });
            let state = (!loads).then(|| self.base.clone());
            self.checker.ask(Job { version, text, state });
        }
    }

    /// Follows the running cell.
    pub(super) fn follow_run(&mut self) {
        let Some(running) = self.notebook.running() else {
            (self.live, self.watching) = (None, None);
            return;
        };
        let fresh = self.live.as_ref().is_none_or(|l| l.id != running.id);
        if fresh {
            // The old one goes first: going, it takes the control of its run away.
            self.watching = None;
            let control = self.notebook.session.control();
            self.watching = self.signals.zip(control).map(|(s, c)| s.watch(c, false));
            let view = View::new(&running.title, self.colour);
            self.live =
                Some(Live { id: running.id, view, begun: Instant::now(), reports: 0, shown: None });
        }
        let Some(live) = &mut self.live else { return };
        if running.progress.is_none() && live.view.title() != running.title {
            live.view = View::new(&running.title, self.colour);
        }
        live.view.stop = running.stop;
        live.view.elapsed = live.begun.elapsed();
        if let Some(progress) = &running.progress
            && live.reports != running.reports
        {
            live.reports = running.reports;
            let mut progress = progress.clone();
            progress.preview = None;
            live.view.take(progress, live.begun.elapsed());
        }
    }

    /// Takes the newest preview for the screen.
    pub(super) fn take_preview(&mut self) {
        let Some(preview) = self.notebook.take_preview() else { return };
        let raster = Raster::from_tensor(&preview).ok().and_then(|all| all.into_iter().next());
        if let (Some(live), Some(raster)) = (&mut self.live, raster) {
            live.shown = Some(Image::new(raster));
        }
    }
}
