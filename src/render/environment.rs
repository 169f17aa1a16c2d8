//! Options of the user and variables of the environment that affect the terminal.

use super::terminal::{Graphics, Symbols};
use std::collections::BTreeMap;
use std::time::Duration;

/// Options of a probe.
#[derive(Clone, Debug)]
pub struct Options {
    /// The graphics that the user asked for.
    pub graphics: Graphics,
    /// The characters of block pictures; those that suit the terminal unless given.
    pub symbols: Option<Symbols>,
    /// Time to wait for a mute terminal. A terminal that began to answer, or whose `TERM` is known
    /// to answer, gets three times as long.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { graphics: Graphics::Auto, symbols: None, deadline: Duration::from_millis(300) }
    }
}

/// The environment variables that affect the terminal.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the environment of the process.
    pub fn of_process() -> Self {
        let wanted = [
            "TERM",
            "COLORTERM",
            "NO_COLOR",
            "TERM_PROGRAM",
            "LC_TERMINAL",
            "TMUX",
            "TMUX_PANE",
            "ZELLIJ",
        ];
        Self(
            wanted
                .into_iter()
                .filter_map(|n| Some((n.to_string(), std::env::var(n).ok()?)))
                .collect(),
        )
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl From<&[(&str, &str)]> for Environment {
    fn from(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }
}
