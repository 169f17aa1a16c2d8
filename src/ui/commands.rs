//! The commands of the prompt, which begin with `:`.

use crate::error::{Error, Kind, Result};
use crate::lang::suggest::near;
use crate::safe::Safe;
use std::path::PathBuf;

/// A command of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    /// `?name`, with the number of an example to put on the prompt.
    About(String, Option<usize>),
    /// So many cells.
    Undo(usize),
    /// So many cells.
    Redo(usize),
    /// The cells of this session, or the lines of all sessions with these words.
    History(Option<String>),
    /// The file, and whether to replace a file that this session did not write.
    Save(PathBuf, bool),
    Open(PathBuf),
    /// Runs the cells that `:open` put on the prompt.
    Run,
    /// Drops the cells that `:open` put on the prompt.
    Drop,
    Rerun,
    Set(Option<(String, String)>),
    Doctor,
    /// The cache; whether to clear it.
    Cache(bool),
    Details(Option<String>),
    /// The cell, the latest one without a number; and the width of its pictures in columns.
    Redraw(Option<u64>, Option<u16>),
    Zoom(Option<u64>),
    /// The expressions whose pictures are compared on the full screen, or the number of a cell;
    /// none: the last inversion.
    View(Vec<String>),
    Sessions,
    Resume(Option<String>),
    Quit,
}

/// A command in help and completion.
pub struct Entry {
    /// The command itself.
    pub name: &'static str,
    /// The command with its arguments.
    pub usage: &'static str,
    /// What it does.
    pub about: &'static str,
}

const fn entry(name: &'static str, usage: &'static str, about: &'static str) -> Entry {
    Entry { name, usage, about }
}

/// All commands, in the order of help.
pub const ALL: [Entry; 20] = [
    entry(":help", ":help", "this help; ?name explains a function, ? lists them all"),
    entry(
        ":undo",
        ":undo [N]",
        "takes back the last cell that changed something, or the last N of them",
    ),
    entry(":redo", ":redo [N]", "brings back what was taken back last"),
    entry(
        ":history",
        ":history [WORDS]",
        "the cells of this session; with words, the lines of all sessions that hold them",
    ),
    entry(":save", ":save FILE.gnt", "the cells in force as a script; :save! replaces any file"),
    entry(
        ":open",
        ":open FILE.gnt",
        "reads a script's cells without running them: Enter runs the next",
    ),
    entry(":run", ":run", "runs all remaining cells of :open"),
    entry(":drop", ":drop", "drops the remaining cells of :open"),
    entry(":rerun", ":rerun", "computes all missing values of a resumed session now"),
    entry(":set", ":set KEY VALUE", "changes a setting; alone it shows them all"),
    entry(":doctor", ":doctor", "checks the terminal, the machine and the files"),
    entry(
        ":cache",
        ":cache [clear]",
        "results kept from run to run: place, size, and what came from there",
    ),
    entry(
        ":details",
        ":details [NAME]",
        "more of the last result: losses, definitions, whole origins; or of NAME",
    ),
    entry(
        ":redraw",
        ":redraw [N] [width: W]",
        "draws the results of cell N, or the last, again; W columns wide",
    ),
    entry(":zoom", ":zoom [N]", "draws the pictures of cell N, or the last, as large as fits"),
    entry(
        ":view",
        ":view [N | VALUE, …]",
        "full screen: an inversion, a ladder, codes and pictures to compare, or cell N",
    ),
    entry(":sessions", ":sessions", "the sessions kept on this machine"),
    entry(":resume", ":resume [SESSION]", "continues another session; without a name, the latest"),
    entry(":quit", ":quit", "ends; the session is kept (also Ctrl-D)"),
    entry("?", "?NAME [N]", "explains a function; N puts its N-th example on the prompt"),
];

/// The settings of `:set`.
pub(super) const KEYS: [(&str, &str); 7] = [
    ("seed", "seed of all random functions: a whole number"),
    ("graphics", "auto, kitty, iterm, sixel, blocks, words (a sentence about each) or none"),
    ("symbols", "characters of block pictures: auto, half, quad or sextant"),
    ("width", "width of pictures in columns, or auto: as large as the window allows"),
    ("echo", "on: `name = value` shows the value; off: it does not"),
    ("keys", "emacs or vi"),
    ("theme", "colours of the prompt: dark or light, as the background of the terminal"),
];

/// The values of a setting that has few.
pub(super) fn values(key: &str) -> &'static [&'static str] {
    match key {
        "graphics" => &["auto", "kitty", "iterm", "sixel", "blocks", "words", "none"],
        "symbols" => &["auto", "half", "quad", "sextant"],
        "width" => &["auto"],
        "echo" => &["on", "off"],
        "keys" => &["emacs", "vi"],
        "theme" => &["dark", "light"],
        _ => &[],
    }
}

/// Whether this is the name of a command.
pub(super) fn is_known(word: &str) -> bool {
    matches!(word, ":q" | ":save!") || ALL.iter().any(|e| e.name == word)
}

