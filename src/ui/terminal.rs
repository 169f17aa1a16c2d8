//! The terminal, with one owner at a time as a type.

use super::inline::Inline;
use super::restore;
use super::screen::{Colour, Screen, Stdout, interactive};
use super::signals::{Signals, signals};
use crate::error::{Error, Kind, Result};
use ratatui::Frame;
use ratatui::layout::Size;
use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Termios};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

static OWNED: AtomicBool = AtomicBool::new(false);

/// Asks the terminal to answer when it has handled everything before.
pub(super) const ASK: &[u8] = b"\x1b[5n";
/// The answer.
const ANSWER: &[u8] = b"\x1b[0n";
/// Time after which a terminal that does not answer gets the next preview anyway.
const MUTE: Duration = Duration::from_secs(3);
/// Time that a view waits at its end for the answer to its last question.
const FAREWELL: Duration = Duration::from_secs(1);

/// The terminal in a mode: [`Line`], [`Live`] or [`Full`](super::full::Full).
pub struct Terminal<Mode> {
    pub(super) mode: Mode,
}

/// Line mode: reads input lines and prints output, for the prompt.
pub struct Line {
    screen: Box<dyn Screen>,
    /// The original modes; `None` without a terminal.
    found: Option<Termios>,
    base: Option<Termios>,
    signals: &'static Signals,
    colour: Colour,
    line_start: bool,
    /// Keys that were typed during a probe.
    pub(super) typed: String,
    /// Keys that were typed while work ran. Their [`words`] go on the next prompt and never run by
    /// themselves.
    pub(super) held: Vec<u8>,
    /// Bytes that came with the answers to [`ASK`], still to be taken as keys.
    heard: Vec<u8>,
    /// Whether the terminal did not answer to [`ASK`].
    mute: bool,
}

/// A view of some rows below the last line; redrawn in place, erased when dropped.
pub struct Live<'t> {
    line: &'t mut Line,
    view: ratatui::Terminal<Inline>,
    screen_size: (u16, u16),
    wanted: u16,
    /// Whether nothing was drawn since the view began or changed its size.
    fresh: bool,
    /// When a frame asked the terminal for an answer that did not come yet.
    asked: Option<Instant>,
}

impl Terminal<Line> {
    /// Takes the terminal of this process until dropped. Without a terminal, lines are read and
    /// written as they come.
    ///
    /// Between prompts the terminal does not echo, and it keeps typed keys for the next prompt.
    /// Ctrl-C is a signal.
    ///
    /// # Errors
    /// When this process holds the terminal already, or signal handlers cannot be installed.
    pub fn acquire() -> Result<Self> {
        Self::with(Box::new(Stdout), Colour::of_environment())
    }

    /// As [`Terminal::acquire`], with another screen and other colours.
    ///
    /// # Errors
    /// As [`Terminal::acquire`].
    pub fn with(screen: Box<dyn Screen>, colour: Colour) -> Result<Self> {
        let signals = signals()?;
        if OWNED.swap(true, SeqCst) {
            return Err(Error::new(Kind::Io, "the terminal is already in use by this process"));
        }
        restore::install_panic_hook();
        let found = interactive().then(restore::modes).flatten();
        let base = found.clone().map(quiet);
        let line = Line {
            screen,
            found,
            base,
            signals,
            colour,
            line_start: true,
            typed: String::new(),
            held: Vec::new(),
            heard: Vec::new(),
            mute: false,
        };
        line.settle();
        Ok(Self { mode: line })
    }

    /// Whether the terminal is interactive. Otherwise nothing is redrawn and keys are not read
    /// singly.
    pub fn interactive(&self) -> bool {
        self.mode.base.is_some()
    }

    /// The colours in use.
    pub fn colour(&self) -> Colour {
        self.mode.colour
    }

    /// Changes the colours, for example to those that a probe found.
    pub fn set_colour(&mut self, colour: Colour) {
        self.mode.colour = colour;
    }

    /// Adds keys that were typed while another reader had the terminal; the next prompt begins with
    /// them.
    pub fn type_ahead(&mut self, text: &str) {
        self.mode.typed.push_str(text);
    }

