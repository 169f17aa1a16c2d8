//! Queries tmux for the outer terminal, and whether it passes graphics on.

use super::environment::Environment;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The answer of tmux about the client that shows this pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tmux {
    /// Name of the outer terminal, or its `TERM`. Text from outside.
    pub name: String,
    /// `allow-passthrough` is `on` or `all`.
    pub passthrough: bool,
    /// A client is attached to the session.
    pub attached: bool,
    /// The outer terminal supports 24-bit colours.
    pub true_colour: bool,
    /// Cell size in pixels: width, height.
    pub cell: Option<(u16, u16)>,
}

const FORMAT: &str = "#{client_termtype}\t#{client_termname}\t#{client_termfeatures}\t#{allow-passthrough}\t\
                      #{session_attached}\t#{client_cell_width}\t#{client_cell_height}\t#{client_tty}";
/// Most bytes of an answer: `show-messages -T` lists some 7 kB for each client.
const ANSWER: u64 = 1 << 18;
/// Time between two queries.
const AGAIN: Duration = Duration::from_millis(20);
/// The flag of a terminal to which tmux writes 24-bit colours.
const RGB: u32 = 0x10;

/// Queries tmux; `None` outside tmux, or when it does not answer within `time`. A client that has
/// just been attached is asked again until its terminal has told tmux its name and version, as
/// kitty and ghostty do: what they show depends on the version.
pub fn ask(environment: &Environment, time: Duration) -> Option<Tmux> {
    let start = Instant::now();
    loop {
        let found = asked(environment, time.saturating_sub(start.elapsed()))?;
        let waiting = ["xterm-kitty", "xterm-ghostty"].contains(&found.name.as_str());
        if !waiting || start.elapsed() + AGAIN > time {
            return Some(found);
        }
        std::thread::sleep(AGAIN);
    }
}

/// Queries tmux once.
fn asked(environment: &Environment, time: Duration) -> Option<Tmux> {
    environment.get("TMUX")?;
    let mut command = Command::new("tmux");
    command.args(["display-message", "-p"]);
    if let Some(pane) = environment.get("TMUX_PANE") {
        command.args(["-t", pane]);
    }
    let mut child = command
        // A terminal whose own description has 24-bit colours lacks the feature `RGB`; the flags
        // of `show-messages -T` have both kinds.
        .args([FORMAT, ";", "show-messages", "-T"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    // The answer fits into no pipe when there are many clients, so it is read while tmux writes.
    let stdout = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.take(ANSWER).read_to_end(&mut text).map(|_| text)
    });
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > time {
            // A tmux that hangs is stopped. An error here means that it ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    parse(&String::from_utf8_lossy(&reader.join().ok()?.ok()?))
}

fn parse(text: &str) -> Option<Tmux> {
    let mut lines = text.lines();
    let fields: Vec<&str> = lines.next()?.split('\t').collect();
    let [kind, term, features, passthrough, attached, width, height, tty] = fields[..] else {
        return None;
    };
    // Terminal 0: xterm-kitty for /dev/pts/1, flags=0x31:
    let client = format!(" for {tty}, flags=0x");
    let flags = |line: &str| {
        let (_, flags) = line.strip_prefix("Terminal ")?.split_once(&client)?;
        u32::from_str_radix(flags.trim_end_matches(':'), 16).ok()
    };
    let writes_rgb = lines.find_map(flags).is_some_and(|flags| flags & RGB != 0);
    let cell =
        width.parse().ok().zip(height.parse().ok()).filter(|&(w, h): &(u16, u16)| w > 0 && h > 0);
    Some(Tmux {
        name: if kind.is_empty() { term } else { kind }.to_string(),
        passthrough: matches!(passthrough, "on" | "all" | "1"),
        attached: attached.parse::<u32>().is_ok_and(|n| n > 0),
        true_colour: writes_rgb || features.split(',').any(|f| f == "RGB"),
        cell,
    })
}

/// Wraps a sequence so that tmux passes it to the outer terminal.
pub fn wrap(sequence: &str) -> String {
    format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tmux_says() {
        let t = parse("kitty(0.35.2)\txterm-kitty\tbpaste,RGB,title\ton\t1\t10\t20\t/dev/pts/1\n")
            .unwrap();
        assert_eq!(
            (t.name.as_str(), t.passthrough, t.attached, t.true_colour),
            ("kitty(0.35.2)", true, true, true)
        );
        assert_eq!(t.cell, Some((10, 20)));
        let t = parse("\txterm-256color\tbpaste\toff\t0\t0\t0\t\n").unwrap();
        assert_eq!(
            (t.name.as_str(), t.passthrough, t.attached, t.cell),
            ("xterm-256color", false, false, None)
        );
        assert_eq!(parse("no server"), None);
    }

    #[test]
    fn colours_of_the_own_terminal_count_also_without_the_feature() {
        let answer = |tty: &str| {
            format!(
                "\txterm-kitty\tbpaste,title\ton\t1\t8\t16\t{tty}\n\
                 Terminal 0: xterm for /dev/pts/1, flags=0x21:\n   0: acsc: (string) x\n\
                 Terminal 1: xterm-kitty for /dev/pts/12, flags=0x31:\n 223: Tc: (flag) true\n"
            )
        };
        assert!(parse(&answer("/dev/pts/12")).unwrap().true_colour);
        assert!(!parse(&answer("/dev/pts/1")).unwrap().true_colour);
        assert!(!parse(&answer("/dev/pts/3")).unwrap().true_colour);
    }

    #[test]
    fn wrapped_escapes_are_doubled() {
        assert_eq!(wrap("\x1b_Ga=d\x1b\\"), "\x1bPtmux;\x1b\x1b_Ga=d\x1b\x1b\\\x1b\\");
    }
}
