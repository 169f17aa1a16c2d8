//! Signals, in one place: what Ctrl-C, SIGTERM and a dropped line ask of the work that runs.
//!
//! A thread of its own waits for them, so that the answer does not depend on what the main thread
//! does.

use crate::control::{Control, Stop};
use crate::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What signals have asked for so far.
#[derive(Default)]
pub struct Signals {
    interrupts: AtomicU32,
    ended: AtomicBool,
    at_prompt: AtomicBool,
    deadly: AtomicBool,
    running: Mutex<Option<Control>>,
}

/// The signals of this process; the first call begins to listen.
///
/// # Errors
/// When the system refuses the handlers or the thread.
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
    let mut incoming = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in incoming.forever() {
            let fatal = if signal == SIGINT { signals.interrupt() } else { signals.end() };
            if fatal {
                super::restore::restore();
                // Dies of the signal, as whoever sent it expects; nothing unsaved exists here.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    })?;
    Ok(())
}

impl Signals {
    /// A Ctrl-C: the first keeps the best so far, the second aborts. Returns whether the process
    /// should die: only where no prompt follows, at the third.
    fn interrupt(&self) -> bool {
        let n = self.interrupts.fetch_add(1, SeqCst) + 1;
        self.pass_on();
        n >= 3 && self.deadly.load(SeqCst)
    }

    /// The session is to end. Returns whether the process may die at once: a prompt holds nothing
    /// unsaved.
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

    /// What is asked of running work.
    pub fn asked(&self) -> Stop {
        match (self.ended.load(SeqCst), self.interrupts.load(SeqCst)) {
            (true, _) => Stop::Checkpoint,
            (_, 0) => Stop::No,
            (_, 1) => Stop::Keep,
            _ => Stop::Abort,
        }
    }

    /// Whether the session was asked to end (SIGTERM, SIGHUP).
    pub fn ended(&self) -> bool {
        self.ended.load(SeqCst)
    }

    /// Passes every request on to `control` while the guard lives, those that came before included.
    /// With `deadly`, a third Ctrl-C ends the process: there is no prompt to come back to.
    pub fn watch(&'static self, control: &Control, deadly: bool) -> Watching {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(control.clone());
        self.deadly.store(deadly, SeqCst);
        self.pass_on();
        Watching(self)
    }

    /// Marks the time at the prompt, and forgets the Ctrl-Cs before it.
    pub(super) fn at_prompt(&'static self) -> AtPrompt {
        self.at_prompt.store(true, SeqCst);
        AtPrompt(self)
    }
}

/// Ends the passing on when dropped.
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
        assert!(!signals.interrupt(), "never the process while a prompt follows");
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
