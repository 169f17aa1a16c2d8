//! The front end's side of a session.

use super::cells::Cells;
use super::event::{Event, Request};
use super::link::Link;
use super::snapshot::{Snapshot, gone};
use super::worker::Worker;
use super::{Log, SessionInfo, sessions};
use crate::control::{Control, Stop};
use crate::error::{Error, Result};
use crate::eval::State;
use crate::store::Disk;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Stack of the worker thread. The checker and the evaluator recurse, and their depth limits assume
/// this size.
const STACK: usize = 64 << 20;

/// The beginning of a session.
pub struct Start {
    /// Names, functions, the generator and the options.
    pub state: State,
    /// Name or path of the generator, as the user gave it.
    pub model: String,
    /// Folder of the journals; `None` keeps no journal.
    pub folder: Option<PathBuf>,
    /// Whether results include lists as JSON, which can be large.
    pub lists: bool,
}

/// A session: a worker thread owns its state, runs one request at a time and reports events.
///
/// A front end submits a request, takes events until [`Event::Done`], and reads
/// [`Session::snapshot`] between requests. Each call waits at most for the time it is given.
pub struct Session {
    requests: Option<Sender<(Request, Control)>>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    taken: Sender<()>,
    /// Whether the worker waits until the last event is handled.
    owed: bool,
    /// The control of the running request.
    running: Option<Control>,
    shared: Arc<Mutex<Arc<Snapshot>>>,
    worker: Option<JoinHandle<()>>,
    folder: Option<PathBuf>,
    unkept: Option<Error>,
}

impl Session {
    /// Begins a session and its worker thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(start: Start) -> Result<Self> {
        let Start { mut state, model, folder, lists } = start;
        let fingerprint = state.model.as_ref().map_or("", |m| m.facts.fingerprint.as_str());
        let header = format!("{model} {fingerprint}");
        let mut cells = Cells::new(folder.clone(), header, state.clone());
        let unkept = cells.check_folder().err();
        if unkept.is_some() {
            // Checkpoints go to the same disk, so one warning is enough.
            state.options.checkpoints = None;
        }
        let (requests, incoming) = channel::<(Request, Control)>();
        let (sender, events) = channel();
        let (taken, acknowledged) = channel();
        let first = Snapshot {
            state: state.clone(),
            log: Log::default(),
            missing: BTreeSet::new(),
            model: model.clone(),
            journal: None,
        };
        let shared = Arc::new(Mutex::new(Arc::new(first)));
        let link = Link { events: sender.clone(), acknowledged, shared: shared.clone() };
        let worker = Worker::new(state, cells, (model, lists), link);
        let worker = std::thread::Builder::new()
            .name("session".into())
            .stack_size(STACK)
            .spawn(move || worker.serve(&incoming))
            .map_err(|e| Error::io("cannot start the session's thread", &e))?;
        Ok(Self {
            requests: Some(requests),
            sender,
            events,
            taken,
            owed: false,
            running: None,
            shared,
            worker: Some(worker),
            folder,
            unkept,
        })
    }

    /// The reason why the session has no journal on the disk; `None` when it has one or wants none.
    pub fn unkept(&self) -> Option<&Error> {
        self.unkept.as_ref()
    }

    /// Begins a request, whose events come from [`Session::next`]. With `watched`, they include
    /// [`Event::Progress`].
    ///
    /// # Errors
    /// When another request is running.
    pub fn submit(&mut self, request: Request, watched: bool) -> Result<()> {
        if self.running.is_some() {
            return Err(Error::runtime("the session is busy").hint("wait until it is done"));
        }
        let control = if watched {
            let events = self.sender.clone();
            // A closed channel means that the front end is gone; progress is then dropped.
            Control::new(move |progress| drop(events.send(Event::Progress(progress))))
        } else {
            Control::default()
        };
        self.running = Some(control.clone());
        if let Some(requests) = &self.requests {
            // If the worker is gone, `next` reports it.
            let _ = requests.send((request, control));
        }
        Ok(())
    }

    /// The next event; `None` when no event comes within `wait` or no request is running. Taking an
    /// event acknowledges the one before it.
    ///
    /// # Panics
    /// With the panic of the worker, if it panicked.
    pub fn next(&mut self, wait: Duration) -> Option<Event> {
        if std::mem::take(&mut self.owed) {
            // If the worker is gone, the match below reports it.
            let _ = self.taken.send(());
        }
        self.running.as_ref()?;
        match self.events.recv_timeout(wait) {
            Ok(event) => {
                self.owed = event.waits();
                if matches!(event, Event::Done(_)) {
                    self.running = None;
                }
                Some(event)
            }
            Err(_) if !self.worker.as_ref().is_none_or(JoinHandle::is_finished) => None,
            // The worker ended in the middle of a request.
            Err(_) => {
                self.running = None;
                if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                Some(Event::Done(Err(gone())))
            }
        }
    }

    /// The control of the running request, for signals.
    pub fn control(&self) -> Option<&Control> {
        self.running.as_ref()
    }

    /// Aborts the running request and waits for its end.
    pub fn abandon(&mut self) {
        if let Some(control) = &self.running {
            control.request(Stop::Abort);
        }
        while self.running.is_some() {
            self.next(Duration::from_millis(100));
        }
    }

    /// The session after its last complete cell. Does not wait for the running request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Folder of the journals.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }

    /// All sessions of the folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let files: Arc<dyn crate::store::Files> = Arc::new(Disk);
        self.folder.as_ref().map_or(Ok(Vec::new()), |f| sessions::sessions(&files, f))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(control) = &self.running
            && control.stop() == Stop::No
        {
            control.request(Stop::Abort);
        }
        drop(self.requests.take());
        // A worker that waits for an acknowledgement sees the closed channel and stops.
        (self.taken, _) = channel();
        if let Some(worker) = self.worker.take() {
            // The panic hook already reported a panic of the worker.
            let _ = worker.join();
        }
    }
}

impl Event {
    /// Whether the worker waits until the front end has handled this event.
    fn waits(&self) -> bool {
        !matches!(
            self,
            Self::Begins { .. } | Self::Progress(_) | Self::Explore { .. } | Self::Done(_)
        )
    }
}
