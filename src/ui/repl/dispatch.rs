//! The commands of the prompt: lines that begin with `:` or `?`.

use super::{Reader, Repl};
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use crate::lang::span::Source;
use crate::render::text::{cut, printable};
use crate::render::{self, Graphics, Painter, Protocol, Symbols};
use crate::safe::Safe;
use crate::session::recall::numbered;
use crate::session::script::{cells_of, script};
use crate::session::{Cell, Reply, Request, Setting, Status, in_force, is_result};
use crate::ui::commands::{self, Command};
use crate::ui::compare::{self, Comparison};
use crate::ui::screen::Theme;
use crate::ui::{Keys, doctor, format, help, pager, screen};
use crate::value::{Image, Value};
use crate::words;
use candle_core::Device;

/// Lines that `:history WORDS` lists.
const FOUND: usize = 20;

impl Repl {
    pub(super) fn command(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Help => self.read_out(help::overview()),
            Command::About(name, None) if name.is_empty() => self.read_out(help::list()),
            Command::About(name, None) => self.read_out(help::about(&name, &self.directions())),
            Command::About(name, Some(n)) => self.example(&name, n),
            Command::Undo(n) => {
                self.moved(&Request::Undo, n, ("taken back", "nothing to take back"))
            }
            Command::Redo(n) => {
                self.moved(&Request::Redo, n, ("in force again", "nothing to bring back"))
            }
            Command::History(None) => self.history(),
            Command::History(Some(words)) => self.found(&words),
            Command::Save(path, force) => self.save(&path, force),
            Command::Open(path) => self.open(&path),
            Command::Run => self.run_ready(),
            Command::Drop => {
                let n = std::mem::take(&mut self.ready).len();
                self.say([format!("{} dropped", words::count(n, "cell"))])
            }
            Command::Rerun => {
                self.ask(Request::Fetch)?;
                if self.now().missing.iter().all(|n| is_result(n)) {
                    self.say(["all values are available"])
                } else {
                    Ok(())
                }
            }
            Command::Set(None) => self.settings(),
            Command::Set(Some((key, value))) => self.set(&key, &value),
            Command::Doctor => {
                let now = self.now();
                let terminal = &self.runner.painter.terminal;
                let device = now.state.models().device();
                self.say(doctor::report(terminal, device, &now.state.options.cache))
            }
            Command::Cache(clear) => self.cache(clear),
            Command::Details(name) => self.details(name),
            Command::Redraw(cell, width) => self.redraw(cell, width),
            Command::Zoom(cell) => self.zoom(cell),
            Command::View(names) => self.view(&names),
            Command::Sessions => self.sessions(),
            Command::Resume(wanted) => self.resume(wanted),
            Command::Quit => Ok(()),
        }
    }

    /// Shows lines of help; where they are more than the screen has, on the full screen.
    fn read_out(&mut self, lines: Vec<String>) -> Result<()> {
        let rows = usize::from(self.runner.terminal.size().1);
        if lines.len() < rows || !self.interactive() || !self.runner.full_screens() {
            return self.say(lines);
        }
        let able = self.runner.painter.terminal.clone();
        pager::page(&mut self.runner.terminal, &able, lines)
    }

    fn example(&mut self, name: &str, n: usize) -> Result<()> {
        let directions = self.directions();
        match help::example(name, n, &directions) {
            Some(code) if self.interactive() => {
                self.ready.push_front(code);
                Ok(())
            }
            Some(code) => self.say([code]),
            None => self.say(help::about(name, &directions)),
        }
    }

    /// The directions of the current generator.
    fn directions(&self) -> Vec<String> {
        let now = self.now();
        let facts = now.state.model.as_ref().map(|m| m.facts.clone());
        facts.map_or_else(Vec::new, |f| f.directions.keys().cloned().collect())
    }

    fn moved(&mut self, request: &Request, n: usize, (done, nothing): (&str, &str)) -> Result<()> {
        for k in 0..n {
            let Reply::Moved(Some(cell)) = self.ask(request.clone())? else {
                return if k == 0 { self.say([nothing]) } else { Ok(()) };
            };
            let first = cell.source.lines().next().unwrap_or_default();
            self.say([cut(&format!("[{}] {done}: {}", cell.id, printable(first)), 79)])?;
        }
        Ok(())
    }

    fn history(&mut self) -> Result<()> {
        let log = &self.now().log;
        let mut lines: Vec<String> = log.cells().iter().map(|c| numbered(c)).collect();
        lines.extend(log.undone().iter().rev().map(|c| format!("{}   # taken back", numbered(c))));
        if lines.is_empty() {
            lines.push("no cells yet".to_owned());
        }
        // A long line would push the others off the screen.
        let columns = usize::from(self.runner.terminal.size().0);
        self.say(lines.iter().flat_map(|l| l.lines()).map(|l| cut(l, columns)).collect::<Vec<_>>())
    }

    /// The latest lines of all sessions that hold these words, each once.
    fn found(&mut self, words: &str) -> Result<()> {
        let columns = usize::from(self.runner.terminal.size().0);
        let Reader::Person(editor) = &self.reader else {
            return self.say(["lines are kept at a terminal only"]);
        };
        let mut lines: Vec<String> =
            editor.find(words, FOUND).iter().map(|entry| cut(&printable(entry), columns)).collect();
        if lines.is_empty() {
            lines.push(format!("no line holds {}", Safe(words)));
        }
        self.say(lines)
    }

    fn save(&mut self, path: &std::path::Path, force: bool) -> Result<()> {
        let now = self.now();
        let cells = now.log.cells();
        let text = script(cells, &now.model, now.state.options.seed, path);
        let count = cells.iter().filter(|c| in_force(c)).count();
        self.written.save(path, &text, force)?;
        let shown = Safe(&path.to_string_lossy()).to_string();
        self.say([format!("{} saved: gannet run {shown}", words::count(count, "cell"))])
    }

    fn open(&mut self, path: &std::path::Path) -> Result<()> {
        let cells = match cells_of(path) {
            Ok(cells) => cells,
            Err((Some(source), e)) => {
                self.failed = true;
                return self.complain(&source, &e);
            }
            Err((None, e)) => return Err(e),
        };
        let (shown, count) = (Safe(&path.to_string_lossy()).to_string(), cells.len());
        self.ready = cells.into();
        self.say([format!(
            "{} of {shown} ready, none has run: Enter runs the next, :run all, :drop forgets them",
            words::count(count, "cell")
        )])
    }

    fn run_ready(&mut self) -> Result<()> {
        while let Some(text) = self.ready.pop_front() {
            if self.interactive() {
                let cell = Cell::new(self.now().log.next_id(), text.clone(), Status::Ok);
                self.say(numbered(&cell).lines())?;
            }
            if !self.entry(text)? && !self.ready.is_empty() {
                let left = words::count(self.ready.len(), "cell");
                return self
                    .say([format!("{left} still ready: Enter runs the next, :drop forgets them")]);
            }
        }
        Ok(())
    }

    fn settings(&mut self) -> Result<()> {
        let o = &self.now().state.options;
        let echo = if o.echo { "on" } else { "off" };
        let terminal = &self.runner.painter.terminal;
        let width = terminal.picture_width.map_or_else(|| "auto".into(), |w| w.to_string());
        let lines = [
            format!("seed      {}", o.seed),
            format!("graphics  {}", terminal.summary()),
            format!("symbols   {}", terminal.symbols.name()),
            format!("width     {width}"),
            format!("echo      {echo}"),
            format!("theme     {}", if screen::theme() == Theme::Light { "light" } else { "dark" }),
        ];
        self.say(lines)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let wrong = |wants: &str| {
            let message = format!("`{}` is not a value of {key}", Safe(value));
            Err(Error::new(Kind::Usage, message).hint(format!(":set {key} {wants}")))
        };
        match key {
            "seed" => match value.parse::<u64>() {
                // Above 2^53, a number of the language no longer represents every integer.
                Ok(seed) if seed <= 1 << 53 => drop(self.ask(Request::Set(Setting::Seed(seed)))?),
                _ => return wrong("7"),
            },
            "echo" => match value {
                "on" => drop(self.ask(Request::Set(Setting::Echo(true)))?),
                "off" => drop(self.ask(Request::Set(Setting::Echo(false)))?),
                _ => return wrong("on"),
            },
            "keys" | "vi" | "emacs" => {
                let keys = match (key, value) {
                    ("keys", "vi") | ("vi", "") => Keys::Vi,
                    ("keys", "emacs") | ("emacs", "") => Keys::Emacs,
                    _ => return wrong("vi"),
                };
                if let Reader::Person(editor) = &mut self.reader {
                    editor.set_keys(keys);
                }
            }
            "graphics" => self.graphics(value.parse()?)?,
            "symbols" => {
                self.symbols = Symbols::choice(value)?;
                self.graphics(self.asked)?;
            }
            "theme" => screen::set_theme(value.parse()?),
            "width" => match value.parse() {
                _ if value == "auto" => self.runner.painter.terminal.picture_width = None,
                Ok(columns @ 1..=1000) => {
                    self.runner.painter.terminal.picture_width = Some(columns);
                }
                _ => return wrong("60"),
            },
            _ => {
                let keys = commands::KEYS.map(|k| k.0).join(", ");
                let message = format!("there is no setting called {}", Safe(key));
                return Err(Error::new(Kind::Usage, message).hint(format!("one of {keys}")));
            }
        }
        Ok(())
    }

    fn graphics(&mut self, graphics: Graphics) -> Result<()> {
        self.asked = graphics;
        let symbols = self.symbols;
        let mut found =
            render::probe(&render::Options { graphics, symbols, ..render::Options::default() });
        found.terminal.picture_width = self.runner.painter.terminal.picture_width;
        self.runner.terminal.type_ahead(&String::from_utf8_lossy(&found.typed));
        let words = found.terminal.protocol == Protocol::Words;
        self.runner.painter = Painter::printing(found.terminal);
        self.ask(Request::Set(Setting::Describe(words)))?;
        let summary = self.runner.painter.terminal.summary();
        self.say([summary])
    }

    fn cache(&mut self, clear: bool) -> Result<()> {
        let cache = self.now().state.options.cache.clone();
        let failed = |e: &std::io::Error| Error::io("cannot read or clear the cache", e);
        let Some(report) = cache.report().map_err(|e| failed(&e))? else {
            return self.say(["the cache is off: everything is computed each time"]);
        };
        if clear {
            let held = cache.clear().map_err(|e| failed(&e))?;
            let bytes = words::bytes(held.bytes);
            return self.say([format!("removed: {}, {bytes}", words::count(held.files, "result"))]);
        }
        let hits = match report.hits {
            0 => "none so far".to_owned(),
            n => format!("{n}, which took {} to compute", format::time(report.saved)),
        };
        self.say([
            format!("place    {}", Safe(&report.folder.to_string_lossy())),
            format!("holds    {}", doctor::held(&report)),
            format!("cached   {hits}"),
        ])
    }

    fn details(&mut self, name: Option<String>) -> Result<()> {
        match self.ask(Request::Details(name))? {
            Reply::Details(Some(blocks)) => self.paint(&blocks),
            _ => self.say(["no result has details yet: r = invert(image(\"me.jpg\"))"]),
        }
    }

    /// Shows values, or the pictures of a cell, on the full screen.
    fn view(&mut self, names: &[String]) -> Result<()> {
        if let [number] = names
            && let Ok(cell) = number.parse()
        {
            let blocks = self.results(Some(cell))?;
            let tables = compare::tabled(&blocks);
            let found = compare::of_pictures(compare::captioned(&blocks), &tables)?;
            return self.compare(found, &[]);
        }
        let last = || self.now().last_inversion().into_iter().collect();
        let names: Vec<String> = if names.is_empty() { last() } else { names.to_vec() };
        if names.is_empty() {
            return self.say(["no inversion yet: r = invert(image(\"me.jpg\"))"]);
        }
        if names.iter().flat_map(|n| mentioned(n)).any(|n| self.now().missing.contains(n)) {
            self.ask(Request::Fetch)?;
        }
        let mut values = Vec::new();
        for name in &names {
            match self.now().state.names.get(name) {
                Some(value) if compare::is_compared(value) => {
                    values.push((name.clone(), value.clone()));
                }
                _ => match self.drawn(name)? {
                    Some(drawn) => values.extend(drawn),
                    None => return Ok(()),
                },
            }
        }
        self.compare(compare::of_values(&values)?, &values)
    }

    /// The pictures that an expression shows, each with its name; `None` when it failed, which is
    /// shown.
    fn drawn(&mut self, expression: &str) -> Result<Option<Vec<(String, Value)>>> {
        let source = Source::new(":view", format!("show {expression}"))?;
        let given = match self.runner.collect(&source) {
            Err(e) if e.kind() == Kind::Closed => return Err(e),
            Err(e) => {
                self.failed = true;
                return self.complain(&source, &e).map(|()| None);
            }
            Ok(given) => given,
        };
        let pictures = compare::pictures(&given);
        let several = pictures.len() > 1;
        let one = |(k, raster): (usize, Raster)| {
            let image = Image::new(raster.to_tensor(&Device::Cpu)?, "view");
            let number = if several { format!("[{k}]") } else { String::new() };
            Ok((format!("{expression}{number}"), Value::Image(image)))
        };
        if pictures.is_empty() {
            let text = format!("{} shows no picture", Safe(expression));
            return Err(Error::new(Kind::Usage, text)
                .hint("what show draws can be looked at: :view x, r + 2*smile"));
        }
        pictures.into_iter().enumerate().map(one).collect::<Result<_>>().map(Some)
    }

    /// Shows a comparison of these values on the full screen.
    fn compare(&mut self, mut all: Comparison, values: &[(String, Value)]) -> Result<()> {
        compare::read(&mut all, values, &self.now().state)?;
        self.runner.compare(all)
    }
}

/// The words of an expression that may be names.
fn mentioned(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}