/// Usage of the command at the beginning of the line, once its name is complete.
pub(super) fn usage_of(line: &str) -> Option<String> {
    let (name, _) = line.trim_start().split_once(' ')?;
    let entry = ALL.iter().find(|e| e.name == name.trim_end_matches('!'))?;
    Some(format!("{}  {}", entry.usage, entry.about))
}

/// Parses a line that begins with `:` or `?`.
///
/// # Errors
/// For an unknown command or a missing argument, with a hint.
pub(super) fn parse(line: &str) -> Result<Command> {
    let line = line.trim();
    if let Some(topic) = line.strip_prefix('?') {
        return Ok(about(topic.trim()));
    }
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let optional = (!argument.is_empty()).then(|| argument.to_owned());
    Ok(match name {
        ":help" | ":h" => Command::Help,
        ":undo" => Command::Undo(times(name, argument)?),
        ":redo" => Command::Redo(times(name, argument)?),
        ":history" => Command::History(optional),
        ":save" | ":save!" => {
            let (path, force) = match argument.strip_suffix(" !") {
                Some(path) => (path.trim(), true),
                None => (argument, name == ":save!"),
            };
            Command::Save(file(name, path)?, force)
        }
        ":open" => Command::Open(file(name, argument)?),
        ":run" => Command::Run,
        ":drop" => Command::Drop,
        ":rerun" => Command::Rerun,
        ":set" => Command::Set(optional.map(|a| {
            let (key, value) = a.split_once(char::is_whitespace).unwrap_or((&a, ""));
            (key.to_owned(), value.trim().to_owned())
        })),
        ":doctor" => Command::Doctor,
        ":cache" => match argument {
            "" => Command::Cache(false),
            "clear" => Command::Cache(true),
            other => {
                let message = format!("`{}` is nothing that :cache does", Safe(other));
                return Err(Error::new(Kind::Usage, message).hint(":cache clear"));
            }
        },
        ":details" => Command::Details(optional),
        ":redraw" => redraw(argument)?,
        ":zoom" => match argument {
            "" => Command::Zoom(None),
            n => Command::Zoom(Some(n.parse().map_err(|_| no_cell(n, ":zoom 3"))?)),
        },
        ":view" => Command::View(listed(argument)),
        ":sessions" => Command::Sessions,
        ":resume" => Command::Resume(optional),
        ":quit" | ":q" => Command::Quit,
        _ => return Err(unknown(name)),
    })
}

