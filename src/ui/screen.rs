//! Terminal output: all bytes for the terminal go through a [`Screen`].

use super::ascii::{self, Pieces};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crossterm::style::{Color, ResetColor, SetForegroundColor, force_color_output};
use crossterm::terminal::window_size;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
#[cfg(any(test, feature = "internals"))]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Destination of the bytes that the user sees.
pub trait Screen: Send {
    /// Writes all bytes, at once where possible.
    ///
    /// # Errors
    /// When the write fails, for example when the terminal is gone.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Size in columns and rows.
    fn size(&self) -> (u16, u16);
}

/// Standard output in ASCII: a write may end inside a character.
static PIECES: Mutex<Pieces> = Mutex::new(Pieces::new());

/// The process's own output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Screen for Stdout {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if ascii::wanted() {
            let mut pieces = PIECES.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(pieces.take(bytes).as_bytes())?;
        } else {
            out.write_all(bytes)?;
        }
        out.flush()
    }

    fn size(&self) -> (u16, u16) {
        // crossterm reports the size of the process's terminal; output into a file must not depend
        // on it.
        if !io::stdout().is_terminal() {
            return (80, 24);
        }
        match window_size() {
            // Some terminals without a configured size report 0×0.
            Ok(s) if s.columns > 0 && s.rows > 0 => (s.columns, s.rows),
            _ => (80, 24),
        }
    }
}

/// Records all output, for tests and exports.
#[derive(Clone, Default)]
#[cfg(any(test, feature = "internals"))]
pub struct Recorded(Arc<Mutex<Vec<u8>>>);

#[cfg(any(test, feature = "internals"))]
impl Recorded {
    /// All bytes written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(any(test, feature = "internals"))]
impl Screen for Recorded {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> (u16, u16) {
        (80, 24)
    }
}

/// Available colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// No colours: `NO_COLOR`, or a dumb terminal.
    None,
    /// xterm's 256 colours.
    Indexed,
    /// 24-bit colours.
    True,
}

impl Colour {
    /// The colours that the environment announces. SSH drops `COLORTERM`, so a probe may find more.
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

/// Colour of prompts, gauges and curves, as an xterm index.
pub(super) const ACCENT: u8 = 38;
/// Colour of less important text, as an xterm index.
pub(super) const QUIET: u8 = 244;

/// The colours of the prompt for a dark or a light background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Pale colours.
    #[default]
    Dark,
    /// Deep colours.
    Light,
}

impl std::str::FromStr for Theme {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "dark" => Ok(Self::Dark),
            "light" => Ok(Self::Light),
            _ => Err(Error::new(Kind::Usage, format!("no theme called \"{}\"", Safe(word)))
                .hint("dark or light")),
        }
    }
}

static LIGHT: AtomicBool = AtomicBool::new(false);

/// Sets the theme of the process.
pub fn set_theme(theme: Theme) {
    LIGHT.store(theme == Theme::Light, Relaxed);
}

/// The theme in force.
pub fn theme() -> Theme {
    if LIGHT.load(Relaxed) { Theme::Light } else { Theme::Dark }
}

/// A colour of the dark theme, as an xterm index, in the theme in force. The light theme keeps the
/// hue, deep enough to be read on white.
pub(super) fn themed(colour: u8) -> u8 {
    match (theme(), colour) {
        (Theme::Dark, c) => c,
        (Theme::Light, ACCENT) => 25,
        (Theme::Light, QUIET) => 241,
        (Theme::Light, 176) => 90,
        (Theme::Light, 74) => 24,
        (Theme::Light, 107) => 28,
        (Theme::Light, 173) => 130,
        (Theme::Light, 140) => 54,
        (Theme::Light, 203) => 160,
        (Theme::Light, c) => c,
    }
}

/// Colours a text by xterm index; the caller checks whether the terminal has colours.
pub(super) fn inked(colour: u8, text: impl Display) -> String {
    // Otherwise crossterm would check `NO_COLOR` itself.
    force_color_output(true);
    format!("{}{text}{ResetColor}", SetForegroundColor(Color::AnsiValue(themed(colour))))
}

/// Whether the session is interactive: stdin and stdout are terminals with cursor movements.
pub fn interactive() -> bool {
    let able = std::env::var_os("TERM").is_some_and(|t| !t.is_empty() && t != "dumb");
    able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether the session is interactive on a terminal without cursor movements (`TERM=dumb`, or
/// unset). Lines are then read and written as they come, after a prompt.
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
