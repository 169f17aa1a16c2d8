//! The one way out: every byte for the terminal passes a [`Screen`].

use crossterm::style::{Color, ResetColor, SetForegroundColor, force_color_output};
use crossterm::terminal::window_size;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the bytes for a person go.
pub trait Screen: Send {
    /// Writes all bytes, at once where the system allows.
    ///
    /// # Errors
    /// What the system says, for instance when the line dropped.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Columns and rows.
    fn size(&self) -> (u16, u16);
}

/// The process's own output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Screen for Stdout {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    fn size(&self) -> (u16, u16) {
        // crossterm gives the size of the process's terminal, which output into a file must not
        // depend on.
        if !io::stdout().is_terminal() {
            return (80, 24);
        }
        match window_size() {
            // A terminal that nobody sized says 0 × 0.
            Ok(s) if s.columns > 0 && s.rows > 0 => (s.columns, s.rows),
            _ => (80, 24),
        }
    }
}

/// Keeps what was written, for tests and for exports.
#[derive(Clone, Default)]
pub struct Recorded(Arc<Mutex<Vec<u8>>>);

impl Recorded {
    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Screen for Recorded {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> (u16, u16) {
        (80, 24)
    }
}

/// How many colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None at all: `NO_COLOR`, or a dumb terminal.
    None,
    /// The 256 of xterm.
    Indexed,
    /// 24 bits.
    True,
}

impl Colour {
    /// What the environment promises. SSH drops `COLORTERM`, so a probe may know better.
    pub fn of_environment() -> Self {
        Self::resolve(|name| std::env::var(name).ok())
    }

    fn resolve(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name| var(name).unwrap_or_default();
        if !var("NO_COLOR").is_empty() || matches!(var("TERM").as_str(), "" | "dumb") {
            return Self::None;
        }
        match var("COLORTERM").as_str() {
            "truecolor" | "24bit" => Self::True,
            _ if var("TERM").ends_with("-direct") => Self::True,
            _ => Self::Indexed,
        }
    }
}

/// The colour of prompts, gauges and curves, of xterm's 256.
pub(super) const ACCENT: u8 = 38;
/// The colour of what matters less.
pub(super) const QUIET: u8 = 244;

/// Text in one of xterm's 256 colours; whether there are any is the caller's to know.
pub(super) fn inked(colour: u8, text: impl Display) -> String {
    // Else crossterm would look for `NO_COLOR` itself.
    force_color_output(true);
    format!("{}{text}{ResetColor}", SetForegroundColor(Color::AnsiValue(colour)))
}

/// Whether a person sits at both ends: stdin and stdout are terminals that know cursor movements.
pub fn interactive() -> bool {
    let able = std::env::var_os("TERM").is_some_and(|t| !t.is_empty() && t != "dumb");
    able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether a person sits at a terminal that knows no cursor movements (`TERM=dumb`, or unset):
/// lines are read and written as they come, after a prompt.
pub fn plain() -> bool {
    !interactive() && io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_wins_over_every_promise() {
        let with = |pairs: &'static [(&str, &str)]| {
            Colour::resolve(|n| pairs.iter().find(|p| p.0 == n).map(|p| p.1.to_string()))
        };
        assert_eq!(
            with(&[("TERM", "xterm"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")]),
            Colour::None
        );
        assert_eq!(with(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]), Colour::True);
        assert_eq!(with(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), Colour::Indexed);
        assert_eq!(with(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]), Colour::None);
    }
}
