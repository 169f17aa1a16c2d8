//! Separates the terminal's answers from keys that the user typed meanwhile.

/// The picture id in the query for kitty graphics; no picture is shown under it.
pub const QUERY_ID: u32 = 31;

/// The queries: kitty graphics, cell and window size in pixels, name, synchronised updates, true
/// colour, and last the device attributes. Every terminal answers these, so their answer ends the
/// answers.
///
/// The colour is set, queried and reset; nothing is printed in it. Inside a multiplexer the kitty
/// query is left out, because tmux would take it for a new title of its pane.
pub fn question(multiplexed: bool) -> Vec<u8> {
    let kitty = format!("\x1b_Gi={QUERY_ID},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\");
    let kitty = if multiplexed { "" } else { &kitty };
    let colour = "\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m";
    format!("{kitty}\x1b[16t\x1b[14t\x1b[>q\x1b[?2026$p{colour}{FENCE}").into_bytes()
}

const FENCE: &str = "\x1b[c";

/// The terminal's answers, and the typed keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Kitty graphics work.
    pub kitty: bool,
    /// Cell size in pixels: width, height.
    pub cell: Option<(u16, u16)>,
    /// Window size in pixels: width, height.
    pub window: Option<(u16, u16)>,
    /// Name and version (XTVERSION): outside text.
    pub name: Option<String>,
    /// Synchronised updates work.
    pub synchronized: bool,
    /// 24-bit colours are kept as they are.
    pub true_colour: bool,
    /// The device attributes; `Some` means that all answers have arrived. Attribute 4 is sixel.
    pub attributes: Option<Vec<u16>>,
    /// Number of answers.
    pub count: usize,
    /// All bytes that are not answers, in order.
    pub typed: Vec<u8>,
}

/// Splits the terminal's input. Works on any bytes: an incomplete answer counts as typed, except at
/// the very end, where it is dropped, because keys never send it.
pub fn split(bytes: &[u8]) -> Answers {
    let mut found = Answers::default();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        match if *first == 0x1b { answer(rest) } else { None } {
            Some(Reply { length, effect }) => {
                found.count += 1;
                effect(&mut found);
                rest = &rest[length..];
            }
            None if is_begun(rest) => break,
            None => {
                found.typed.push(*first);
                rest = tail;
            }
        }
    }
    found
}

struct Reply {
    length: usize,
    effect: Box<dyn FnOnce(&mut Answers)>,
}

/// The answer at the beginning of these bytes.
fn answer(bytes: &[u8]) -> Option<Reply> {
    string(bytes, b"\x1b_G")
        .map(kitty)
        .or_else(|| string(bytes, b"\x1bP").and_then(device_string))
        .or_else(|| csi(bytes))
}

/// Body and total length of a string sequence with this opening, closed by ST.
fn string<'a>(bytes: &'a [u8], opening: &[u8]) -> Option<(&'a [u8], usize)> {
    let body = bytes.strip_prefix(opening)?;
    let end = body.windows(2).position(|w| w == b"\x1b\\")?;
    // An escape inside means that another sequence began, so this was not a string.
    (!body[..end].contains(&0x1b)).then_some((&body[..end], opening.len() + end + 2))
}

fn kitty((body, length): (&[u8], usize)) -> Reply {
    let text = String::from_utf8_lossy(body).into_owned();
    let (keys, message) = text.split_once(';').unwrap_or((&text, ""));
    let ours = keys.split(',').any(|k| k == format!("i={QUERY_ID}"));
    let works = ours && message == "OK";
    Reply { length, effect: Box::new(move |a| a.kitty |= works) }
}

fn device_string((body, length): (&[u8], usize)) -> Option<Reply> {
    if let Some(name) = body.strip_prefix(b">|") {
        let name = String::from_utf8_lossy(name).into_owned();
        return Some(Reply { length, effect: Box::new(move |a| a.name = Some(name)) });
    }
    let attributes = body.strip_prefix(b"1$r").or_else(|| body.strip_prefix(b"0$r"))?;
    // 48:2:1:2:3m, 48:2::1:2:3m or 48;2;1;2;3m, possibly after other attributes.
    let text = String::from_utf8_lossy(attributes).replace(';', ":").replace("::", ":");
    let kept = text.contains("48:2:1:2:3m");
    Some(Reply { length, effect: Box::new(move |a| a.true_colour |= kept) })
}

