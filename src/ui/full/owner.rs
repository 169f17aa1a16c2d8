//! A full screen as an owner of the terminal.

use super::canvas::Canvas;
use super::compositor::Compositor;
use super::keys::{Input, Keys};
use super::run::Stage;
use crate::error::{Error, Kind, Result};
use crate::render;
use crate::render::kitty::Kitty;
use crate::ui::restore::{self, Full as Modes};
use crate::ui::signals::Signals;
use crate::ui::{Line, Terminal, pen};
use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, Event, KeyCode, KeyboardEnhancementFlags,
    PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::style::ResetColor;
use crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::SpecialCodeIndex;
use std::io;
use std::time::{Duration, Instant};

/// Time after which an incomplete sequence counts as what it is so far: a lone Escape.
const ESCAPE: Duration = Duration::from_millis(40);
/// Time after which a terminal that does not answer `CSI 5 n` gets the next live picture anyway.
const MUTE: Duration = Duration::from_secs(3);

/// The whole screen, with every key, pastes, the mouse and changes of focus. The previous screen
/// comes back when it is dropped.
///
/// Ctrl-C and Ctrl-Z are keys here; signals from outside work as in every mode.
pub struct Full<'t> {
    line: &'t mut Line,
    compositor: Compositor,
    keys: Keys,
    /// Keys that were typed before the screen opened.
    early: Vec<Input>,
    /// When the last bytes came.
    heard: Instant,
    size: (u16, u16),
    /// When a frame asked the terminal for an answer that did not come yet.
    asked: Option<Instant>,
}

impl Terminal<Line> {
    /// Opens a full screen on a terminal with these abilities. It owns the terminal until dropped.
    ///
    /// # Errors
    /// Without an interactive terminal, or when the write fails.
    pub fn full(&mut self, terminal: &render::Terminal) -> Result<Terminal<Full<'_>>> {
        let failed = |e: &io::Error| {
            Error::io("cannot open the full screen", e).hint("it needs an interactive terminal")
        };
        let line = self.line();
        let Some(mut modes) = line.found().cloned().filter(|_| crate::ui::screen::interactive())
        else {
            return Err(failed(&io::ErrorKind::Unsupported.into()));
        };
        modes.make_raw();
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        restore::set(&modes);
        restore::full_begins(around(terminal)).map_err(|e| failed(&e))?;
        let mut keys = Keys::default();
        // Keys that were typed during the probe are the first ones.
        let typed = std::mem::take(&mut line.typed);
        let early = keys.feed(typed.as_bytes());
        let size = line.screen().size();
        let compositor = Compositor::new(terminal);
        let heard = Instant::now();
        let full = Full { line, compositor, keys, early, heard, size, asked: None };
        Ok(Terminal { mode: full })
    }
}

/// How a full screen begins and ends.
fn around(terminal: &render::Terminal) -> Modes {
    let kitty = terminal.protocol == render::Protocol::Kitty;
    let (mut begin, mut leave) = (Vec::new(), Vec::new());
    pen::put(&mut begin, EnterAlternateScreen);
    pen::put(&mut begin, EnableBracketedPaste);
    pen::put(&mut begin, EnableMouseCapture);
    pen::put(&mut begin, EnableFocusChange);
    pen::put(&mut begin, Hide);
    pen::put(&mut leave, EndSynchronizedUpdate);
    pen::put(&mut leave, ResetColor);
    if kitty {
        // Shift-Enter is not Enter there.
        let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES;
        pen::put(&mut begin, PushKeyboardEnhancementFlags(flags));
        pen::put(&mut leave, PopKeyboardEnhancementFlags);
    }
    // The pictures of this screen, with their data. tmux would take it for a title, and its outer
    // terminal for all pictures of all panes.
    if kitty && !terminal.passthrough {
        leave.extend_from_slice(b"\x1b_Ga=d,d=A,q=2\x1b\\");
    }
    pen::put(&mut leave, DisableFocusChange);
    pen::put(&mut leave, DisableMouseCapture);
    pen::put(&mut leave, DisableBracketedPaste);
    pen::put(&mut leave, Show);
    pen::put(&mut leave, LeaveAlternateScreen);
    if kitty && !terminal.passthrough {
        // Writing to a vector cannot fail.
        let _ = Kitty::new(terminal, std::process::id()).refresh(&mut leave);
    }
    Modes { begin, leave }
}

