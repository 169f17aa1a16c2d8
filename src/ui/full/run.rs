//! Runs a full-screen program: inputs, the session's events, and frames when something changed.

use super::canvas::Canvas;
use super::keys::Input;
use crate::error::Result;
use crate::ui::signals::Signals;
use crossterm::event::{Event, KeyCode, KeyModifiers};
use std::time::Duration;

/// Time between two looks at the session while it works.
const BUSY: Duration = Duration::from_millis(16);
/// Time between two looks at the size of the screen and at signals.
const IDLE: Duration = Duration::from_millis(100);

/// What must be drawn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// A live picture, which may wait until the terminal has shown the one before.
    Live,
    /// Anything else.
    All,
}

/// A full-screen program.
pub trait App {
    /// Handles a key, a paste, the mouse, a change of focus or size. Ctrl-Z does not come here.
    fn input(&mut self, event: &Event);

    /// Takes what happened elsewhere since the last call, such as the events of a session. Called
    /// about every 16 ms while [`App::busy`], else about ten times a second.
    fn tick(&mut self);

    /// Whether work runs whose events must be taken soon.
    fn busy(&self) -> bool;

    /// What changed since the last call of [`App::draw`].
    fn change(&self) -> Change;

    /// Draws a whole frame.
    fn draw(&mut self, canvas: &mut Canvas<'_>);

    /// A signal asks the program to end (SIGTERM, SIGHUP): it saves what it must and stops its
    /// work.
    fn end(&mut self);

    /// Whether the program is over.
    fn over(&self) -> bool;
}

/// Where a program gets its inputs and draws: a terminal, or a test.
pub trait Stage {
    /// The inputs that come within `wait`.
    ///
    /// # Errors
    /// `Closed` when the terminal is gone.
    fn inputs(&mut self, wait: Duration) -> Result<Vec<Input>>;

    /// Draws a frame.
    ///
    /// # Errors
    /// `Closed` when the terminal is gone; when a picture cannot be encoded.
    fn draw(&mut self, draw: &mut dyn FnMut(&mut Canvas<'_>)) -> Result<()>;

    /// Whether the terminal has shown the last live picture.
    fn ready(&self) -> bool;

    /// Draws the next frame as a whole.
    fn again(&mut self);

    /// Whether the next frame must be drawn although the program did not change.
    fn stale(&self) -> bool;

    /// Suspends the process, and returns when it is in the foreground again.
    fn suspend(&mut self);

    /// The signals of the process; `None` in tests.
    fn signals(&self) -> Option<&'static Signals> {
        None
    }
}

/// Runs a program until it is over. Ctrl-Z suspends the process, Ctrl-L draws the whole screen
/// again. When a signal asks the process to end, or the terminal is gone, the program is told to
/// end first.
///
/// # Errors
/// `Closed` when the terminal is gone; as [`Stage::draw`].
pub fn run(app: &mut dyn App, stage: &mut dyn Stage) -> Result<()> {
    let ran = turns(app, stage);
    if ran.is_err() {
        app.end();
    }
    ran
}

fn turns(app: &mut dyn App, stage: &mut dyn Stage) -> Result<()> {
    stage.draw(&mut |canvas| app.draw(canvas))?;
    let mut asked = false;
    while !app.over() {
        let wait = if app.busy() { BUSY } else { IDLE };
        for input in stage.inputs(wait)? {
            match input {
                Input::Event(event) if control(&event, 'z') => stage.suspend(),
                Input::Event(event) => {
                    if control(&event, 'l') {
                        stage.again();
                    }
                    app.input(&event);
                }
                Input::Ready => {}
            }
        }
        app.tick();
        if !asked && stage.signals().is_some_and(Signals::ended) {
            asked = true;
            app.end();
        }
        let change = app.change();
        if stage.stale() || change == Change::All || (change == Change::Live && stage.ready()) {
            stage.draw(&mut |canvas| app.draw(canvas))?;
        }
    }
    Ok(())
}

/// Whether an event is this letter with Ctrl.
pub fn control(event: &Event, letter: char) -> bool {
    matches!(event, Event::Key(k)
        if k.code == KeyCode::Char(letter) && k.modifiers == KeyModifiers::CONTROL)
}
