//! Decides what a terminal can do, from its answers, the environment and the options. Pure: it
//! reads only its arguments.

use super::answers::Answers;
use super::environment::{Environment, Options};
use super::terminal::{Colours, Graphics, Protocol, Symbols, Terminal};
use super::tmux::Tmux;
use crate::safe::Safe;

/// Everything that is known about a terminal.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// Whether the terminal was queried.
    pub asked: bool,
    /// Its answers.
    pub answers: Answers,
    /// The answer of tmux, inside tmux.
    pub tmux: Option<Tmux>,
    /// Whether the process runs in tmux.
    pub in_tmux: bool,
    /// Columns and rows, then width and height of the window in pixels, from the kernel; 0 if
    /// unknown.
    pub size: [u16; 4],
    /// The process's environment.
    pub environment: Option<&'a Environment>,
}

impl Facts<'_> {
    fn env(&self, name: &str) -> &str {
        self.environment.and_then(|e| e.get(name)).unwrap_or("")
    }

    /// The name of the terminal that shows the pictures; inside tmux, of the outer terminal.
    fn name(&self) -> &str {
        let own = self.answers.name.as_deref().unwrap_or("");
        if self.in_tmux { self.tmux.as_ref().map_or(own, |t| &t.name) } else { own }
    }
}

/// Decides what the terminal can do, with the reasons.
pub fn decide(facts: &Facts<'_>, options: &Options) -> Terminal {
    let colours = colours(facts);
    let (protocol, reason) = match options.graphics {
        Graphics::Force(p) => (p, "asked for with --graphics".to_string()),
        Graphics::Auto => protocol(facts, colours),
    };
    let [columns, rows, ..] = facts.size;
    let mut reasons = Vec::new();
    if !facts.name().is_empty() {
        reasons.push(format!("calls itself {}", Safe(facts.name())));
    }
    reasons.push(reason);
    if !facts.asked {
        reasons.push(
            "was not queried: this process has other input or is in the background, or the \
             terminal would print the query"
                .into(),
        );
    } else if facts.answers.attributes.is_none() {
        reasons.push("did not answer in time".into());
    }
    let piped = facts.in_tmux && matches!(protocol, Protocol::Kitty | Protocol::Iterm);
    Terminal {
        protocol,
        colours,
        symbols: options.symbols.unwrap_or_else(|| symbols(facts, colours)),
        columns: if columns == 0 { 80 } else { columns },
        rows: if rows == 0 { 24 } else { rows },
        cell: cell(facts),
        picture_width: None,
        synchronized: facts.answers.synchronized,
        passthrough: piped,
        name: facts.name().to_string(),
        reasons,
        round_trip: None,
    }
}

/// The block characters of a terminal. Quadrants show twice the detail of half blocks where any two
/// colours can be mixed in a cell. Among few colours the dithering of half blocks counts more, and
/// the fonts of the Linux console have no quadrants.
fn symbols(facts: &Facts<'_>, colours: Colours) -> Symbols {
    if colours == Colours::True && facts.env("TERM") != "linux" {
        Symbols::Quad
    } else {
        Symbols::Half
    }
}

fn colours(facts: &Facts<'_>) -> Colours {
    let term = facts.env("TERM");
    if !facts.env("NO_COLOR").is_empty() || matches!(term, "dumb" | "vt100" | "vt102" | "vt220") {
        return Colours::None;
    }
    let told = matches!(facts.env("COLORTERM"), "truecolor" | "24bit") || term.ends_with("-direct");
    let able = match &facts.tmux {
        // COLORTERM is that of the shell in which tmux began; tmux rounds colours that its terminal
        // lacks, which shows bands where dithering shows none.
        Some(tmux) if tmux.attached => tmux.true_colour,
        _ => told || facts.answers.true_colour,
    };
    if able { Colours::True } else { Colours::Indexed }
}

fn protocol(facts: &Facts<'_>, colours: Colours) -> (Protocol, String) {
    let say = |p, why: &str| (p, why.to_string());
    if facts.env("TERM") == "dumb" {
        return say(Protocol::Words, "TERM=dumb");
    }
    let sixel = facts.answers.attributes.as_ref().is_some_and(|a| a.contains(&4));
    let (found, why) = if facts.in_tmux { in_tmux(facts, sixel) } else { direct(facts, sixel) };
    match (found, colours) {
        (Some(p), _) => (p, why),
        (None, Colours::None) => (Protocol::None, format!("{why}; block graphics need colours")),
        (None, _) => (Protocol::Blocks, why),
    }
}

