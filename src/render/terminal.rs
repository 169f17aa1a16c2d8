//! Abilities of a terminal.

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use std::time::Duration;

/// The protocol for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The kitty graphics protocol (kitty, ghostty).
    Kitty,
    /// iTerm2's inline images (iTerm2, WezTerm, Konsole).
    Iterm,
    /// DEC sixel (xterm, foot, mlterm, Windows Terminal, tmux).
    Sixel,
    /// Coloured block characters.
    Blocks,
    /// No pictures: each one is described by what the attribute network reads in it.
    Words,
    /// No pictures: a line of text says size and colour of each one.
    None,
}

/// The graphics that the user asks for with `--graphics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// The best protocol that the terminal answers to.
    #[default]
    Auto,
    /// This protocol, whatever the terminal answers.
    Force(Protocol),
}

impl std::str::FromStr for Graphics {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "auto" => Self::Auto,
            "kitty" => Self::Force(Protocol::Kitty),
            "iterm" => Self::Force(Protocol::Iterm),
            "sixel" => Self::Force(Protocol::Sixel),
            "blocks" => Self::Force(Protocol::Blocks),
            "words" => Self::Force(Protocol::Words),
            "none" => Self::Force(Protocol::None),
            _ => {
                let message = format!("no graphics called \"{}\"", Safe(word));
                return Err(Error::new(Kind::Usage, message)
                    .hint("auto, kitty, iterm, sixel, blocks, words or none"));
            }
        })
    }
}

/// The characters of [`Protocol::Blocks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symbols {
    /// Half blocks: 1×2 exact pixels in each cell.
    #[default]
    Half,
    /// Quadrants: 2×2 pixels in each cell, in two colours.
    Quad,
    /// Sextants (Unicode 13): 2×3 pixels in each cell, in two colours.
    Sextant,
}

impl Symbols {
    /// Pixels in a cell: columns, rows.
    pub const fn pixels(self) -> (usize, usize) {
        match self {
            Self::Half => (1, 2),
            Self::Quad => (2, 2),
            Self::Sextant => (2, 3),
        }
    }

    /// Width in columns below which the features of a face are lost.
    pub const fn least(self) -> u16 {
        match self {
            Self::Half => 24,
            Self::Quad | Self::Sextant => 16,
        }
    }

    /// The choice of a user: `None` for `auto`, those that suit the terminal.
    ///
    /// # Errors
    /// For another word.
    pub fn choice(word: &str) -> Result<Option<Self>> {
        if word == "auto" { Ok(None) } else { word.parse().map(Some) }
    }

    /// The word of the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::Quad => "quad",
            Self::Sextant => "sextant",
        }
    }
}

impl std::str::FromStr for Symbols {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "half" => Ok(Self::Half),
            "quad" => Ok(Self::Quad),
            "sextant" => Ok(Self::Sextant),
            _ => Err(Error::new(Kind::Usage, format!("no symbols called \"{}\"", Safe(word)))
                .hint("auto, half, quad or sextant")),
        }
    }
}

/// The colours of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// No colours: `NO_COLOR`, a dumb terminal, a pipe.
    None,
    /// xterm's 256 colours.
    Indexed,
    /// 24-bit colours.
    True,
}

/// Abilities and size of a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// The protocol for pictures.
    pub protocol: Protocol,
    /// The colours of text.
    pub colours: Colours,
    /// The characters of block pictures.
    pub symbols: Symbols,
    /// Columns; 80 when unknown.
    pub columns: u16,
    /// Rows; 24 when unknown.
    pub rows: u16,
    /// Cell size in pixels: width, height; 8×16 when unknown.
    pub cell: (u16, u16),
    /// Width of every picture in columns, if the user asked for one (`--picture-width`).
    pub picture_width: Option<u16>,
    /// Whether it supports synchronised updates (`CSI ? 2026 h` and `l`).
    pub synchronized: bool,
    /// Whether graphics must be wrapped so that tmux passes them on.
    pub passthrough: bool,
    /// Its name for itself. Text from outside: show it through [`Safe`].
    pub name: String,
    /// Reasons for these decisions, for `:doctor`; safe to print.
    pub reasons: Vec<String>,
    /// Time until it answered; `None` without an answer.
    pub round_trip: Option<Duration>,
}

impl Terminal {
    /// Not a terminal: text without colours in 80 columns.
    pub fn plain(reason: &str) -> Self {
        Self {
            protocol: Protocol::None,
            colours: Colours::None,
            symbols: Symbols::Half,
            columns: 80,
            rows: 24,
            cell: (8, 16),
            picture_width: None,
            synchronized: false,
            passthrough: false,
            name: String::new(),
            reasons: vec![reason.to_string()],
            round_trip: None,
        }
    }

    /// A short description for the line under the banner: `kitty graphics in tmux`.
    pub fn summary(&self) -> String {
        let how = match (self.protocol, self.colours) {
            (Protocol::Kitty, _) => "kitty graphics",
            (Protocol::Iterm, _) => "iTerm2 graphics",
            (Protocol::Sixel, _) => "sixel graphics",
            (Protocol::Blocks, Colours::True) => "block graphics, true colour",
            (Protocol::Blocks, _) => "block graphics, 256 colours",
            (Protocol::Words, _) => "pictures in words",
            (Protocol::None, _) => "no graphics",
        };
        format!("{how}{}", if self.passthrough { " in tmux" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        assert_eq!("auto".parse(), Ok(Graphics::Auto));
        assert_eq!("sixel".parse(), Ok(Graphics::Force(Protocol::Sixel)));
        let e = "\u{1b}[2J".parse::<Graphics>().unwrap_err();
        assert!(e.kind() == Kind::Usage && !e.to_string().contains('\u{1b}'));
        assert_eq!("quad".parse::<Symbols>().unwrap().pixels(), (2, 2));
        assert!("cube".parse::<Symbols>().is_err());
        assert_eq!(Symbols::choice("auto"), Ok(None));
        for symbols in [Symbols::Half, Symbols::Quad, Symbols::Sextant] {
            assert_eq!(Symbols::choice(symbols.name()), Ok(Some(symbols)));
        }
    }
}