    /// Size in columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.mode.screen.size()
    }

    /// Prints styled text as it is. Text from outside must have passed [`crate::safe::Safe`].
    ///
    /// # Errors
    /// When the write fails.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.mode.put(text.as_bytes())
    }

    /// Writes bytes as they are, such as a painted result, which is not text.
    ///
    /// # Errors
    /// When the write fails.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.mode.put(bytes)
    }

    /// Opens a live view of at most `rows` rows. It owns the terminal until dropped. `wipe` removes
    /// what erasing its text leaves of painted pictures.
    ///
    /// # Errors
    /// Without an interactive terminal, or when the write fails.
    pub fn live(&mut self, rows: u16, wipe: Vec<u8>) -> io::Result<Terminal<Live<'_>>> {
        if !self.interactive() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if !self.mode.line_start {
            self.mode.put(b"\n")?;
        }
        self.mode.settle();
        if let Some(mut modes) = self.mode.base.clone() {
            modes.special_codes[SpecialCodeIndex::VQUIT] = 0;
            restore::set(&modes);
        }
        restore::live_begins(wipe);
        let screen_size = self.mode.screen.size();
        let view = view(screen_size, rows)?;
        let line = &mut self.mode;
        let mode = Live { line, view, screen_size, wanted: rows, fresh: true, asked: None };
        let mut live = Terminal { mode };
        live.mode.begin()?;
        Ok(live)
    }

    pub(super) fn line(&mut self) -> &mut Line {
        &mut self.mode
    }
}

impl io::Write for Terminal<Line> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.mode.put(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.line_start = *last == b'\n';
        }
        self.screen.put(bytes)
    }

    /// Takes keys that were typed while work ran. They were meant for an earlier screen, so they
    /// wait on the next prompt for a Return, and a Ctrl-D among them does not end the session. When
    /// `before` bytes were waiting as the work began, the keys are the rest of a paste: they stay
    /// and may run.
    pub(super) fn set_aside(&mut self, before: u64) {
        if self.base.is_some() && before == 0 {
            self.held.append(&mut self.heard);
            self.held.extend(restore::typed(Duration::ZERO).unwrap_or_default());
        }
    }

    /// Sets the modes between prompts. Each prompt sets them anew, because a caught panic or `fg`
    /// may have changed them.
    pub(super) fn settle(&self) {
        if let (Some(found), Some(base)) = (&self.found, &self.base) {
            restore::hold(found);
            restore::set(base);
        }
    }

    /// Records that the prompt ended its own line.
    pub(super) fn ended_line(&mut self) {
        self.line_start = true;
    }

    /// The original modes; `None` without a terminal.
    pub(super) fn found(&self) -> Option<&Termios> {
        self.found.as_ref()
    }

    /// The destination of output.
    pub(super) fn screen(&mut self) -> &mut dyn Screen {
        &mut *self.screen
    }

    pub(super) fn signals(&self) -> &'static Signals {
        self.signals
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        restore::restore();
        OWNED.store(false, SeqCst);
    }
}

/// The modes in which the terminal keeps typed keys, without echo, until they are read. Ctrl-C
/// stays a signal.
///
/// crossterm's raw mode does not fit: Ctrl-C and Ctrl-Z are keys in it, and would wait for a thread
/// that may be writing to a stalled terminal. Its events do not fit either: they cannot be put back
/// for the prompt, `event::poll` takes at most 1024 bytes of the input, and it blocks on an
/// incomplete key.
fn quiet(mut modes: Termios) -> Termios {
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN);
    modes.local_modes.insert(LocalModes::ISIG);
    // Otherwise a Return that is typed meanwhile would arrive as Ctrl-J.
    modes.input_modes.remove(InputModes::ICRNL);
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    modes
}

/// The text of typed keys, without control keys and escape sequences. Earlier and later keys may
/// be a part of the same line, so spaces and Returns at its ends stay.
pub(super) fn words(keys: &[u8]) -> String {
    let text = String::from_utf8_lossy(keys);
    let mut keys = text.chars().peekable();
    let mut out = String::new();
    while let Some(key) = keys.next() {
        match key {
            '\r' | '\n' => out.push('\n'),
            '\t' => out.push(' '),
            '\x08' | '\x7f' => drop(out.pop()),
            '\x1b' if keys.next_if(|k| matches!(k, '[' | 'O')).is_some() => {
                // Parameters of the sequence, then the final character.
                while keys.next_if(|k| matches!(k, ' '..='?')).is_some() {}
                keys.next();
            }
            '\x1b' => drop(keys.next()),
            key if key.is_control() => {}
            key => out.push(key),
        }
    }
    out
}

fn view(screen: (u16, u16), rows: u16) -> io::Result<ratatui::Terminal<Inline>> {
    // One row of the screen stays for earlier output. The last column stays free, because writing
    // there may wrap.
    let size =
        Size::new(screen.0.saturating_sub(1).max(1), rows.min(screen.1.saturating_sub(1)).max(1));
    ratatui::Terminal::new(Inline::new(size))
}