/// The version of Zellij that this runs in, as a number of four digits: 4301 is 0.43.1. 0 for one
/// that does not say.
fn zellij(facts: &Facts<'_>) -> Option<u32> {
    let named = facts.name().strip_prefix("Zellij(").and_then(|v| v.strip_suffix(')'));
    match named {
        Some(version) => Some(version.parse().unwrap_or(0)),
        // Older versions have no name. A terminal with another one is inside Zellij's shell only.
        None if facts.name().is_empty() && !facts.env("ZELLIJ").is_empty() => Some(0),
        None => None,
    }
}

/// The first version of Zellij that passes on kitty graphics, and says that it shows sixel only
/// where the terminal behind it does.
const ZELLIJ_ASKS: u32 = 4500;

fn direct(facts: &Facts<'_>, sixel: bool) -> (Option<Protocol>, String) {
    let say = |p, why: &str| (Some(p), why.to_string());
    if zellij(facts).is_some_and(|v| v < ZELLIJ_ASKS) && sixel {
        return (
            None,
            "Zellij before 0.45 answers to sixel whether or not the terminal behind it shows \
             sixel (repair: Zellij 0.45, or --graphics sixel where it does)"
                .into(),
        );
    }
    let sized = facts.answers.cell.is_some() || facts.answers.window.is_some();
    if zellij(facts).is_some() && (facts.answers.kitty || sixel) && !sized {
        // Measured with 0.45.1 in xterm: it says that it shows sixel, and shows nothing.
        return (
            None,
            "Zellij does not know how large a cell is and shows no pictures (repair: let the \
             terminal behind it tell, in xterm with the resource allowWindowOps: true)"
                .into(),
        );
    }
    // WezTerm and Konsole answer the kitty query but support only half of the protocol.
    let iterm = speaks_iterm(facts.name());
    if facts.answers.kitty && !iterm {
        return say(Protocol::Kitty, "answers to kitty graphics");
    }
    if iterm {
        return say(Protocol::Iterm, "its name implies iTerm2 graphics");
    }
    // If the terminal does not state its name, the environment may, but only if the terminal
    // answers. SSH drops these variables, and a stale variable would show a picture as text.
    let told = matches!(facts.env("TERM_PROGRAM"), "iTerm.app" | "WezTerm")
        || facts.env("LC_TERMINAL") == "iTerm2";
    if told && facts.answers.name.is_none() && facts.answers.attributes.is_some() {
        return say(Protocol::Iterm, "TERM_PROGRAM or LC_TERMINAL implies iTerm2 graphics");
    }
    if sixel {
        return say(Protocol::Sixel, "answers to sixel");
    }
    (None, "does not answer to any graphics protocol".into())
}

fn in_tmux(facts: &Facts<'_>, sixel: bool) -> (Option<Protocol>, String) {
    if sixel {
        return (Some(Protocol::Sixel), "tmux itself shows sixel".into());
    }
    let Some(tmux) = &facts.tmux else {
        return (None, "tmux did not name the terminal behind it".into());
    };
    let behind = if speaks_iterm(&tmux.name) {
        Protocol::Iterm
    } else if has_placeholders(&tmux.name) {
        Protocol::Kitty
    } else {
        return (None, "the terminal behind tmux is not known to show graphics".into());
    };
    if !tmux.attached {
        return (None, "no client is attached to tmux".into());
    }
    if !tmux.passthrough {
        return (None, "tmux blocks graphics (repair: tmux set -g allow-passthrough on)".into());
    }
    (Some(behind), "the terminal behind tmux shows graphics, and tmux hands them on".into())
}

fn speaks_iterm(name: &str) -> bool {
    ["iTerm2", "WezTerm", "Konsole"].iter().any(|n| name.starts_with(n))
}

