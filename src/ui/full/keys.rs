//! Keys, mouse and pastes, read from the terminal's bytes.
//!
//! crossterm's own reader does not pass on the answer to `CSI 5 n`, which tells when the terminal
//! has shown a picture, and it starts a reader for the whole process. So the bytes are read here;
//! the events are crossterm's types.

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

/// An input from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key, a paste, the mouse, a change of focus or of the size.
    Event(Event),
    /// The terminal has handled everything that was sent before a `CSI 5 n`.
    Ready,
}

/// Longest sequence of a key, in bytes; a longer one is not a key.
const LONGEST: usize = 64;
const PASTE_END: &[u8] = b"\x1b[201~";

/// Decodes the bytes that a terminal sends, in parts of any size.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
}

/// What the bytes begin with.
enum Begun {
    /// An input of so many bytes; `None` for a sequence that is not an input.
    Whole(usize, Option<Input>),
    /// More bytes decide.
    Part,
}

impl Keys {
    /// Takes bytes and returns the inputs that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.bytes.extend_from_slice(bytes);
        self.take(false)
    }

    /// Returns what the bytes so far mean when no more come: a lone Escape, for example.
    pub fn flush(&mut self) -> Vec<Input> {
        self.take(true)
    }

    /// Whether bytes wait for more.
    pub fn waits(&self) -> bool {
        !self.bytes.is_empty()
    }

    fn take(&mut self, last: bool) -> Vec<Input> {
        let (mut out, mut at) = (Vec::new(), 0);
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            match begun(rest) {
                Begun::Whole(n, input) => {
                    out.extend(input);
                    at += n.max(1);
                }
                // A paste ends with its mark, however long the line takes.
                Begun::Part if rest.starts_with(b"\x1b[200~") => break,
                Begun::Part if last || rest.len() > LONGEST => {
                    let (n, input) = cut_off(rest);
                    out.extend(input);
                    at += n;
                }
                Begun::Part => break,
            }
        }
        self.bytes.drain(..at);
        out
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Input> {
    Some(Input::Event(Event::Key(KeyEvent::new(code, modifiers))))
}

fn begun(bytes: &[u8]) -> Begun {
    match bytes {
        [0x1b] => Begun::Part,
        [0x1b, 0x1b, ..] => Begun::Whole(1, key(KeyCode::Esc, KeyModifiers::NONE)),
        [0x1b, b'[', rest @ ..] => sequence(rest),
        [0x1b, b'O', final_byte, ..] => {
            let code = letter(*final_byte);
            Begun::Whole(3, code.and_then(|c| key(c, KeyModifiers::NONE)))
        }
        [0x1b, b'O'] => Begun::Part,
        // Strings that terminals send as answers. Alt-P and its like come alone.
        [0x1b, b'P' | b']' | b'_' | b'^' | b'X'] => Begun::Part,
        [0x1b, b'P' | b']' | b'_' | b'^' | b'X', rest @ ..] => answer(rest),
        [0x1b, rest @ ..] => match plain(rest) {
            Some((n, code, modifiers)) => {
                Begun::Whole(n + 1, key(code, modifiers | KeyModifiers::ALT))
            }
            None => Begun::Part,
        },
        _ => match plain(bytes) {
            Some((n, code, modifiers)) => Begun::Whole(n, key(code, modifiers)),
            None => Begun::Part,
        },
    }
}

/// A sequence that was cut off, as keys.
fn cut_off(bytes: &[u8]) -> (usize, Option<Input>) {
    match bytes {
        [0x1b] => (1, key(KeyCode::Esc, KeyModifiers::NONE)),
        [0x1b, c @ (b'[' | b'O' | b'P' | b']' | b'_' | b'^' | b'X')] => {
            (2, key(KeyCode::Char(char::from(*c)), KeyModifiers::ALT))
        }
        _ => (bytes.len(), None),
    }
}

/// A key without an escape sequence: its bytes, code and modifiers; `None` when bytes are missing.
fn plain(bytes: &[u8]) -> Option<(usize, KeyCode, KeyModifiers)> {
    let control = |c: u8| (1, KeyCode::Char(char::from(c)), KeyModifiers::CONTROL);
    Some(match bytes[0] {
        b'\r' => (1, KeyCode::Enter, KeyModifiers::NONE),
        b'\t' => (1, KeyCode::Tab, KeyModifiers::NONE),
        0x7f => (1, KeyCode::Backspace, KeyModifiers::NONE),
        0 => control(b' '),
        c @ 1..=26 => control(c + b'a' - 1),
        c @ 27..=31 => control(c - 27 + b'['),
        c if c < 0x80 => of_char(1, char::from(c)),
        c => {
            let length = match c {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Some((1, KeyCode::Null, KeyModifiers::NONE)),
            };
            let Some(all) = bytes.get(..length) else {
                let wrong = bytes[1..].iter().any(|b| b & 0xc0 != 0x80);
                return wrong.then_some((1, KeyCode::Null, KeyModifiers::NONE));
            };
            match std::str::from_utf8(all).ok().and_then(|s| s.chars().next()) {
                Some(c) => of_char(length, c),
                None => (1, KeyCode::Null, KeyModifiers::NONE),
            }
        }
    })
}

