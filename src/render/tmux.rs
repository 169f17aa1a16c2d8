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
                      #{session_attached}\t#{client_cell_width}\t#{client_cell_height}";

/// Queries tmux; `None` outside tmux, or when it does not answer within `time`.
pub fn ask(environment: &Environment, time: Duration) -> Option<Tmux> {
    environment.get("TMUX")?;
    let mut command = Command::new("tmux");
    command.args(["display-message", "-p"]);
    if let Some(pane) = environment.get("TMUX_PANE") {
        command.args(["-t", pane]);
    }
    let mut child = command
        .arg(FORMAT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > time {
            // A tmux that hangs is stopped. An error here means that it ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    child.stdout.take()?.take(4096).read_to_string(&mut text).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<Tmux> {
    let fields: Vec<&str> = text.trim_end_matches('\n').split('\t').collect();
    let [kind, term, features, passthrough, attached, width, height] = fields[..] else {
        return None;
    };
    let cell =
        width.parse().ok().zip(height.parse().ok()).filter(|&(w, h): &(u16, u16)| w > 0 && h > 0);
    Some(Tmux {
        name: if kind.is_empty() { term } else { kind }.to_string(),
        passthrough: matches!(passthrough, "on" | "all" | "1"),
        attached: attached.parse::<u32>().is_ok_and(|n| n > 0),
        true_colour: features.split(',').any(|f| f == "RGB"),
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
        let t = parse("kitty(0.35.2)\txterm-kitty\tbpaste,RGB,title\ton\t1\t10\t20\n").unwrap();
        assert_eq!(
            (t.name.as_str(), t.passthrough, t.attached, t.true_colour),
            ("kitty(0.35.2)", true, true, true)
        );
        assert_eq!(t.cell, Some((10, 20)));
        let t = parse("\txterm-256color\tbpaste\toff\t0\t0\t0\n").unwrap();
        assert_eq!(
            (t.name.as_str(), t.passthrough, t.attached, t.cell),
            ("xterm-256color", false, false, None)
        );
        assert_eq!(parse("no server"), None);
    }

    #[test]
    fn wrapped_escapes_are_doubled() {
        assert_eq!(wrap("\x1b_Ga=d\x1b\\"), "\x1bPtmux;\x1b\x1b_Ga=d\x1b\x1b\\\x1b\\");
    }
}
