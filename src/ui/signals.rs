//! Signals: what Ctrl-C, SIGTERM and a closed terminal request of running work.
//!
//! A separate thread waits for them, so that the reaction does not depend on the main thread.

use crate::control::{Control, Stop};
use crate::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Number of Ctrl-Cs in a row that end a session whose work does not stop.
const DESPERATE: u32 = 6;
/// Time limits after SIGTERM or SIGHUP: for work to stop and write its checkpoint, and for anything
/// else to end, such as writing to a stalled terminal.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(1)];

/// The requests of signals so far.
#[derive(Default)]
pub struct Signals {
    interrupts: AtomicU32,
    ended: AtomicBool,
    at_prompt: AtomicBool,
    deadly: AtomicBool,
    running: Mutex<Option<Control>>,
}

/// The signals of this process; the first call installs the handlers.
///
/// # Errors
/// When the handlers or the thread cannot be installed.
pub fn signals() -> Result<&'static Signals> {
    static SIGNALS: OnceLock<Signals> = OnceLock::new();
    static STARTED: Mutex<bool> = Mutex::new(false);
    let signals = SIGNALS.get_or_init(Signals::default);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        listen(signals).map_err(|e| Error::io("cannot listen for signals", &e))?;
        *started = true;
    }
    Ok(signals)
}

fn listen(signals: &'static Signals) -> std::io::Result<()> {
    let mut incoming = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in incoming.forever() {
            match signal {
                SIGINT if signals.interrupt() => die(signal),
                SIGINT => {}
                // On a separate thread, so that this thread still handles other signals until the
                // process is in the foreground again.
                SIGTSTP => later(Duration::ZERO, super::restore::suspend),
                _ if signals.end() => die(signal),
                _ => later(signals.patience(), move || die(signal)),
            }
        }
    })?;
    Ok(())
}

/// Ends the process by the signal, with the terminal restored. Acknowledged cells are on the disk.
fn die(signal: i32) {
    super::restore::restore();
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

fn later(after: Duration, what: impl FnOnce() + Send + 'static) {
    let wait = move || {
        std::thread::sleep(after);
        what();
    };
    // If the thread cannot be started, the process continues.
    let _ = std::thread::Builder::new().name("signal".into()).spawn(wait);
}

impl Signals {
    /// Handles a Ctrl-C: the first keeps the best so far, the second aborts. Returns whether the
    /// process should end: at the third without a prompt, otherwise at the sixth, when the work did
    /// not stop.
    fn interrupt(&self) -> bool {
        let n = self.interrupts.fetch_add(1, SeqCst) + 1;
        self.pass_on();
        n >= if self.deadly.load(SeqCst) { 3 } else { DESPERATE }
    }

    /// Time that the process has to end by itself.
    fn patience(&self) -> Duration {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        PATIENCE[usize::from(!running)]
    }

    /// Handles a request to end the session. Returns whether the process may end at once, because a
    /// prompt holds no unsaved work.
    fn end(&self) -> bool {
        self.ended.store(true, SeqCst);
        self.pass_on();
        self.at_prompt.load(SeqCst)
    }

    fn pass_on(&self) {
        if let Some(control) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            let stop = self.asked();
            if stop != Stop::No {
                control.request(stop);
            }
        }
    }

    /// The current request to running work.
    pub fn asked(&self) -> Stop {
        match (self.ended.load(SeqCst), self.interrupts.load(SeqCst)) {
            (true, _) => Stop::Checkpoint,
            (_, 0) => Stop::No,
            (_, 1) => Stop::Keep,
            _ => Stop::Abort,
        }
    }

    /// Whether a signal asked the session to end (SIGTERM, SIGHUP).
    pub fn ended(&self) -> bool {
        self.ended.load(SeqCst)
    }

    /// Passes all requests, earlier ones included, to `control` while the guard lives. With
    /// `deadly`, a third Ctrl-C ends the process, because no prompt follows.
    pub fn watch(&'static self, control: &Control, deadly: bool) -> Watching {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(control.clone());
        self.deadly.store(deadly, SeqCst);
        self.pass_on();
        Watching(self)
    }

    /// Marks the time at the prompt and resets the count of Ctrl-Cs.
    pub(super) fn at_prompt(&'static self) -> AtPrompt {
        self.at_prompt.store(true, SeqCst);
        AtPrompt(self)
    }
}

/// Stops passing requests on when dropped.
pub struct Watching(&'static Signals);

impl Drop for Watching {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.deadly.store(false, SeqCst);
        self.0.interrupts.store(0, SeqCst);
    }
}

/// Ends the time at the prompt when dropped.
pub(super) struct AtPrompt(&'static Signals);

impl Drop for AtPrompt {
    fn drop(&mut self) {
        self.0.at_prompt.store(false, SeqCst);
        self.0.interrupts.store(0, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_keeps_twice_aborts_and_the_end_wins() {
        let signals: &'static Signals = Box::leak(Box::default());
        let control = Control::default();
        let watching = signals.watch(&control, false);
        assert_eq!(control.stop(), Stop::No);
        assert!(!signals.interrupt());
        assert_eq!(control.stop(), Stop::Keep);
        assert!(!signals.interrupt());
        assert_eq!(control.stop(), Stop::Abort);
        for _ in 3..DESPERATE {
            assert!(!signals.interrupt(), "a prompt follows");
        }
        assert!(signals.interrupt(), "work that does not stop");
        assert!(!signals.end(), "running work gets its time");
        assert_eq!(control.stop(), Stop::Checkpoint);
        drop(watching);
        let next = Control::default();
        let _watching = signals.watch(&next, true);
        assert_eq!(next.stop(), Stop::Checkpoint, "the end stays");
    }

    #[test]
    fn a_request_before_the_work_reaches_it() {
        let signals: &'static Signals = Box::leak(Box::default());
        signals.interrupt();
        let control = Control::default();
        let _watching = signals.watch(&control, true);
        assert_eq!(control.stop(), Stop::Keep);
        signals.interrupt();
        assert!(signals.interrupt(), "without a prompt the third one ends it");
    }
}