fn of_char(length: usize, c: char) -> (usize, KeyCode, KeyModifiers) {
    let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    (length, KeyCode::Char(c), shift)
}

/// The rest of a string that answers a query, up to its end.
fn answer(rest: &[u8]) -> Begun {
    let end = |(k, b): (usize, &u8)| match b {
        7 => Some(k + 1),
        0x1b if rest.get(k + 1) == Some(&b'\\') => Some(k + 2),
        _ => None,
    };
    rest.iter().enumerate().find_map(end).map_or(Begun::Part, |n| Begun::Whole(n + 2, None))
}

/// What follows `ESC [`.
fn sequence(rest: &[u8]) -> Begun {
    let Some(k) = rest.iter().position(|b| !(0x20..=0x3f).contains(b)) else { return Begun::Part };
    let (parameters, end) = (&rest[..k], rest[k]);
    let whole = 2 + k + 1;
    if !(0x40..=0x7e).contains(&end) {
        return Begun::Whole(2 + k, None);
    }
    if parameters == b"200" && end == b'~' {
        let body = &rest[k + 1..];
        let found = body.windows(PASTE_END.len()).position(|w| w == PASTE_END);
        return found.map_or(Begun::Part, |n| {
            let text = String::from_utf8_lossy(&body[..n]).into_owned();
            Begun::Whole(whole + n + PASTE_END.len(), Some(Input::Event(Event::Paste(text))))
        });
    }
    // The mouse without SGR coordinates: three bytes follow.
    if parameters.is_empty() && end == b'M' {
        return if rest.len() < k + 4 { Begun::Part } else { Begun::Whole(whole + 3, None) };
    }
    Begun::Whole(whole, meaning(parameters, end))
}

fn meaning(parameters: &[u8], end: u8) -> Option<Input> {
    let text = std::str::from_utf8(parameters).ok()?;
    if let Some(mouse) = text.strip_prefix('<') {
        return self::mouse(&numbers(mouse), end == b'M');
    }
    if text.starts_with(['?', '>', '=']) {
        return None;
    }
    let all = numbers(text);
    let first = all.first().copied().unwrap_or(0);
    let held = modifiers(all.get(1).copied().unwrap_or(1));
    match end {
        b'I' => Some(Input::Event(Event::FocusGained)),
        b'O' => Some(Input::Event(Event::FocusLost)),
        b'n' => Some(Input::Ready),
        b'Z' => key(KeyCode::BackTab, KeyModifiers::SHIFT),
        b'u' => key(of_code(first)?, held),
        b'~' if first == 27 => key(of_code(all.get(2).copied()?)?, held),
        b'~' => key(numbered(first)?, held),
        _ => key(letter(end)?, held),
    }
}

/// The numbers between `;`; a part after `:` is left out.
fn numbers(text: &str) -> Vec<u32> {
    let number = |p: &str| p.split(':').next().unwrap_or_default().parse().unwrap_or(0);
    text.split(';').map(number).collect()
}

fn modifiers(number: u32) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let each = [KeyModifiers::SHIFT, KeyModifiers::ALT, KeyModifiers::CONTROL];
    each.into_iter().enumerate().filter(|(k, _)| bits >> k & 1 == 1).map(|(_, m)| m).collect()
}

/// The key of a code point, as in kitty's keyboard protocol.
fn of_code(code: u32) -> Option<KeyCode> {
    Some(match code {
        9 => KeyCode::Tab,
        13 => KeyCode::Enter,
        27 => KeyCode::Esc,
        8 | 127 => KeyCode::Backspace,
        _ => KeyCode::Char(char::from_u32(code).filter(|c| !c.is_control())?),
    })
}

fn letter(end: u8) -> Option<KeyCode> {
    Some(match end {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'M' => KeyCode::Enter,
        b'P'..=b'S' => KeyCode::F(end - b'P' + 1),
        _ => return None,
    })
}

fn numbered(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number as u8 - 10),
        17..=21 => KeyCode::F(number as u8 - 11),
        23 | 24 => KeyCode::F(number as u8 - 12),
        _ => return None,
    })
}