/// The expressions of a list: between commas outside of brackets; names also between blanks.
fn listed(argument: &str) -> Vec<String> {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let names = argument.chars().all(|c| name(c) || c == ',' || c == ' ');
    let (mut depth, mut text) = (0, false);
    let parts = argument.split(|c: char| {
        text ^= c == '"';
        depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
        !text && depth == 0 && (c == ',' || (names && c == ' '))
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// How often; once without a number.
fn times(command: &str, argument: &str) -> Result<usize> {
    match argument.parse() {
        _ if argument.is_empty() => Ok(1),
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Error::new(Kind::Usage, format!("`{}` is not a number of cells", Safe(argument)))
            .hint(format!("{command} 3"))),
    }
}

/// `3 width: 100`, `3`, `width: 100` or nothing.
fn redraw(argument: &str) -> Result<Command> {
    let words: Vec<&str> = argument.split([' ', ':', ',']).filter(|w| !w.is_empty()).collect();
    let cell = |n: &str| n.parse().map(Some).map_err(|_| no_cell(n, ":redraw 3"));
    let width = |n: &str| match n.parse() {
        Ok(columns @ 1..=1000) => Ok(Some(columns)),
        _ => Err(Error::new(Kind::Usage, format!("`{}` is not a width in columns", Safe(n)))
            .hint(":redraw width: 60")),
    };
    Ok(match words[..] {
        [] => Command::Redraw(None, None),
        ["width", columns] => Command::Redraw(None, width(columns)?),
        [n] => Command::Redraw(cell(n)?, None),
        [n, "width", columns] => Command::Redraw(cell(n)?, width(columns)?),
        _ => {
            let message = format!("`{}` is not a cell and a width", Safe(argument));
            return Err(Error::new(Kind::Usage, message).hint(":redraw 3 width: 60"));
        }
    })
}

fn no_cell(word: &str, hint: &str) -> Error {
    Error::new(Kind::Usage, format!("`{}` is not the number of a cell", Safe(word))).hint(hint)
}

fn about(topic: &str) -> Command {
    if topic == "help" {
        return Command::Help;
    }
    match topic.rsplit_once(char::is_whitespace).map(|(name, n)| (name.trim(), n.parse())) {
        Some((name, Ok(n))) => Command::About(name.to_owned(), Some(n)),
        _ => Command::About(topic.to_owned(), None),
    }
}

fn file(command: &str, path: &str) -> Result<PathBuf> {
    let path = path.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(path);
    if path.is_empty() {
        let command = command.trim_end_matches('!');
        return Err(Error::new(Kind::Usage, format!("{command} wants a file"))
            .hint(format!("{command} edit.gnt")));
    }
    // Only `~/` is expanded; other shell syntax is taken literally.
    let home = path.strip_prefix("~/").zip(std::env::var_os("HOME"));
    Ok(home.map_or_else(|| PathBuf::from(path), |(rest, home)| PathBuf::from(home).join(rest)))
}

fn unknown(name: &str) -> Error {
    let error = Error::new(Kind::Usage, format!("there is no command {}", Safe(name)));
    match name {
        ":exit" | ":bye" | ":leave" => return error.hint(":quit"),
        ":export" | ":report" => {
            return error.hint("in the shell: gannet export latest -o report.html");
        }
        _ => {}
    }
    let known = ALL.iter().filter_map(|e| e.name.strip_prefix(':'));
    match near(name.trim_start_matches(':'), known).first() {
        Some(near) => error.hint(format!(":{near}")),
        None => error.hint(":help lists the commands"),
    }
}

/// The command that is meant by a line of other prompts: `help`, `help(invert)`, `invert?`, `exit`,
/// `quit()`. `None` where the session knows the word, or it is no such line.
pub(super) fn meant(line: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    let line = line.trim();
    let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_alphanumeric() || c == '_');
    if let Some(name) = line.strip_suffix('?') {
        return word(name).then(|| format!("?{name}"));
    }
    let (name, inside) = match line.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')?),
        None => (line, ""),
    };
    match name {
        _ if known(name) => None,
        "help" if inside.is_empty() => Some(":help".into()),
        "help" => word(inside).then(|| format!("?{inside}")),
        "quit" | "exit" if inside.is_empty() => Some(":quit".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_typed() {
        for (line, command) in [
            (" :undo ", Command::Undo(1)),
            (":undo 3", Command::Undo(3)),
            (":redo 2", Command::Redo(2)),
            ("?", Command::About(String::new(), None)),
            ("? invert", Command::About("invert".into(), None)),
            ("?invert 2", Command::About("invert".into(), Some(2))),
            ("?help", Command::Help),
            (":save a b.gnt", Command::Save("a b.gnt".into(), false)),
            (":save! a.gnt", Command::Save("a.gnt".into(), true)),
            (":save a.gnt !", Command::Save("a.gnt".into(), true)),
            (":open \"x y.gnt\"", Command::Open("x y.gnt".into())),
            (":set seed  7", Command::Set(Some(("seed".into(), "7".into())))),
            (":set", Command::Set(None)),
            (":history", Command::History(None)),
            (":history smile psi", Command::History(Some("smile psi".into()))),
            (":cache", Command::Cache(false)),
            (":cache clear", Command::Cache(true)),
            (":details r", Command::Details(Some("r".into()))),
            (":redraw", Command::Redraw(None, None)),
            (":redraw 3", Command::Redraw(Some(3), None)),
            (":redraw width: 100", Command::Redraw(None, Some(100))),
            (":redraw 3 width:100", Command::Redraw(Some(3), Some(100))),
            (":zoom 2", Command::Zoom(Some(2))),
            (":view x r", Command::View(vec!["x".into(), "r".into()])),
            (":view x, r,", Command::View(vec!["x".into(), "r".into()])),
            (
                ":view mix(a, b), r + 2*smile, image(\"a, b.png\")",
                Command::View(vec![
                    "mix(a, b)".into(),
                    "r + 2*smile".into(),
                    "image(\"a, b.png\")".into(),
                ]),
            ),
        ] {
            assert_eq!(parse(line).unwrap(), command, "{line}");
        }
        assert_eq!(parse(":ondo").unwrap_err().repair(), Some(":undo"));
        assert_eq!(parse(":foo").unwrap_err().repair(), Some(":help lists the commands"));
        assert_eq!(parse(":exit").unwrap_err().repair(), Some(":quit"));
        assert_eq!(parse(":\u{1b}[2J").unwrap_err().message(), "there is no command :\\u{1b}[2J");
        assert_eq!(parse(":save").unwrap_err().repair(), Some(":save edit.gnt"));
        for wrong in [
            ":cache x",
            ":undo x",
            ":undo 0",
            ":redraw x",
            ":redraw 3 width: 0",
            ":redraw 1 2 3",
            ":zoom x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_of_other_prompts_are_commands_unless_the_session_knows_them() {
        let meant = |line| meant(line, |name| name == "exit");
        for (line, command) in [
            ("help", Some(":help")),
            (" help() ", Some(":help")),
            ("help(invert)", Some("?invert")),
            ("invert?", Some("?invert")),
            ("quit", Some(":quit")),
            ("quit()", Some(":quit")),
            ("exit", None),
            ("help(a, b)", None),
            ("a + b?", None),
            ("?", None),
            ("w", None),
        ] {
            assert_eq!(meant(line).as_deref(), command, "{line}");
        }
    }

    #[test]
    fn every_entry_is_understood() {
        for e in &ALL[..ALL.len() - 1] {
            assert!(parse(e.usage.split('[').next().unwrap()).is_ok(), "{}", e.usage);
            assert!(is_known(e.name));
        }
    }
}
