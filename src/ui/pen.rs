//! Colours and attributes of text, written when they change; cells of block pictures.

use crate::render::Colours;
use crate::render::blocks::{self, Rgb};
use crossterm::style::{Attribute, Colors, ResetColor, SetAttribute, SetColors};
use crossterm::{Command, QueueableCommand};
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

/// Colours and attributes of the following text.
pub(super) type Pen = (Color, Color, Modifier);

/// The attributes that views use.
const ATTRIBUTES: [(Modifier, Attribute); 5] = [
    (Modifier::BOLD, Attribute::Bold),
    (Modifier::DIM, Attribute::Dim),
    (Modifier::ITALIC, Attribute::Italic),
    (Modifier::UNDERLINED, Attribute::Underlined),
    (Modifier::REVERSED, Attribute::Reverse),
];

/// Changes the pen to that of the cell; `None` is an unknown pen.
pub(super) fn take(out: &mut Vec<u8>, pen: Option<Pen>, cell: &Cell) -> Pen {
    let wanted = (cell.fg, cell.bg, cell.modifier);
    let (fg, bg) = match pen {
        Some((fg, bg, modifier)) if modifier == cell.modifier => (fg, bg),
        // A reset clears all attributes, and the colours too.
        _ => {
            put(out, ResetColor);
            for (_, on) in ATTRIBUTES.iter().filter(|a| cell.modifier.contains(a.0)) {
                put(out, SetAttribute(*on));
            }
            (Color::Reset, Color::Reset)
        }
    };
    put(
        out,
        SetColors(Colors {
            foreground: (fg != cell.fg).then(|| cell.fg.into_crossterm()),
            background: (bg != cell.bg).then(|| cell.bg.into_crossterm()),
        }),
    );
    wanted
}

/// Draws a cell of a block picture.
pub(super) fn block(to: &mut Cell, block: &blocks::Cell, colours: Colours) {
    to.reset();
    to.set_char(block.symbol);
    (to.fg, to.bg) = (ink(block.ink, colours), ink(block.paper, colours));
}

fn ink(colour: Option<Rgb>, colours: Colours) -> Color {
    match colour {
        None => Color::Reset,
        Some([r, g, b]) if colours == Colours::True => Color::Rgb(r, g, b),
        Some(rgb) => Color::Indexed(blocks::indexed(rgb)),
    }
}

/// Appends a command's bytes.
pub(super) fn put(out: &mut Vec<u8>, command: impl Command) {
    // Writing to a vector cannot fail.
    let _ = out.queue(command);
}