/// A mouse report: button with modifiers, column, row, from 1.
fn mouse(numbers: &[u32], pressed: bool) -> Option<Input> {
    let [code, column, row] = *numbers else { return None };
    let button = match code & 3 {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (code & 64 != 0, code & 32 != 0, code & 3) {
        (true, _, 0) => MouseEventKind::ScrollUp,
        (true, _, 1) => MouseEventKind::ScrollDown,
        (true, _, 2) => MouseEventKind::ScrollLeft,
        (true, ..) => MouseEventKind::ScrollRight,
        (_, true, 3) => MouseEventKind::Moved,
        (_, true, _) => MouseEventKind::Drag(button),
        _ if pressed => MouseEventKind::Down(button),
        _ => MouseEventKind::Up(button),
    };
    let at = |n: u32| u16::try_from(n.saturating_sub(1)).unwrap_or(u16::MAX);
    let bits = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let modifiers = bits.into_iter().filter(|(bit, _)| code & bit != 0).map(|(_, m)| m).collect();
    let event = MouseEvent { kind, column: at(column), row: at(row), modifiers };
    Some(Input::Event(Event::Mouse(event)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The inputs of some bytes as words, then of what is left when no more come.
    fn read(bytes: &[u8]) -> Vec<String> {
        let mut keys = Keys::default();
        let mut all = keys.feed(bytes);
        all.extend(keys.flush());
        all.iter().map(word).collect()
    }

    fn word(input: &Input) -> String {
        match input {
            Input::Event(Event::Key(k)) => {
                let bits = [
                    (KeyModifiers::CONTROL, "C-"),
                    (KeyModifiers::ALT, "A-"),
                    (KeyModifiers::SHIFT, "S-"),
                ];
                let held: String =
                    bits.iter().filter(|b| k.modifiers.contains(b.0)).map(|b| b.1).collect();
                match k.code {
                    KeyCode::Char(c) => format!("{held}{c}"),
                    code => format!("{held}{code:?}"),
                }
            }
            Input::Event(Event::Mouse(m)) => format!("{:?} {},{}", m.kind, m.column, m.row),
            Input::Event(other) => format!("{other:?}"),
            Input::Ready => "ready".into(),
        }
    }

    #[test]
    fn keys_of_common_terminals() {
        for (bytes, wanted) in [
            (&b"aB"[..], &["a", "S-B"][..]),
            ("é顔".as_bytes(), &["é", "顔"]),
            (b"\r\t\x7f\x03\x1a\x00", &["Enter", "Tab", "Backspace", "C-c", "C-z", "C- "]),
            (b"\x1b[A\x1bOB\x1b[1;5C\x1b[1;2D", &["Up", "Down", "C-Right", "S-Left"]),
            (b"\x1b[H\x1b[4~\x1b[5~\x1b[3;5~", &["Home", "End", "PageUp", "C-Delete"]),
            (b"\x1bOP\x1b[15~\x1b[24~\x1b[Z", &["F(1)", "F(5)", "F(12)", "S-BackTab"]),
            (b"\x1b\r\x1bx\x1b\x7f", &["A-Enter", "A-x", "A-Backspace"]),
            (b"\x1b[13;2u\x1b[27;5;13~\x1b[97;5u", &["S-Enter", "C-Enter", "C-a"]),
            (b"\x1b", &["Esc"]),
            (b"\x1b\x1b[A", &["Esc", "Up"]),
            (b"\x1b[", &["A-["]),
            (b"\x1b[I\x1b[O\x1b[0n", &["FocusGained", "FocusLost", "ready"]),
            (b"\x1b[<0;3;4M\x1b[<0;3;4m", &["Down(Left) 2,3", "Up(Left) 2,3"]),
            (b"\x1b[<65;1;1M\x1b[<32;9;2M", &["ScrollDown 0,0", "Drag(Left) 8,1"]),
            (b"\x1b[200~a\n\x1b[Ab\x1b[201~c", &["Paste(\"a\\n\\u{1b}[Ab\")", "c"]),
            // Answers to queries, and bytes that are not UTF-8, are not keys.
            (b"\x1b[?62;4c\x1b]11;rgb:0/0/0\x1b\\\x1bP1$r0m\x1b\\x", &["x"]),
            (b"\xffz", &["Null", "z"]),
        ] {
            assert_eq!(read(bytes), wanted, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_paste_waits_for_its_end() {
        let mut keys = Keys::default();
        assert!(keys.feed(b"\x1b[200~one").is_empty() && keys.flush().is_empty());
        assert_eq!(keys.feed(b" two\x1b[201~").len(), 1);
        assert!(!keys.waits());
    }

    proptest! {
        #[test]
        fn the_parts_do_not_matter(
            pieces in proptest::collection::vec(0usize..12, 0..12),
            cuts in proptest::collection::vec(0usize..80, 0..6),
        ) {
            const ALL: [&[u8]; 12] = [
                b"a", b"\x1b[A", b"\x1b[1;5C", "é".as_bytes(), b"\r", b"\x1b[200~x y\x1b[201~",
                b"\x1b[<0;3;4M", b"\x1b[0n", b"\x1bx", b"\x1bOP", "😀".as_bytes(), b"\x1b[3~",
            ];
            let bytes: Vec<u8> = pieces.iter().flat_map(|p| ALL[*p]).copied().collect();
            let mut keys = Keys::default();
            let cuts = cuts.into_iter().map(|c| c.min(bytes.len()));
            let mut cuts: Vec<usize> = cuts.chain([bytes.len()]).collect();
            cuts.sort_unstable();
            let (mut from, mut found) = (0, Vec::new());
            for to in cuts {
                found.extend(keys.feed(&bytes[from..to]));
                from = to;
            }
            prop_assert_eq!(&found, &Keys::default().feed(&bytes));
            prop_assert_eq!(found.len(), pieces.len());
        }

        #[test]
        fn any_bytes_are_accepted(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut keys = Keys::default();
            keys.feed(&bytes);
            keys.flush();
            prop_assert!(!keys.waits() || keys.bytes.starts_with(b"\x1b[200~"));
        }
    }
}