/// Parses `CSI ? … c`, `CSI 4;h;w t`, `CSI 6;h;w t` and `CSI ? 2026;n $ y`. Other CSI sequences may
/// be keys.
fn csi(bytes: &[u8]) -> Option<Reply> {
    let body = bytes.strip_prefix(b"\x1b[")?;
    let end = body.iter().position(|b| (0x40..=0x7e).contains(b))?;
    let (text, last) = (std::str::from_utf8(&body[..end]).ok()?, body[end]);
    let length = end + 3;
    let numbers = |t: &str| t.split(';').map(|n| n.parse::<u16>().ok()).collect::<Option<Vec<_>>>();
    let effect: Box<dyn FnOnce(&mut Answers)> = match last {
        b'c' => {
            let list = text.strip_prefix('?')?.split(';').filter_map(|n| n.parse().ok()).collect();
            Box::new(move |a| a.attributes = Some(list))
        }
        b't' => match numbers(text)?[..] {
            [4, h, w] => Box::new(move |a| a.window = Some((w, h))),
            [6, h, w] => Box::new(move |a| a.cell = Some((w, h))),
            _ => return None,
        },
        b'y' => match numbers(text.strip_prefix('?')?.strip_suffix('$')?)?[..] {
            [2026, state] => Box::new(move |a| a.synchronized = matches!(state, 1 | 2)),
            _ => return None,
        },
        _ => return None,
    };
    Some(Reply { length, effect })
}

/// Whether the bytes can only be an answer that is still incomplete.
fn is_begun(bytes: &[u8]) -> bool {
    // An escape may be the first half of the terminator.
    let open =
        |opening: &[u8]| bytes.starts_with(opening) && !bytes[1..bytes.len() - 1].contains(&0x1b);
    let digits = |opening: &[u8]| {
        bytes
            .strip_prefix(opening)
            .is_some_and(|b| b.iter().all(|c| matches!(c, b'0'..=b'9' | b';' | b'$')))
    };
    [&b"\x1b_Gi="[..], b"\x1bP>|", b"\x1bP1$r", b"\x1bP0$r"].into_iter().any(open)
        || [&b"\x1b[?"[..], b"\x1b[4;", b"\x1b[6;"].into_iter().any(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITTY: &str = "\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[4;480;800t\x1bP>|kitty(0.35.2)\x1b\\\x1b[?2026;2$y\x1bP1$r48:2:1:2:3m\x1b\\\x1b[?62;c";

    #[test]
    fn a_kitty_answers_everything() {
        let a = split(KITTY.as_bytes());
        let wanted = Answers {
            kitty: true,
            cell: Some((10, 20)),
            window: Some((800, 480)),
            name: Some("kitty(0.35.2)".into()),
            synchronized: true,
            true_colour: true,
            attributes: Some(vec![62]),
            count: 7,
            typed: vec![],
        };
        assert_eq!(a, wanted);
    }

    #[test]
    fn keys_between_answers_are_kept_in_order() {
        // Text, UTF-8, arrows, Alt-P, Alt-_, a mouse report, function keys with a tilde, Ctrl-C, a
        // lone escape.
        let keys = [
            "show ",
            "žena",
            "\x1b[A",
            "\x1bP",
            "\x1b_",
            "\x1b[<0;3;4M",
            "\x1b[15~",
            "\x03",
            "\x1b",
        ];
        let answers = ["\x1b_Gi=31;OK\x1b\\", "\x1b[6;20;10t", "\x1bP>|foot\x1b\\", "\x1b[?62;4c"];
        for shift in 0..keys.len() {
            let mut stream = Vec::new();
            for (i, k) in keys.iter().enumerate() {
                // A single escape right before an answer is one more byte that counts as typed.
                stream.extend(k.as_bytes());
                stream.extend(answers.get((i + shift) % keys.len()).unwrap_or(&"").as_bytes());
            }
            let a = split(&stream);
            assert_eq!(String::from_utf8_lossy(&a.typed), keys.concat(), "{shift}");
            assert_eq!(a.count, 4);
        }
    }

    #[test]
    fn other_answers() {
        assert!(!split(b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\").kitty);
        assert!(!split(b"\x1b_Gi=32;OK\x1b\\").kitty);
        assert!(split(b"\x1bP1$r0;48:2::1:2:3m\x1b\\").true_colour);
        assert!(
            !split(b"\x1bP1$r48:5:16m\x1b\\").true_colour && !split(b"\x1bP0$r\x1b\\").true_colour
        );
        assert!(!split(b"\x1b[?2026;0$y").synchronized);
        assert_eq!(split(b"\x1b[?65;1;4;9c").attributes, Some(vec![65, 1, 4, 9]));
    }

    #[test]
    fn every_cut_is_harmless() {
        let stream = format!("a{KITTY}b");
        for cut in 0..stream.len() {
            let a = split(&stream.as_bytes()[..cut]);
            // At most the two bytes that could be Alt and a key count as typed.
            let extra = a.typed.strip_prefix(b"a").unwrap_or(&[]);
            assert!(extra.len() <= 4 && !extra.contains(&b'b'), "{cut}: {extra:?}");
        }
        let noise: Vec<u8> =
            (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(split(&noise).typed.len() <= noise.len());
    }
}
