//! The keys of the prompt that are not those of a plain editor.

use super::screen::{Screen as _, Stdout};
use rustyline::{Cmd, ConditionalEventHandler, Event, EventContext};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// Ctrl-C: clears the line, and marks that it was a key, not the signal of `Editor::earlier`.
pub(super) struct Break {
    pub(super) broken: Arc<AtomicBool>,
    /// How often it was pressed on an empty line without other input between.
    pub(super) idle: Arc<AtomicUsize>,
}

impl ConditionalEventHandler for Break {
    fn handle(&self, _: &Event, _: u16, _: bool, at: &EventContext) -> Option<Cmd> {
        self.broken.store(true, SeqCst);
        let idle = if at.line().is_empty() { self.idle.load(SeqCst) + 1 } else { 0 };
        self.idle.store(idle, SeqCst);
        Some(Cmd::Interrupt)
    }
}

/// Ctrl-Z: suspends with the terminal's original modes.
pub(super) struct Suspend;

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: u16, _: bool, _: &EventContext) -> Option<Cmd> {
        super::restore::suspend();
        Some(Cmd::Repaint)
    }
}

/// Ctrl-L: clears the screen, pictures included.
pub(super) struct Wipe(pub(super) Arc<Mutex<Vec<u8>>>);

impl ConditionalEventHandler for Wipe {
    fn handle(&self, _: &Event, _: u16, _: bool, _: &EventContext) -> Option<Cmd> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // If the terminal is gone, the editor notices it when it clears the text.
        let _ = Stdout.put(&bytes);
        Some(Cmd::ClearScreen)
    }
}
