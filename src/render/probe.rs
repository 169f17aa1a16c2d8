//! Queries the terminal's abilities: once, with a deadline, without a thread and without losing a
//! key.

use super::answers::{self, Answers};
use super::detect::{Facts, decide};
use super::environment::{Environment, Options};
use super::terminal::{Graphics, Terminal};
use super::tmux;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::termios::{self, OptionalActions, SpecialCodeIndex, Termios};
use std::time::{Duration, Instant};

/// Result of a probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The terminal.
    pub terminal: Terminal,
    /// Keys that the user typed meanwhile, in order and complete. The prompt takes them as its
    /// first input.
    pub typed: Vec<u8>,
}

/// Probes the terminal on standard input and output.
pub fn probe(options: &Options) -> Probe {
    probe_on(rustix::stdio::stdin(), rustix::stdio::stdout(), options, &Environment::of_process())
}

/// Probes the terminal on these two descriptors. Never fails: an ability that cannot be determined
/// counts as absent, and the terminal's reasons say so. The terminal's modes are unchanged on
/// return.
pub fn probe_on(
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
    options: &Options,
    environment: &Environment,
) -> Probe {
    if !termios::isatty(output) {
        let mut terminal = Terminal::plain("output is not a terminal");
        if let Graphics::Force(p) = options.graphics {
            terminal.protocol = p;
            terminal.reasons.push("asked for with --graphics".into());
        }
        return Probe { terminal, typed: Vec::new() };
    }
    let size = termios::tcgetwinsize(output)
        .map_or([0; 4], |s| [s.ws_col, s.ws_row, s.ws_xpixel, s.ws_ypixel]);
    let asked = may_ask(input, environment);
    let heard = if asked {
        let question = answers::question(is_multiplexed(environment));
        let sure =
            environment.get("TERM").is_some_and(|t| ANSWERING.iter().any(|a| t.starts_with(a)));
        let deadline = if sure { 3 * options.deadline } else { options.deadline };
        ask([input, output], &question, [deadline, 3 * options.deadline])
    } else {
        Heard::default()
    };
    let facts = Facts {
        asked,
        answers: heard.answers,
        tmux: tmux::ask(environment, options.deadline),
        in_tmux: environment.get("TMUX").is_some(),
        size,
        environment: Some(environment),
    };
    let mut terminal = decide(&facts, options);
    terminal.round_trip = heard.round_trip;
    Probe { terminal, typed: facts.answers.typed }
}

/// Prefixes of `TERM` that only answering terminals have, so it is safe to wait for them.
const ANSWERING: [&str; 7] =
    ["xterm-kitty", "xterm-ghostty", "foot", "wezterm", "alacritty", "contour", "mlterm"];

/// Whether this runs inside tmux or screen, perhaps through SSH, which carries only `TERM`.
fn is_multiplexed(environment: &Environment) -> bool {
    let term = environment.get("TERM").unwrap_or("");
    environment.get("TMUX").is_some() || term.starts_with("tmux") || term.starts_with("screen")
}

/// Whether the terminal may be queried: it has a name, does not print the queries, and this process
/// may change its modes.
fn may_ask(input: BorrowedFd<'_>, environment: &Environment) -> bool {
    let prints_it = matches!(environment.get("TERM"), None | Some("" | "dumb" | "linux"))
        || environment.get("TERM_PROGRAM") == Some("Apple_Terminal");
    // A process in the background would be stopped if it changed the modes.
    let background = termios::tcgetpgrp(input).is_ok_and(|g| g != rustix::process::getpgrp());
    termios::isatty(input) && !prints_it && !background
}

#[derive(Default)]
struct Heard {
    answers: Answers,
    round_trip: Option<Duration>,
}

/// Sends the queries; waits for `first` until a first answer and for `last` until the last one.
fn ask(
    [input, output]: [BorrowedFd<'_>; 2],
    question: &[u8],
    [first, last]: [Duration; 2],
) -> Heard {
    let Ok(_raw) = RawMode::enter(input) else { return Heard::default() };
    let start = Instant::now();
    if write_all(output, question).is_err() {
        return Heard::default();
    }
    let mut bytes = Vec::new();
    let mut answers = Answers::default();
    loop {
        let limit = if answers.count > 0 { last } else { first };
        match read_before(input, start + limit, &mut bytes) {
            Ok(true) => answers = answers::split(&bytes),
            // The time is over, or the terminal is gone.
            Ok(false) | Err(_) => return Heard { answers, round_trip: None },
        }
        if answers.attributes.is_some() {
            return Heard { answers, round_trip: Some(start.elapsed()) };
        }
    }
}

/// Appends input that arrives before `end`; false after a timeout.
fn read_before(
    input: BorrowedFd<'_>,
    end: Instant,
    bytes: &mut Vec<u8>,
) -> rustix::io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let time = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::from_borrowed_fd(input, PollFlags::IN)];
        match poll(&mut fds, Some(&time)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e),
        }
        let mut buffer = [0; 1024];
        match rustix::io::read(input, &mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                bytes.extend(&buffer[..n]);
                return Ok(true);
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(e) => return Err(e),
        }
    }
}

fn write_all(output: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Unbuffered input without echo while this lives. Typed keys survive both mode changes.
struct RawMode<'a> {
    input: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> RawMode<'a> {
    fn enter(input: BorrowedFd<'a>) -> rustix::io::Result<Self> {
        let before = termios::tcgetattr(input)?;
        let mut raw = before.clone();
        raw.make_raw();
        // The output modes stay unchanged.
        raw.output_modes = before.output_modes;
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(input, OptionalActions::Now, &raw)?;
        Ok(Self { input, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // A terminal that is gone has no modes to restore.
        let _ = termios::tcsetattr(self.input, OptionalActions::Now, &self.before);
    }
}
