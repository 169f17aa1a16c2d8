//! Signals, in one place: what Ctrl-C, SIGTERM and a dropped line ask of the work that runs.
//!
//! A thread of its own waits for them, so that the answer does not depend on what the main thread
//! does.

use crate::control::{Control, Stop};
use crate::error::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Ctrl-Cs, one after the other, that end a session whose work does not stop.
const DESPERATE: u32 = 6;
/// How long work may take to stop and write its checkpoint after SIGTERM or SIGHUP, and everything
/// else (writing to a terminal that takes no more) to end.
const PATIENCE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(1)];

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
    let mut incoming = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in incoming.forever() {
            match signal {
                SIGINT if signals.interrupt() => die(signal),
                SIGINT => {}
                // On a thread of its own: until the process is in the foreground again, this one
                // still answers the other signals.
                SIGTSTP => later(Duration::ZERO, super::restore::suspend),
                _ if signals.end() => die(signal),
                _ => later(signals.patience(), move || die(signal)),
            }
        }
    })?;
    Ok(())
}

/// Dies of the signal, with the terminal restored. What a session acknowledged is on the disk.
fn die(signal: i32) {
    super::restore::restore();
    let _ = signal_hook::low_level::emulate_default_handler(signal);
}

fn later(after: Duration, what: impl FnOnce() + Send + 'static) {
    let wait = move || {
        std::thread::sleep(after);
        what();
    };
    // Without a thread to be had the process goes on as it is.
    let _ = std::thread::Builder::new().name("signal".into()).spawn(wait);
}

impl Signals {
    /// A Ctrl-C: the first keeps the best so far, the second aborts. Returns whether the process
    /// should die: at the third where no prompt follows, else at the sixth, when the work did not
    /// stop.
    fn interrupt(&self) -> bool {
        let n = self.interrupts.fetch_add(1, SeqCst) + 1;
        self.pass_on();
        n >= if self.deadly.load(SeqCst) { 3 } else { DESPERATE }
    }

    /// How long the process may take to end by itself.
    fn patience(&self) -> Duration {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        PATIENCE[usize::from(!running)]
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
