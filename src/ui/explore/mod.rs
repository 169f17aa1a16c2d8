//! The screen of sliders: `gannet explore`, and `explore(…)` at the prompt or in a notebook.
//!
//! [`Explorer`] is the program on a full screen; the exploration itself is in
//! [`crate::session::explore`]. Keys are in `keys.rs`, the layout is in `view.rs`.

mod keys;
mod layers;
mod map_view;
mod panel;
mod view;
mod wishes;

use super::full::{self, App, Canvas, Change};
use super::{Line, Terminal};
use crate::builtin::Exploration;
use crate::error::Result;
use crate::render;
use crate::safe::Safe;
use crate::session::explore::{Model, Move, Pin, Renderer, Row, Subject};
use crate::session::script::{Written, script};
use crate::session::{Chosen, Snapshot};
use crossterm::event::Event;
use ratatui::layout::Rect;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time that a tick waits for a picture which is nearly done.
const PATIENCE: Duration = Duration::from_millis(12);
/// Time between two strides of a playing walk.
const STRIDE: Duration = Duration::from_millis(40);
/// Most scripts that are saved in one folder.
const SCRIPTS: usize = 1000;

/// What the large picture shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shows {
    /// The settings now.
    #[default]
    Now,
    /// Before the edits on the left, now on the right.
    Split,
    /// Before the edits.
    Before,
}

/// How a screen ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the code now.
    Take,
    /// With the code as it was given.
    Leave,
}

/// Where scripts go, and what they begin with.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    /// The first lines: they load the generator, and what the prompt did before.
    pub preamble: String,
    /// The folder.
    pub folder: PathBuf,
}

/// An exploration on a screen.
pub struct Explorer {
    model: Model,
    renderer: Renderer,
    pictures: wishes::Pictures,
    shows: Shows,
    /// Whether the map is open.
    map: bool,
    /// The layer inspector.
    layers: layers::Layers,
    /// Whether the keys are explained.
    help: bool,
    playing: bool,
    strode: Instant,
    /// Time of the last input: numbers are computed after a pause.
    touched: Instant,
    message: String,
    /// Whether the last key was an Esc that would drop changes.
    warned: bool,
    scripts: Scripts,
    written: Written,
    saved: Option<PathBuf>,
    end: Option<End>,
    change: Change,
    /// The tracks on the screen, for the mouse.
    tracks: Vec<(Rect, Row)>,
    /// The track that is being dragged.
    dragged: Option<(Rect, Row)>,
    /// First row of the panel that is shown.
    first: usize,
    /// Columns and rows of the map's window, as last drawn.
    window: (usize, usize),
    /// Size of the picture, as last drawn.
    room: (u16, u16),
}

impl Explorer {
    /// Puts an exploration on a screen.
    pub fn new(model: Model, renderer: Renderer, scripts: Scripts) -> Self {
        let now = Instant::now();
        Self {
            model,
            renderer,
            pictures: wishes::Pictures::default(),
            shows: Shows::default(),
            map: false,
            layers: layers::Layers::default(),
            help: false,
            playing: false,
            strode: now,
            touched: now,
            message: String::new(),
            warned: false,
            scripts,
            written: Written::default(),
            saved: None,
            end: None,
            change: Change::All,
            tracks: Vec::new(),
            dragged: None,
            first: 0,
            window: (1, 1),
            room: (1, 1),
        }
    }

    /// Puts a call of `explore` in a cell on a screen. Its scripts begin with the cells before.
    ///
    /// # Errors
    /// When the generator cannot be read, or the session of the exploration cannot be started.
    pub fn of_call(what: &Exploration, now: &Snapshot) -> Result<Self> {
        let (subject, bound) = Subject::of(what, &now.state)?;
        let renderer = Renderer::new(&now.state, bound)?;
        let place = now.state.options.out.join("explored.gnt");
        let before = script(now.log.cells(), &now.model, now.state.options.seed, &place);
        let scripts = Scripts {
            preamble: format!("{before}\n#%% explored\n"),
            folder: now.state.options.out.clone(),
        };
        Ok(Self::new(Model::new(subject), renderer, scripts))
    }