/// Kitty from 0.28 on, and ghostty. In tmux, pictures must be text that moves with the pane.
fn has_placeholders(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let minor = name
        .strip_prefix("kitty(0.")
        .map(|v| v.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    let old = minor.and_then(|m| m.parse::<u32>().ok()).is_some_and(|m| m < 28);
    !old && (name.contains("kitty") || name.contains("ghostty"))
}

/// The size of a cell: from the terminal, from tmux, from the window's pixels, or 8×16.
fn cell(facts: &Facts<'_>) -> (u16, u16) {
    let [columns, rows, width, height] = facts.size;
    let per = |w: u16, h: u16| Some((w.checked_div(columns)?, h.checked_div(rows)?));
    let sane = |c: &(u16, u16)| (3..=100).contains(&c.0) && (5..=200).contains(&c.1);
    let tmux = facts.tmux.as_ref().and_then(|t| t.cell);
    let window = facts.answers.window.and_then(|(w, h)| per(w, h));
    [tmux, facts.answers.cell, window, per(width, height)]
        .into_iter()
        .flatten()
        .find(sane)
        .unwrap_or((8, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: Option<&str>, kitty: bool, attributes: &[u16]) -> Facts<'static> {
        let answers = Answers {
            name: name.map(str::to_string),
            kitty,
            attributes: Some(attributes.to_vec()),
            ..Answers::default()
        };
        Facts { answers, size: [80, 24, 0, 0], ..Facts::default() }
    }

    fn protocol_of(f: &Facts<'_>) -> Protocol {
        decide(f, &Options::default()).protocol
    }

    #[test]
    fn who_gets_what() {
        for (name, kitty, attributes, wanted) in [
            (Some("kitty(0.35.2)"), true, &[62][..], Protocol::Kitty),
            (Some("ghostty 1.1.0"), true, &[62], Protocol::Kitty),
            (Some("WezTerm 20240203"), true, &[65, 4], Protocol::Iterm),
            (Some("Konsole 23.08.1"), true, &[62, 4], Protocol::Iterm),
            (Some("iTerm2 3.5.0"), false, &[62, 4], Protocol::Iterm),
            (Some("XTerm(379)"), false, &[64, 4], Protocol::Sixel),
            (Some("VTE(7000)"), false, &[61, 1], Protocol::Blocks),
            (None, false, &[6], Protocol::Blocks),
            (Some("Zellij(4501)"), true, &[62, 52], Protocol::Kitty),
            (Some("Zellij(4500)"), false, &[62, 4, 52], Protocol::Sixel),
            (Some("Zellij(4500)"), false, &[62, 52], Protocol::Blocks),
            (Some("Zellij(4301)"), false, &[62, 4], Protocol::Blocks),
            (Some("Zellij(x"), false, &[62, 4], Protocol::Sixel),
        ] {
            let mut f = facts(name, kitty, attributes);
            f.answers.cell = Some((8, 16));
            assert_eq!(protocol_of(&f), wanted, "{name:?}");
        }
        for kitty in [true, false] {
            let f = facts(Some("Zellij(4501)"), kitty, &[62, 4, 52]);
            assert_eq!(protocol_of(&f), Protocol::Blocks, "no cell to place pictures by");
        }
    }

    #[test]
    fn environment_decides_little() {
        let env = |v: &[(&str, &str)]| Environment::from(v);
        let iterm = env(&[("TERM_PROGRAM", "iTerm.app")]);
        let mut f = facts(None, false, &[62]);
        f.environment = Some(&iterm);
        assert_eq!(protocol_of(&f), Protocol::Iterm);
        f.answers.name = Some("foot(1.16)".into());
        assert_eq!(protocol_of(&f), Protocol::Blocks, "what it calls itself counts more");
        f.answers = Answers::default();
        assert_eq!(protocol_of(&f), Protocol::Blocks, "a mute terminal gets no graphics");
        let zellij = env(&[("ZELLIJ", "0")]);
        f.environment = Some(&zellij);
        f.answers = Answers { attributes: Some(vec![62, 4]), ..Answers::default() };
        let old = decide(&f, &Options::default());
        assert!(old.protocol == Protocol::Blocks && old.reasons[0].contains("Zellij"), "{old:?}");
        f.answers.name = Some("XTerm(379)".into());
        assert_eq!(protocol_of(&f), Protocol::Sixel, "a terminal that was opened from Zellij");
        f.answers = Answers::default();
        let dumb = env(&[("TERM", "dumb"), ("COLORTERM", "truecolor")]);
        f.environment = Some(&dumb);
        let t = decide(&f, &Options::default());
        assert_eq!((t.protocol, t.colours), (Protocol::Words, Colours::None));
        let plain = env(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]);
        f.environment = Some(&plain);
        let t = decide(&f, &Options::default());
        assert_eq!((t.protocol, t.colours), (Protocol::None, Colours::None));
        f.answers.kitty = true;
        assert_eq!(protocol_of(&f), Protocol::Kitty, "NO_COLOR is about text");
    }

    #[test]
    fn quadrants_where_colours_and_fonts_allow() {
        for (variables, wanted) in [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..], Symbols::Quad),
            (&[("TERM", "xterm-256color")], Symbols::Half),
            (&[("TERM", "linux"), ("COLORTERM", "truecolor")], Symbols::Half),
        ] {
            let environment = Environment::from(variables);
            let f = Facts { environment: Some(&environment), ..facts(None, false, &[62]) };
            assert_eq!(decide(&f, &Options::default()).symbols, wanted, "{variables:?}");
            let asked = Options { symbols: Some(Symbols::Sextant), ..Options::default() };
            assert_eq!(decide(&f, &asked).symbols, Symbols::Sextant);
        }
    }

    #[test]
    fn tmux_is_looked_through() {
        let mut f = facts(Some("tmux 3.3a"), false, &[1, 2]);
        f.in_tmux = true;
        assert_eq!(protocol_of(&f), Protocol::Blocks);
        let behind = |name: &str| Tmux {
            name: name.into(),
            passthrough: true,
            attached: true,
            ..Tmux::default()
        };
        for (name, wanted) in [
            ("kitty(0.35.2)", Protocol::Kitty),
            ("xterm-kitty", Protocol::Kitty),
            ("kitty(0.26.5)", Protocol::Blocks),
            ("WezTerm 2024", Protocol::Iterm),
            ("XTerm(379)", Protocol::Blocks),
        ] {
            f.tmux = Some(behind(name));
            let t = decide(&f, &Options::default());
            assert_eq!((t.protocol, t.passthrough), (wanted, wanted != Protocol::Blocks), "{name}");
        }
        f.tmux = Some(Tmux { passthrough: false, ..behind("kitty") });
        let t = decide(&f, &Options::default());
        assert!(
            t.protocol == Protocol::Blocks
                && t.reasons.iter().any(|r| r.contains("allow-passthrough on"))
        );
        f.tmux = Some(Tmux { attached: false, ..behind("kitty") });
        assert_eq!(protocol_of(&f), Protocol::Blocks);
        f.answers.attributes = Some(vec![1, 4]);
        assert_eq!(protocol_of(&f), Protocol::Sixel);
    }

    #[test]
    fn tmux_knows_the_colours_behind_it() {
        let environment = Environment::from(&[("TERM", "screen"), ("COLORTERM", "truecolor")][..]);
        let mut f = facts(Some("tmux 3.3a"), false, &[1, 2]);
        (f.in_tmux, f.environment) = (true, Some(&environment));
        assert_eq!(colours(&f), Colours::True, "a tmux that does not answer");
        for (attached, true_colour, wanted) in [
            (true, false, Colours::Indexed),
            (true, true, Colours::True),
            (false, false, Colours::True),
        ] {
            f.tmux = Some(Tmux { attached, true_colour, ..Tmux::default() });
            assert_eq!(colours(&f), wanted, "{attached} {true_colour}");
        }
    }

    #[test]
    fn cell_sizes() {
        let mut f = facts(None, false, &[]);
        assert_eq!(cell(&f), (8, 16));
        f.size = [80, 24, 800, 480];
        assert_eq!(cell(&f), (10, 20));
        f.answers.window = Some((720, 432));
        assert_eq!(cell(&f), (9, 18));
        f.answers.cell = Some((7, 15));
        assert_eq!(cell(&f), (7, 15));
        f.answers.cell = Some((0, 9999));
        assert_eq!(cell(&f), (9, 18), "nonsense is passed over");
        f.size = [0; 4];
        assert_eq!(cell(&f), (8, 16));
    }

    #[test]
    fn names_from_outside_are_escaped() {
        let t = decide(&facts(Some("x\u{9b}31m"), false, &[]), &Options::default());
        assert!(t.reasons[0].contains("\\u{9b}"));
    }
}