impl Terminal<Live<'_>> {
    /// Begins the view again when the screen has another size or the process was suspended.
    /// Returns whether nothing of it is drawn, so that painted pictures must be painted.
    ///
    /// # Errors
    /// When the write fails.
    pub fn settle(&mut self) -> io::Result<bool> {
        if restore::again() || self.mode.line.screen.size() != self.mode.screen_size {
            self.resize(self.mode.wanted)?;
        }
        Ok(self.mode.fresh)
    }

    /// Draws a frame, and a picture whose bytes paint it in this column of the first row; with
    /// `ask` the terminal will answer when it has shown it. The frame is dropped when the terminal
    /// was restored after a panic.
    ///
    /// # Errors
    /// When the write fails.
    pub fn draw(
        &mut self,
        render: impl FnOnce(&mut Frame),
        painted: Option<(u16, &[u8])>,
        ask: bool,
    ) -> io::Result<()> {
        self.mode.view.draw(render)?;
        if let Some((column, bytes)) = painted {
            self.mode.view.backend_mut().paint(column, bytes);
        }
        self.mode.fresh = false;
        self.mode.flush(ask)
    }

    /// Whether the terminal has shown everything that it was asked about.
    pub fn ready(&mut self) -> bool {
        self.mode.hear(Duration::ZERO);
        self.mode.asked.is_none_or(|asked| asked.elapsed() > MUTE)
    }

    /// Takes the keys that were typed since the last call; returns whether there are any. They wait
    /// for the next prompt.
    pub fn listen(&mut self) -> bool {
        let before = self.mode.line.heard.len();
        self.mode.listen(Duration::ZERO);
        self.mode.line.heard.len() != before
    }

    /// The text of the keys that wait for the next prompt.
    pub fn ahead(&self) -> String {
        words(&[&self.mode.line.held[..], &self.mode.line.heard].concat()).trim().to_owned()
    }

    /// Whether the terminal answers, as far as is known.
    pub fn answers(&self) -> bool {
        !self.mode.line.mute
    }

    /// Changes the height of the view.
    ///
    /// # Errors
    /// When the write fails.
    pub fn resize(&mut self, rows: u16) -> io::Result<()> {
        self.mode.wanted = rows;
        self.mode.screen_size = self.mode.line.screen.size();
        self.mode.view = view(self.mode.screen_size, rows)?;
        self.mode.fresh = true;
        self.mode.begin()
    }

    /// Size of the whole screen in columns and rows.
    pub fn screen_size(&self) -> (u16, u16) {
        self.mode.screen_size
    }

    /// Number of columns of the view: the last one of the screen stays free.
    pub fn width(&self) -> u16 {
        self.mode.screen_size.0.saturating_sub(1).max(1)
    }

    /// Number of rows of the view.
    pub fn rows(&self) -> u16 {
        self.mode.wanted
    }
}

impl Live<'_> {
    fn begin(&mut self) -> io::Result<()> {
        self.view.backend_mut().reserve();
        self.flush(false)
    }

    fn flush(&mut self, ask: bool) -> io::Result<()> {
        let mut bytes = self.view.backend_mut().take();
        let Some(_frame) = restore::frame().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        if ask {
            bytes.extend_from_slice(ASK);
            self.asked = Some(Instant::now());
        }
        self.line.screen.put(&bytes)
    }

    /// Takes the answer to the last question if it comes within `wait`. Keys that come with it are
    /// kept.
    fn hear(&mut self, wait: Duration) {
        if self.asked.is_some() {
            self.listen(wait);
        }
    }

    /// Takes what is typed within `wait`, and the answer to the last question if it is among it.
    fn listen(&mut self, wait: Duration) {
        let heard = &mut self.line.heard;
        match restore::typed(wait) {
            Some(bytes) => heard.extend(bytes),
            // The terminal is gone.
            None => self.asked = None,
        }
        if let Some(at) = heard.windows(ANSWER.len()).position(|w| w == ANSWER) {
            heard.drain(at..at + ANSWER.len());
            self.asked = None;
        }
    }

    /// Waits for the answer that is still on its way: the prompt would take it for keys.
    fn hear_out(&mut self) {
        let until = Instant::now() + FAREWELL;
        while self.asked.is_some() {
            let wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                self.line.mute = true;
                return;
            }
            self.hear(wait);
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(wipe) = restore::live_ends() {
            // A view on a terminal that is gone cannot be erased; the work's result matters more.
            let _ = self.line.screen.put(&wipe);
            self.hear_out();
            self.line.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_keys_typed_meanwhile_only_the_words_stay() {
        for (keys, left) in [
            (&b"2 + 2\r"[..], "2 + 2\n"),
            (b" \rshow ", " \nshow "),
            (b"\x04", ""),
            (b"\r\r \r", "\n\n \n"),
            (b"a\x1b[A\x1b[1;5Cb\x1bOPc\x1bxd\x04\x1a", "abcd"),
            (b"pq\x7f\x7fr", "r"),
            (b"x = 1\rx\r", "x = 1\nx\n"),
            (b"\x1b[", ""),
            ("é\u{85}".as_bytes(), "é"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(words(keys), left, "{keys:?}");
        }
    }
}
