//! The terminal as it was, whatever happens: on drop, in a panic, on a signal.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The modes that the process found, while it holds the terminal.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether a live view stands on the screen, its first cell at the cursor.
static LIVE: AtomicBool = AtomicBool::new(false);
/// Held while a frame is written, so that nothing cuts into it.
static FRAME: Mutex<()> = Mutex::new(());

/// Wipes a live view from its first cell on: colours, cursor and synchronised updates are as a
/// shell expects them.
///
/// The screen is cleared from the second column on, after the first line was: tmux would push a
/// screen that is cleared from its very first cell into its history, as a copy of the view.
pub(super) const WIPE: &[u8] = b"\x1b[?2026l\x1b[0m\r\x1b[K\x1b[C\x1b[J\r\x1b[?25h";
/// Ends what a prompt switches on.
const PROMPT_OFF: &[u8] = b"\x1b[?2004l";

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
        let bytes = if was_live { WIPE } else { PROMPT_OFF };
        let mut out = io::stdout();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }
    if let Some(modes) = modes {
        set(&modes);
    }
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