    /// Makes a change to the exploration.
    fn make(&mut self, change: Move) {
        self.model.make(change);
        self.touched = Instant::now();
        self.change = Change::All;
    }

    fn say(&mut self, line: impl Into<String>) {
        self.message = line.into();
        self.change = Change::All;
    }

    /// Writes the script: to a new file, then to the same one as long as it is unchanged.
    fn save(&mut self) {
        let text = self.model.script(&self.scripts.preamble);
        let path = |k: usize| self.scripts.folder.join(format!("explore-{k}.gnt"));
        let fresh = (1..SCRIPTS).map(path).find(|p| !p.exists());
        let Some(path) = self.saved.clone().or(fresh) else {
            return self.say("there are too many scripts in this folder");
        };
        let shown = Safe(&path.to_string_lossy()).to_string();
        match self.written.save(&path, &text, false) {
            Ok(()) => {
                self.saved = Some(path);
                self.say(format!("saved: gannet run {shown}"));
            }
            Err(e) => {
                // A file that another program changed stays; the next save takes a new one.
                self.saved = None;
                self.say(e.message().to_owned());
            }
        }
    }

    /// The code that was chosen, and the script of the settings; `None` when the exploration was
    /// left without taking it.
    ///
    /// # Errors
    /// When the code cannot be computed.
    pub fn chosen(&mut self) -> Result<Option<Chosen>> {
        if self.end == Some(End::Leave) || self.end.is_none() {
            return Ok(None);
        }
        let code = self.renderer.code(&self.model)?;
        Ok(Some(Chosen { code, written: self.model.written() }))
    }
}

impl App for Explorer {
    fn input(&mut self, event: &Event) {
        self.touched = Instant::now();
        self.change = Change::All;
        self.handle(event);
    }

    fn tick(&mut self) {
        if self.playing && self.strode.elapsed() >= STRIDE && !self.renderer.busy() {
            self.strode = Instant::now();
            self.make(Move::Stroll);
        }
        let wishes = self.wishes();
        if let Err(e) = self.renderer.want(&wishes) {
            self.say(e.message().to_owned());
        }
        let urgent = wishes.first().is_some_and(|p| self.renderer.answer(p).is_none());
        let patience = if urgent { PATIENCE } else { Duration::ZERO };
        if self.renderer.take(patience) {
            self.change = self.change.max(Change::Live);
            // What is wanted next runs while the picture is drawn.
            let next = self.wishes();
            if let Err(e) = self.renderer.want(&next) {
                self.say(e.message().to_owned());
            }
        }
    }

    fn busy(&self) -> bool {
        self.renderer.busy() || self.playing
    }

    fn change(&self) -> Change {
        self.change
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        self.change = Change::None;
        self.paint(canvas);
    }

    fn end(&mut self) {
        // A signal: nothing was chosen.
        self.end.get_or_insert(End::Leave);
    }

    fn over(&self) -> bool {
        self.end.is_some()
    }
}

/// Explores on a full screen until the user leaves. Returns the code that was chosen, `None` for
/// none, and the script of the last settings.
///
/// # Errors
/// Without an interactive terminal, when it is gone, and when the chosen code cannot be computed.
pub fn explore(
    terminal: &mut Terminal<Line>,
    able: &render::Terminal,
    mut explorer: Explorer,
) -> Result<(Option<Chosen>, String)> {
    {
        let mut screen = terminal.full(able)?;
        full::run(&mut explorer, &mut screen)?;
    }
    let chosen = explorer.chosen()?;
    let script = explorer.model.script(&explorer.scripts.preamble);
    Ok((chosen, script))
}

/// The name of a code in the status line.
fn named(pin: Pin) -> String {
    match pin {
        Pin::Given => "the code given".to_owned(),
        Pin::Seed(seed) => format!("seed {seed}"),
    }
}

#[cfg(test)]
mod tests;
