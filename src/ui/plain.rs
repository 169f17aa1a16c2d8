//! Progress without a terminal: an occasional line on stderr.

use super::signals::signals;
use super::view::View;
use crate::control::{Control, Progress};
use crate::ui::Colour;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between two lines, and before the first.
const PAUSE: Duration = Duration::from_secs(2);

/// Amount of output besides results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Results and errors only (`--quiet`, `--json`).
    Quiet,
    /// At most one line of progress every two seconds.
    Normal,
}

/// Runs `work` on this thread, with progress lines on stderr. The first SIGINT keeps the best so
/// far, the second aborts, the third ends the process; SIGTERM and SIGHUP request a checkpoint.
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
                    // A closed stderr loses only progress.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            })
        }
    };
    // Without signal handlers the work still runs; Ctrl-C then ends the process, as by default.
    let _watching = signals().ok().map(|s| s.watch(&control, true));
    work(&control)
}

/// Result of a wait.
pub(super) enum Came<E> {
    /// Progress of the work.
    Progress(Progress),
    /// Another event, which ends the view.
    Event(E),
    /// A timeout.
    Nothing,
}

/// Waits for an event, with progress lines on stderr.
pub(super) fn watch<E>(title: &str, wait: &mut dyn FnMut(Duration) -> Came<E>) -> E {
    let mut lines = Lines::new(title);
    loop {
        match wait(PAUSE) {
            Came::Progress(progress) => {
                if let Some(line) = lines.take(progress, Instant::now()) {
                    // A closed stderr loses only progress.
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

    /// The line to print now, if it is due.
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
            self.view.losses(usize::MAX),
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
                let losses = vec![("pixel", 0.5)];
                let progress = Progress { losses, ..Progress::new("fit".into(), (i, 100)) };
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
