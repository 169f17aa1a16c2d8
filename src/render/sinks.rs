//! Chooses the sink for a terminal.

use super::blocks::Blocks;
use super::iterm::Iterm;
use super::kitty::Kitty;
use super::sink::ImageSink;
use super::sixel::Sixel;
use super::terminal::{Protocol, Terminal};
use super::text::Described;

/// The sink for a terminal's protocol.
pub fn sink_for(terminal: &Terminal) -> Box<dyn ImageSink> {
    match terminal.protocol {
        Protocol::Kitty => Box::new(Kitty::new(terminal, std::process::id())),
        Protocol::Iterm => Box::new(Iterm::new(terminal)),
        Protocol::Sixel => Box::new(Sixel::new(terminal)),
        Protocol::Blocks => Box::new(Blocks::new(terminal)),
        Protocol::Words | Protocol::None => Box::new(Described),
    }
}
