//! The worker's end of the channels to a front end.

use super::Cell;
use super::event::{Event, Place};
use super::snapshot::{Snapshot, gone};
use crate::error::Result;
use crate::safe::Safe;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

/// Maximum length of a statement's title, in characters.
const TITLE: usize = 40;

/// The worker's end of the channels.
pub(super) struct Link {
    pub(super) events: Sender<Event>,
    /// One message for every event that the front end has handled.
    pub(super) acknowledged: Receiver<()>,
    pub(super) shared: Arc<Mutex<Arc<Snapshot>>>,
}

impl Link {
    /// Reports an event and waits until the front end has handled it.
    ///
    /// # Errors
    /// `Closed` when the front end is gone.
    pub(super) fn tell(&self, event: Event) -> Result<()> {
        self.events.send(event).map_err(|_| gone())?;
        self.acknowledged.recv().map_err(|_| gone())
    }

    /// Reports that a statement begins.
    pub(super) fn begins(&self, text: &str, place: Option<Place>, further: Option<Cell>) {
        let title: String = text.lines().next().unwrap_or_default().chars().take(TITLE).collect();
        let title = Safe(&title).to_string();
        // `tell` notices when the front end is gone.
        let _ = self.events.send(Event::Begins { title, place, further });
    }
}
