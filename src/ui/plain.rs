//! Progress where there is no terminal to draw on: now and then a line to stderr.

use super::signals::signals;
use super::view::View;
use crate::control::{Control, Progress};
use crate::ui::Colour;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines, and before the first.
const PAUSE: Duration = Duration::from_secs(2);

/// How much is said besides results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Results and errors only (`--quiet`, `--json`).
    Quiet,
    /// A line of progress every two seconds at most.
    Normal,
}

/// Runs `work` here, with progress lines on stderr. SIGINT once keeps the best so far, twice
/// aborts, a third time ends the process; SIGTERM and SIGHUP ask for a checkpoint.
pub fn run_plain<T>(title: &str, verbosity: Verbosity, work: impl FnOnce(&Control) -> T) -> T {
    let control = match verbosity {
        Verbosity::Quiet => Control::default(),
        Verbosity::Normal => {
            let lines = Mutex::new(Lines::new(title));
            Control::new(move |progress| {
                let line = lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(progress, Instant::now());
                if let Some(line) = line {
                    // Whoever closed stderr does not want to know.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            })
        }
    };
    // Without signal handlers the work still runs; Ctrl-C then ends the process, as it does
    // everywhere.
    let _watching = signals().ok().map(|s| s.watch(&control, true));
    work(&control)
}

/// What a wait brought.
pub(super) enum Came<E> {
    /// The progress of the work.
    Progress(Progress),
    /// Something else, which ends the view.
    Event(E),
    /// Nothing within the time.
    Nothing,
}

/// Waits for an event, with progress lines on stderr.
pub(super) fn watch<E>(title: &str, wait: &mut dyn FnMut(Duration) -> Came<E>) -> E {
    let mut lines = Lines::new(title);
    loop {
        match wait(PAUSE) {
            Came::Progress(progress) => {
                if let Some(line) = lines.take(progress, Instant::now()) {
                    // Progress is lost where stderr is closed; results are not.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
            Came::Event(event) => return event,
            Came::Nothing => {}
        }
    }
}

struct Lines {
    view: View,
    begun: Instant,
    last: Instant,
}

impl Lines {
    fn new(title: &str) -> Self {
        let now = Instant::now();
        Self { view: View::new(title, Colour::None), begun: now, last: now }
    }

    /// The line to print now, if one is due.
    fn take(&mut self, mut progress: Progress, now: Instant) -> Option<String> {
        progress.preview = None;
        self.view.elapsed = now.saturating_duration_since(self.begun);
        self.view.take(progress, self.view.elapsed);
        if now.saturating_duration_since(self.last) < PAUSE {
            return None;
        }
        self.last = now;
        let parts = [
            self.view.title().to_string(),
            self.view.steps(),
            self.view.times(),
            self.view.losses(),
        ];
        let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
        Some(parts.join("  "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_every_two_seconds_at_most() {
        let mut lines = Lines::new("fit");
        let begun = lines.begun;
        let said: Vec<String> = (0..100)
            .filter_map(|i| {
                let progress = Progress {
                    title: "fit".into(),
                    step: i,
                    total: 100,
                    losses: vec![("pixel", 0.5)],
                    preview: None,
                };
                lines.take(progress, begun + Duration::from_millis(100 * i as u64))
            })
            .collect();
        assert_eq!(said.len(), 4);
        assert_eq!(said[0], "fit  20/100  2.0 s, 8.0 s left  pixel 0.5000");
    }

    #[test]
    fn quiet_work_is_not_watched() {
        assert!(!run_plain("x", Verbosity::Quiet, Control::watched));
        assert!(run_plain("x", Verbosity::Normal, Control::watched));
    }
}
