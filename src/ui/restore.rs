//! The terminal as it was, whatever happens: on drop, in a panic, on a signal.

use super::inline::ClearBelow;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::ResetColor;
use crossterm::terminal::EndSynchronizedUpdate;
use crossterm::{Command, QueueableCommand};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The modes that the process found, while it holds the terminal.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether a live view stands on the screen, its first cell at the cursor.
static LIVE: AtomicBool = AtomicBool::new(false);
/// Whether the process was suspended, so that a live view must be drawn anew.
static AGAIN: AtomicBool = AtomicBool::new(false);
/// Held while a frame is written, so that nothing cuts into it.
static FRAME: Mutex<()> = Mutex::new(());

/// Between two looks whether the process is in the foreground.
const LOOK: Duration = Duration::from_millis(50);

/// Wipes a live view from its first cell on: colours, cursor and synchronised updates are as a
/// shell expects them.
pub(super) struct Wipe;

impl Command for Wipe {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        EndSynchronizedUpdate.write_ansi(f)?;
        ResetColor.write_ansi(f)?;
        ClearBelow.write_ansi(f)?;
        Show.write_ansi(f)
    }
}

/// A command's bytes.
pub(super) fn bytes(command: impl Command) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a vector cannot fail.
    let _ = out.queue(command);
    out
}

/// The modes of stdin; `None` when it is no terminal.
pub(super) fn modes() -> Option<Termios> {
    tcgetattr(io::stdin()).ok()
}

/// Declares that the terminal is ours, and what is to be given back.
pub(super) fn hold(found: &Termios) {
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
}

/// Sets the modes of stdin, now, keeping what was typed.
pub(super) fn set(modes: &Termios) {
    // A line that dropped has no modes left to set.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
}

/// Declares that a live view stands on the screen.
pub(super) fn live_begins() {
    LIVE.store(true, SeqCst);
}

/// Declares that the live view is to go; returns whether it was still there.
pub(super) fn live_ends() -> bool {
    LIVE.swap(false, SeqCst)
}

/// The right to write a frame; `None` once somebody restored the terminal.
pub(super) fn frame() -> Option<MutexGuard<'static, ()>> {
    let guard = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    LIVE.load(SeqCst).then_some(guard)
}

/// Gives the terminal back as it was found. Safe to call from any thread, at any time, more than
/// once.
pub fn restore() {
    let _guard = patient_frame();
    let was_live = live_ends();
    let modes = patient(&FOUND).and_then(|mut found| found.take());
    if was_live || modes.is_some() {
        leave(was_live);
    }
    if let Some(modes) = modes {
        set(&modes);
    }
}

/// Suspends the process (Ctrl-Z) with the terminal as it was found; returns when it is in the
/// foreground again, with the terminal's modes as they were before. A live view is drawn anew.
pub(super) fn suspend() {
    let _guard = patient_frame();
    let found = patient(&FOUND).and_then(|found| found.clone());
    let (live, ours) = (LIVE.load(SeqCst), modes());
    // A prompt is a raw terminal; between prompts nothing of it is switched on.
    let prompt = !live && ours.as_ref().is_some_and(|m| !m.local_modes.contains(LocalModes::ISIG));
    if let Some(found) = &found {
        leave(live);
        set(found);
    }
    // The whole process stops here, until it is continued.
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
    if found.is_none() {
        return;
    }
    while !foreground() {
        std::thread::sleep(LOOK);
    }
    if let Some(ours) = &ours {
        set(ours);
    }
    if prompt {
        say(EnableBracketedPaste);
    }
    AGAIN.store(live, SeqCst);
}

/// Whether the process may write to its terminal; a terminal that is gone asks for no patience.
fn foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether a live view must be drawn anew; asked once.
pub(super) fn again() -> bool {
    AGAIN.swap(false, SeqCst)
}

/// The number of bytes that were typed and not yet read.
pub(super) fn waiting() -> u64 {
    rustix::io::ioctl_fionread(io::stdin()).unwrap_or(0)
}

/// What was typed and not yet read.
pub(super) fn typed() -> Vec<u8> {
    let mut bytes = vec![0; waiting() as usize];
    let read = match bytes.is_empty() {
        true => 0,
        false => rustix::io::read(io::stdin(), &mut bytes[..]).unwrap_or(0),
    };
    bytes.truncate(read);
    bytes
}

/// Takes a live view from the screen, or ends what a prompt switches on.
fn leave(live: bool) {
    if live { say(Wipe) } else { say(DisableBracketedPaste) }
}

/// Writes to the terminal, whatever becomes of it.
fn say(command: impl Command) {
    let mut out = io::stdout();
    let _ = out.write_all(&bytes(command)).and_then(|()| out.flush());
}

/// Waits shortly for a frame to end. The panicking thread may itself be the one that draws: hence
/// never for long.
fn patient_frame() -> Option<MutexGuard<'static, ()>> {
    patient(&FRAME)
}

fn patient<T>(mutex: &'static Mutex<T>) -> Option<MutexGuard<'static, T>> {
    let deadline = Instant::now() + Duration::from_millis(100);
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(p)) => return Some(p.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Restores the terminal before a panic's message is printed, so that it can be read.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}
