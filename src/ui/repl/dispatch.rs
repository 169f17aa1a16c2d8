//! The commands of the prompt: lines that begin with `:` or `?`.

use super::{Reader, Repl};
use crate::error::{Error, Kind, Result};
use crate::render::text::{cut, printable};
use crate::render::{self, Graphics, Painter};
use crate::safe::Safe;
use crate::session::recall::numbered;
use crate::session::script::{cells_of, script};
use crate::session::{Cell, Reply, Request, Setting, Status, in_force};
use crate::ui::commands::{self, Command};
use crate::ui::{Keys, compare, doctor, help};
use crate::value::Value;

impl Repl {
    pub(super) fn command(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Help => self.say(help::overview()),
            Command::About(name, None) if name.is_empty() => self.say(help::list()),
            Command::About(name, None) => self.say(help::about(&name)),
            Command::About(name, Some(n)) => self.example(&name, n),
            Command::Undo => self.moved(Request::Undo, "taken back", "nothing to take back"),
            Command::Redo => self.moved(Request::Redo, "in force again", "nothing to bring back"),
            Command::History => self.history(),
            Command::Save(path, force) => self.save(&path, force),
            Command::Open(path) => self.open(&path),
            Command::Run => self.run_ready(),
            Command::Drop => {
                let n = std::mem::take(&mut self.ready).len();
                self.say([format!("{n} cells dropped")])
            }
            Command::Rerun => {
                self.ask(Request::Fetch)?;
                if self.now().missing.is_empty() {
                    self.say(["all values are available"])
                } else {
                    Ok(())
                }
            }
            Command::Set(None) => self.settings(),
            Command::Set(Some((key, value))) => self.set(&key, &value),
            Command::Doctor => {
                let now = self.now();
                self.say(doctor::report(&self.runner.painter.terminal, now.state.models().device()))
            }
            Command::Details(name) => self.details(name),
            Command::View(names) => self.view(&names),
            Command::Sessions => self.sessions(),
            Command::Resume(wanted) => self.resume(wanted),
            Command::Quit => Ok(()),
        }
    }

    fn example(&mut self, name: &str, n: usize) -> Result<()> {
        match help::example(name, n) {
            Some(code) if self.interactive() => {
                self.ready.push_front(code.to_owned());
                Ok(())
            }
            Some(code) => self.say([code]),
            None => self.say(help::about(name)),
        }
    }

    fn moved(&mut self, request: Request, done: &str, nothing: &str) -> Result<()> {
        let Reply::Moved(Some(cell)) = self.ask(request)? else { return self.say([nothing]) };
        let first = cell.source.lines().next().unwrap_or_default();
        self.say([cut(&format!("[{}] {done}: {}", cell.id, printable(first)), 79)])
    }

    fn history(&mut self) -> Result<()> {
        let log = &self.now().log;
        let mut lines: Vec<String> = log.cells().iter().map(|c| numbered(c)).collect();
        lines.extend(log.undone().iter().rev().map(|c| format!("{}   # taken back", numbered(c))));
        if lines.is_empty() {
            lines.push("no cells yet".to_owned());
        }
        self.say(lines.iter().flat_map(|l| l.lines()))
    }

    fn save(&mut self, path: &std::path::Path, force: bool) -> Result<()> {
        let now = self.now();
        let cells = now.log.cells();
        let text = script(cells, &now.model, now.state.options.seed);
        let count = cells.iter().filter(|c| in_force(c)).count();
        self.written.save(path, &text, force)?;
        let shown = Safe(&path.to_string_lossy()).to_string();
        self.say([format!("{count} cells saved: gannet run {shown}")])
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
            "{count} cells of {shown} are ready and have not run: Enter runs the next, :run all, \
             :drop forgets them"
        )])
    }

    fn run_ready(&mut self) -> Result<()> {
        while let Some(text) = self.ready.pop_front() {
            if self.interactive() {
                let cell = Cell::new(self.now().log.next_id(), text.clone(), Status::Ok);
                self.say(numbered(&cell).lines())?;
            }
            if !self.entry(text)? && !self.ready.is_empty() {
                let left = self.ready.len();
                return self.say([format!(
                    "{left} cells are still ready: Enter runs the next, :drop forgets them"
                )]);
            }
        }
        Ok(())
    }

    fn settings(&mut self) -> Result<()> {
        let o = &self.now().state.options;
        let echo = if o.echo { "on" } else { "off" };
        let lines = [
            format!("seed      {}", o.seed),
            format!("graphics  {}", self.runner.painter.terminal.summary()),
            format!("echo      {echo}"),
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
            _ => {
                let keys = commands::KEYS.map(|k| k.0).join(", ");
                let message = format!("there is no setting called {}", Safe(key));
                return Err(Error::new(Kind::Usage, message).hint(format!("one of {keys}")));
            }
        }
        Ok(())
    }

    fn graphics(&mut self, graphics: Graphics) -> Result<()> {
        let symbols = self.runner.painter.terminal.symbols;
        let found =
            render::probe(&render::Options { graphics, symbols, ..render::Options::default() });
        self.runner.terminal.type_ahead(&String::from_utf8_lossy(&found.typed));
        self.runner.painter = Painter::printing(found.terminal);
        let summary = self.runner.painter.terminal.summary();
        self.say([summary])
    }

    fn details(&mut self, name: Option<String>) -> Result<()> {
        match self.ask(Request::Details(name))? {
            Reply::Details(Some(blocks)) => self.paint(&blocks),
            _ => self.say(["no inversion yet: r = invert(image(\"me.jpg\"))"]),
        }
    }

    /// Compares values on the full screen.
    fn view(&mut self, names: &[String]) -> Result<()> {
        let now = self.now();
        let state = &now.state.names;
        let named = |name: &String| match state.get(name) {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(Error::new(Kind::Usage, format!("there is no value {}", Safe(name)))
                .hint("names of pictures and inversions")),
        };
        let mut values = names.iter().map(named).collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            let last = now.log.cells().iter().rev().filter(|c| in_force(c)).find_map(|c| {
                let inverted = |n: &&String| matches!(state.get(*n), Some(Value::Inversion(_)));
                state.keys().filter(inverted).find(|n| c.source.starts_with(n.as_str()))
            });
            values.extend(last.map(|n| named(n)).transpose()?);
        }
        if values.is_empty() {
            return self.say(["no inversion yet: r = invert(image(\"me.jpg\"))"]);
        }
        let comparison = compare::of_values(&values)?;
        self.runner.compare(comparison)
    }

    fn sessions(&mut self) -> Result<()> {
        let here = self.now().journal.clone();
        let mut lines = Vec::new();
        for s in self.runner.session.sessions()? {
            let mark = if Some(&s.path) == here.as_ref() { "*" } else { " " };
            let model = s.header.model.split(' ').next().unwrap_or_default();
            lines.push(printable(&format!(
                "{mark} {}  {:>4} records  {model}",
                s.header.session, s.records
            )));
        }
        match (lines.is_empty(), self.runner.session.folder()) {
            (true, None) => {
                lines.push("sessions are not kept here: set HOME or GANNET_STATE".to_owned())
            }
            (true, Some(_)) => lines.push("no sessions yet".to_owned()),
            _ => lines.push(":resume SESSION continues a session".to_owned()),
        }
        self.say(lines)
    }
}
