//! Work in a worker thread, shown in a live view.

use super::pace::{Drawn, Pace};
use super::plain::Came;
use super::preview::Previews;
use super::terminal::{Line, Live, Terminal};
use super::view::View;
use super::{Colour, plain, restore};
use crate::control::{Control, Progress};
use crate::render::{self, Colours, Protocol};
use candle_core::Tensor;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Work that ends sooner shows no view, because a view that flashes does not help.
const GRACE: Duration = Duration::from_millis(150);
/// Time between two looks for typed keys.
const LISTEN: Duration = Duration::from_millis(20);
/// Rows of the view without a preview.
const ROWS: u16 = 5;
/// Maximum rows of the view with a preview.
const ROWS_PREVIEW: u16 = 16;
/// Stack of the worker thread. The checker and the evaluator recurse, and their depth limits assume
/// this size.
const STACK: usize = 64 << 20;

enum Event {
    Progress(Progress),
    Done,
}

/// Runs `work` in a worker thread and shows its progress below the last line until it ends.
///
/// The first Ctrl-C keeps the best so far, the second aborts; SIGTERM and SIGHUP request a
/// checkpoint; Ctrl-Z suspends at once. Keys typed while the view is shown are echoed in it, put on
/// the next prompt, and do not run. A failing terminal does not stop the work. Without a terminal,
/// this is [`plain::run_plain`].
///
/// # Panics
/// With the panic of `work`, after the terminal was restored.
pub fn run_live<T: Send>(
    terminal: &mut Terminal<Line>,
    title: &str,
    work: impl FnOnce(&Control) -> T + Send,
) -> T {
    let signals = terminal.line().signals();
    if !terminal.interactive() {
        return plain::run_plain(title, plain::Verbosity::Normal, work);
    }
    let able = unprobed(terminal);
    let (send, events) = channel();
    let reports = send.clone();
    // A closed channel means that progress is no longer shown.
    let control = Control::new(move |progress| drop(reports.send(Event::Progress(progress))));
    let _watching = signals.watch(&control, false);
    let slot = Mutex::new(Some(work));
    let job = || {
        let _done = OnDrop(|| drop(send.send(Event::Done)));
        let work = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.map(|work| work(&control))
    };
    let result = std::thread::scope(|scope| {
        match std::thread::Builder::new()
            .name("work".into())
            .stack_size(STACK)
            .spawn_scoped(scope, job)
        {
            Ok(worker) => {
                watch(terminal, &able, title, &mut |time| came(&events, time));
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            // The thread could not be started: run the work here, without a view.
            Err(_) => job(),
        }
    });
    match result {
        Some(value) => value,
        // Exactly one job ran and took the work.
        None => unreachable!("the work was taken twice"),
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn came(events: &Receiver<Event>, time: Duration) -> Came<()> {
    match events.recv_timeout(time) {
        Ok(Event::Progress(progress)) => Came::Progress(progress),
        Err(RecvTimeoutError::Timeout) => Came::Nothing,
        Ok(Event::Done) | Err(RecvTimeoutError::Disconnected) => Came::Event(()),
    }
}

/// Shows the work's progress below the last line until another event arrives, and returns that
/// event. `able` says how the terminal shows previews.
pub(super) fn watch<E>(
    terminal: &mut Terminal<Line>,
    able: &render::Terminal,
    title: &str,
    wait: &mut dyn FnMut(Duration) -> Came<E>,
) -> E {
    let signals = terminal.line().signals();
    let mut show = Show::new(View::new(title, terminal.colour()), Previews::new(able));
    if let Some(event) = show.gather(wait, GRACE) {
        return event;
    }
    let before = restore::waiting();
    let mut event = None;
    // If the terminal fails, the work continues and is awaited without a view.
    if let Ok(mut live) = terminal.live(ROWS, show.previews.wipe()) {
        // What was typed before is the rest of a paste: it stays where it is, and no answer may
        // come into it.
        let listens = before == 0;
        show.asks = listens && show.previews.are_pixels() && live.answers();
        while event.is_none() {
            show.view.stop = signals.asked();
            if show.frame(&mut live).is_err() || restore::frame().is_none() {
                break;
            }
            let until = Instant::now() + show.pace.pause();
            while event.is_none() && Instant::now() < until {
                let left = until.saturating_duration_since(Instant::now());
                event = show.gather(wait, left.min(LISTEN));
                if listens && live.listen() {
                    // A key is echoed at once.
                    show.view.typed = live.ahead();
                    break;
                }
            }
        }
    }
    let event = loop {
        match event {
            Some(event) => break event,
            None => event = show.gather(wait, Duration::from_secs(1)),
        }
    };
    terminal.line().set_aside(before);
    event
}

/// What a terminal that was not probed shows: half blocks in the colours of its environment.
fn unprobed(terminal: &Terminal<Line>) -> render::Terminal {
    let (protocol, colours) = match terminal.colour() {
        Colour::None => (Protocol::None, Colours::None),
        Colour::Indexed => (Protocol::Blocks, Colours::Indexed),
        Colour::True => (Protocol::Blocks, Colours::True),
    };
    render::Terminal { protocol, colours, ..render::Terminal::plain("not probed") }
}

/// CPU time of this thread.
fn busy() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.try_into().unwrap_or(0), t.tv_nsec.try_into().unwrap_or(0))
}

struct Show {
    view: View,
    previews: Previews,
    /// Whether the terminal is asked to say when it has shown a preview.
    asks: bool,
    begun: Instant,
    /// The latest preview that was not shown yet; older ones are never drawn.
    waiting: Option<Tensor>,
    pace: Pace,
    /// [`busy`] at the end of the last frame.
    busy: Duration,
}

impl Show {
    fn new(view: View, previews: Previews) -> Self {
        let (begun, pace) = (Instant::now(), Pace::default());
        Self { view, previews, asks: false, begun, waiting: None, pace, busy: busy() }
    }

    /// Collects the progress of the next `time`; returns early with an event that ends the view.
    fn gather<E>(
        &mut self,
        wait: &mut dyn FnMut(Duration) -> Came<E>,
        time: Duration,
    ) -> Option<E> {
        let deadline = Instant::now() + time;
        loop {
            match wait(deadline.saturating_duration_since(Instant::now())) {
                Came::Progress(mut progress) => {
                    self.waiting = progress.preview.take().or(self.waiting.take());
                    self.view.take(progress, self.begun.elapsed());
                }
                Came::Event(event) => return Some(event),
                Came::Nothing if Instant::now() >= deadline => return None,
                Came::Nothing => {}
            }
        }
    }

    fn frame(&mut self, live: &mut Terminal<Live<'_>>) -> std::io::Result<()> {
        let due = self.previews.wanted() && self.pace.preview_due(self.begun.elapsed());
        let image = if due && live.ready() { self.waiting.take() } else { None };
        if let Some(image) = &image {
            self.make_room(live)?;
            let (columns, rows) = live.screen_size();
            let room = (columns / 3, live.rows().min(rows.saturating_sub(1)));
            if self.previews.take(image, room) {
                // The one before has another size: nothing of it may stay.
                live.resize(live.rows())?;
            }
        }
        self.view.elapsed = self.begun.elapsed();
        let before = Instant::now();
        let asked = self.draw(live, image.is_some())?;
        // A frame that waited for the process to come back says nothing about the terminal.
        let wrote = if restore::suspended() { Duration::ZERO } else { before.elapsed() };
        let spent = busy();
        let busy = spent.saturating_sub(self.busy);
        self.pace
            .learn(self.begun.elapsed(), Drawn { preview: image.is_some(), busy, wrote, asked });
        self.busy = spent;
        Ok(())
    }

    /// Draws the text, and a preview of pixels if it is `new` or must be painted again. Returns
    /// whether the terminal was asked to say when it has shown it.
    fn draw(&self, live: &mut Terminal<Live<'_>>, new: bool) -> std::io::Result<bool> {
        let again = live.settle()?;
        let width = live.width();
        let taken = self.previews.columns(width / 2);
        let column = width.saturating_sub(taken.saturating_sub(1));
        let painted = self.previews.bytes().filter(|_| taken > 0 && (new || again));
        let painted = painted.map(|bytes| (column, bytes));
        let asked = self.asks && painted.is_some();
        let draw = |frame: &mut Frame| {
            let area = frame.area();
            let text = Rect { width: area.width.saturating_sub(taken), ..area };
            self.view.text(text, frame.buffer_mut());
            self.previews.draw(area, frame.buffer_mut());
        };
        live.draw(draw, painted, asked)?;
        Ok(asked)
    }

    /// Grows the view once, for the first preview.
    fn make_room(&self, live: &mut Terminal<Live<'_>>) -> std::io::Result<()> {
        let rows = (live.screen_size().1 / 2).clamp(ROWS, ROWS_PREVIEW);
        if live.rows() < rows { live.resize(rows) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_picture_waits() {
        let (send, events) = channel();
        let picture = |v: f32| Tensor::full(v, (1, 1, 2, 2), &candle_core::Device::Cpu).unwrap();
        for (step, preview) in [(1, Some(picture(0.1))), (2, Some(picture(0.2))), (3, None)] {
            let progress = Progress { preview, ..Progress::new("x".into(), (step, 9)) };
            send.send(Event::Progress(progress)).unwrap();
        }
        send.send(Event::Done).unwrap();
        let view = View::new("x", Colour::None);
        let mut show = Show::new(view, Previews::new(&render::Terminal::plain("test")));
        assert!(show.gather(&mut |time| came(&events, time), Duration::from_secs(1)).is_some());
        assert_eq!(show.view.steps(), "3/9");
        let kept = show.waiting.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(kept, [0.2; 4]);
    }
}