impl Stage for Terminal<Full<'_>> {
    fn inputs(&mut self, wait: Duration) -> Result<Vec<Input>> {
        let full = &mut self.mode;
        let mut inputs = std::mem::take(&mut full.early);
        let wait = match (inputs.is_empty(), full.keys.waits()) {
            (false, _) => Duration::ZERO,
            (_, true) => wait.min(ESCAPE),
            _ => wait,
        };
        let Some(bytes) = restore::typed(wait) else {
            return Err(Error::new(Kind::Closed, "the terminal is gone"));
        };
        if !bytes.is_empty() {
            full.heard = Instant::now();
            inputs.extend(full.keys.feed(&bytes));
        } else if full.heard.elapsed() >= ESCAPE {
            inputs.extend(full.keys.flush());
        }
        if inputs.contains(&Input::Ready) {
            full.asked = None;
        }
        if inputs.contains(&Input::Event(Event::FocusGained)) && full.compositor.forgotten_unseen()
        {
            full.compositor.again();
        }
        if restore::again() {
            full.compositor.again();
            full.asked = None;
            inputs.push(Input::Event(Event::FocusGained));
        }
        let size = full.line.screen().size();
        if size != full.size {
            full.size = size;
            inputs.push(Input::Event(Event::Resize(size.0, size.1)));
        }
        Ok(inputs)
    }

    fn draw(&mut self, draw: &mut dyn FnMut(&mut Canvas<'_>)) -> Result<()> {
        let ready = self.ready();
        let full = &mut self.mode;
        let frame = full.compositor.frame(full.size, ready, draw)?;
        let Some(_guard) = restore::full_frame() else {
            return Err(Error::new(Kind::Closed, "the terminal was restored"));
        };
        if frame.asks {
            full.asked = Some(Instant::now());
        }
        let put = full.line.screen().put(&frame.bytes);
        put.map_err(|e| Error::new(Kind::Closed, format!("cannot write to the terminal: {e}")))
    }

    fn ready(&self) -> bool {
        self.mode.asked.is_none_or(|asked| asked.elapsed() > MUTE)
    }

    fn again(&mut self) {
        self.mode.compositor.again();
    }

    fn stale(&self) -> bool {
        self.mode.compositor.stale()
    }

    fn suspend(&mut self) {
        restore::suspend();
    }

    fn signals(&self) -> Option<&'static Signals> {
        Some(self.mode.line.signals())
    }
}

/// Time that a screen waits at its end for the answer to its last question.
const FAREWELL: Duration = Duration::from_secs(1);

impl Full<'_> {
    /// Takes the answer to `CSI 5 n` that is still on its way: whatever reads the terminal next
    /// would take it for keys. Letters that are typed meanwhile go on the next prompt.
    fn hear_out(&mut self) {
        let Some(asked) = self.asked.take() else { return };
        let until = asked.max(self.heard) + FAREWELL;
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            let Some(bytes) = restore::typed(wait).filter(|_| !wait.is_zero()) else { return };
            for input in self.keys.feed(&bytes) {
                match input {
                    Input::Ready => return,
                    Input::Event(Event::Key(key)) => {
                        if let KeyCode::Char(letter) = key.code {
                            let mut bytes = [0; 4];
                            let key = letter.encode_utf8(&mut bytes).as_bytes();
                            self.line.held.extend_from_slice(key);
                        }
                    }
                    Input::Event(_) => {}
                }
            }
        }
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        self.hear_out();
        if let (Ok(bytes), Some(_guard)) = (self.compositor.leave(), restore::full_frame()) {
            // A terminal that is gone keeps nothing.
            let _ = self.line.screen().put(&bytes);
        }
        if restore::full_ends() {
            self.line.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Protocol, Terminal};

    #[test]
    fn kitty_draws_the_pictures_of_the_screen_before_again() {
        let terminal = Terminal { protocol: Protocol::Kitty, ..Terminal::plain("test") };
        let leave = String::from_utf8(around(&terminal).leave).unwrap();
        let after = leave.split_once("\x1b[?1049l").unwrap().1;
        assert!(after.starts_with("\x1b_Ga=T,f=32,s=1,v=1,") && after.contains("a=d,d=I,"));
    }

    #[test]
    fn what_tmux_would_take_for_a_title_is_not_written_in_tmux() {
        for protocol in [Protocol::Kitty, Protocol::Iterm, Protocol::Sixel, Protocol::Blocks] {
            let of = |passthrough| Terminal { protocol, passthrough, ..Terminal::plain("test") };
            let all = |t: &Terminal| [around(t).begin, around(t).leave].concat();
            let strings =
                |t: &Terminal| String::from_utf8(all(t)).unwrap().matches("\x1b_").count();
            assert_eq!(strings(&of(true)), 0);
            assert_eq!(strings(&of(false)), if protocol == Protocol::Kitty { 3 } else { 0 });
        }
    }
}
