//! Restores the terminal in every case: on drop, in a panic, on a signal.

use super::inline::ClearBelow;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::ResetColor;
use crossterm::terminal::EndSynchronizedUpdate;
use crossterm::{Command, QueueableCommand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The terminal's original modes while the process holds it.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);
/// The live view on the screen, with its first cell at the cursor: the bytes that remove what
/// erasing its text leaves.
static LIVE: Mutex<Option<Vec<u8>>> = Mutex::new(None);
/// The full screen that is shown: how to begin and to leave it.
static FULL: Mutex<Option<Full>> = Mutex::new(None);
/// Whether the process was suspended, so that the view must be redrawn.
static AGAIN: AtomicBool = AtomicBool::new(false);
/// Locked while a frame is written, so that other output cannot cut into it.
static FRAME: Mutex<()> = Mutex::new(());

/// Interval of the checks whether the process is in the foreground.
const LOOK: Duration = Duration::from_millis(50);

/// Erases a live view from its first cell on, and resets colours, cursor and synchronised updates
/// for the shell.
pub(super) struct Wipe;

impl Command for Wipe {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        EndSynchronizedUpdate.write_ansi(f)?;
        ResetColor.write_ansi(f)?;
        ClearBelow.write_ansi(f)?;
        Show.write_ansi(f)
    }
}

/// What to write when a full screen begins, also after a suspension, and when it is left.
#[derive(Clone, Debug)]
pub(super) struct Full {
    pub(super) begin: Vec<u8>,
    pub(super) leave: Vec<u8>,
}

/// The bytes of a command.
pub(super) fn bytes(command: impl Command) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a vector cannot fail.
    let _ = out.queue(command);
    out
}

/// The modes of stdin; `None` when it is not a terminal.
pub(super) fn modes() -> Option<Termios> {
    tcgetattr(io::stdin()).ok()
}

/// Marks the terminal as held, with the modes to restore.
pub(super) fn hold(found: &Termios) {
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
}

/// Sets the modes of stdin at once and keeps typed keys.
pub(super) fn set(modes: &Termios) {
    // A terminal that is gone has no modes to set.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
}

/// Marks a live view as being on the screen. `wipe` removes what erasing its text leaves.
pub(super) fn live_begins(wipe: Vec<u8>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(wipe);
}

/// Marks the live view as gone; returns the bytes that erase it if it was still there.
pub(super) fn live_ends() -> Option<Vec<u8>> {
    let wipe = patient(&LIVE).and_then(|mut live| live.take());
    wipe.map(|more| erased(&more))
}

/// The bytes that erase a live view.
fn erased(more: &[u8]) -> Vec<u8> {
    [more, &bytes(Wipe)].concat()
}

/// Marks a full screen as being shown, and begins it.
pub(super) fn full_begins(full: Full) -> io::Result<()> {
    let begin = full.begin.clone();
    *FULL.lock().unwrap_or_else(PoisonError::into_inner) = Some(full);
    let mut out = io::stdout();
    out.write_all(&begin).and_then(|()| out.flush())
}

/// Leaves the full screen; returns whether it was still there.
pub(super) fn full_ends() -> bool {
    let full = FULL.lock().unwrap_or_else(PoisonError::into_inner).take();
    full.is_some_and(|full| {
        tell(&full.leave);
        true
    })
}

/// A guard for writing a frame of the full screen; `None` after the terminal was restored.
pub(super) fn full_frame() -> Option<MutexGuard<'static, ()>> {
    let guard = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    FULL.lock().unwrap_or_else(PoisonError::into_inner).is_some().then_some(guard)
}

/// A guard for writing a frame; `None` after the terminal was restored.
pub(super) fn frame() -> Option<MutexGuard<'static, ()>> {
    let guard = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).is_some().then_some(guard)
}

/// Restores the original modes of the terminal. May be called from any thread, at any time,
/// repeatedly.
pub fn restore() {
    let _guard = patient_frame();
    let live = live_ends();
    let full = patient(&FULL).and_then(|mut full| full.take());
    let modes = patient(&FOUND).and_then(|mut found| found.take());
    match full {
        Some(full) => tell(&full.leave),
        None if live.is_some() || modes.is_some() => leave(live.as_deref()),
        None => {}
    }
    if let Some(modes) = modes {
        set(&modes);
    }
}

/// Suspends the process (Ctrl-Z) with the terminal's original modes. Returns when the process is in
/// the foreground again, with the previous modes. A view is redrawn.
pub(super) fn suspend() {
    let _guard = patient_frame();
    let found = patient(&FOUND).and_then(|found| found.clone());
    let live = patient(&LIVE).and_then(|live| live.as_deref().map(erased));
    let ours = modes();
    let full = patient(&FULL).and_then(|full| full.clone());
    // A prompt uses raw mode and bracketed paste; between prompts neither is on.
    let prompt = live.is_none()
        && full.is_none()
        && ours.as_ref().is_some_and(|m| !m.local_modes.contains(LocalModes::ISIG));
    if let Some(found) = &found {
        match &full {
            Some(full) => tell(&full.leave),
            None => leave(live.as_deref()),
        }
        set(found);
    }
    // The whole process stops here until it is continued.
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
    if let Some(full) = &full {
        tell(&full.begin);
    }
    AGAIN.store(live.is_some() || full.is_some(), SeqCst);
}

/// Whether the process may write to its terminal; true for a terminal that is gone, to not wait for
/// it.
fn foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Whether the process was suspended since the last call of [`again`].
pub(super) fn suspended() -> bool {
    AGAIN.load(SeqCst)
}

/// Whether the view must be redrawn; the call resets this.
pub(super) fn again() -> bool {
    AGAIN.swap(false, SeqCst)
}

/// Number of typed bytes that were not read yet.
pub(super) fn waiting() -> u64 {
    rustix::io::ioctl_fionread(io::stdin()).unwrap_or(0)
}

/// Waits for typed bytes and reads them; `None` when the terminal is gone.
pub(super) fn typed(wait: Duration) -> Option<Vec<u8>> {
    let stdin = rustix::stdio::stdin();
    let time = Timespec::try_from(wait).ok()?;
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut ready, Some(&time)) {
        Ok(0) | Err(Errno::INTR) => return Some(Vec::new()),
        Ok(_) => {}
        Err(_) => return None,
    }
    let mut bytes = vec![0; 1 << 16];
    match rustix::io::read(stdin, &mut bytes[..]) {
        Ok(0) => None,
        Ok(n) => {
            bytes.truncate(n);
            Some(bytes)
        }
        Err(Errno::INTR | Errno::AGAIN) => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Erases a live view with the bytes that do it, or turns off the modes of a prompt.
fn leave(live: Option<&[u8]>) {
    live.map_or_else(|| say(DisableBracketedPaste), tell);
}

/// Writes to the terminal and ignores errors.
fn say(command: impl Command) {
    tell(&bytes(command));
}

fn tell(bytes: &[u8]) {
    let mut out = io::stdout();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Waits briefly for a frame to end. The panicking thread may be the one that draws, so the wait
/// must end.
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

/// Restores the terminal before a panic message is printed, so that the message is readable.
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
