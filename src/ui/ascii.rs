//! Output in ASCII, for locales that are not UTF-8 (`LC_ALL=C`).

use std::sync::OnceLock;

/// Whether output is written in ASCII: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set
/// names another encoding than UTF-8. Without any of them output is UTF-8, as in most containers.
pub(super) fn wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| by(|name| std::env::var(name).ok()))
}

fn by(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|n| variable(n));
    let locale = set.into_iter().find(|v| !v.is_empty()).map(|v| v.to_lowercase());
    locale.is_some_and(|l| !l.contains("utf-8") && !l.contains("utf8"))
}

/// The text in the encoding of the locale.
pub(super) fn text(text: &str) -> String {
    if wanted() { ascii(text) } else { text.to_owned() }
}

/// The text in ASCII; a character without a likeness becomes `?`.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            '×' => out.push('x'),
            '·' | '−' | '–' | '—' | '─' | '━' | '╸' => out.push('-'),
            '→' => out.push_str("->"),
            '…' => out.push_str("..."),
            '²' => out.push_str("^2"),
            '³' => out.push_str("^3"),
            '±' => out.push_str("+-"),
            '°' => out.push_str("deg"),
            'σ' => out.push_str("sigma"),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '‹' => out.push('<'),
            '›' => out.push('>'),
            '‘' | '’' | '′' => out.push('\''),
            '“' | '”' => out.push('"'),
            '│' => out.push('|'),
            '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '╰' | '╭' => out.push('+'),
            // Bars, from low to high.
            '▁' => out.push('_'),
            '▂' => out.push('.'),
            '▃' => out.push(':'),
            '▄' => out.push('-'),
            '▅' => out.push('='),
            '▆' => out.push('+'),
            '▇' => out.push('*'),
            '█' => out.push('#'),
            // The ends of horizontal bars.
            '▉' | '▊' | '▋' | '▌' => out.push('#'),
            '▍' | '▎' | '▏' => out.push('|'),
            // Braille: the more dots, the darker.
            '\u{2801}'..='\u{28ff}' => out.push(match (c as u32 & 0xff).count_ones() {
                1 => '.',
                2 | 3 => ':',
                _ => '#',
            }),
            _ => out.push('?'),
        }
    }
    out
}

/// JSON in ASCII: other characters as `\uXXXX`, which programs read as the same text.
pub(super) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        let mut units = [0u16; 2];
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Converts text that arrives in pieces, which may end inside a character.
pub(super) struct Pieces(Vec<u8>);

impl Pieces {
    /// No text yet.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The characters that are complete, in ASCII.
    pub(super) fn take(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Ok(text) => text.len(),
            // The last character is not complete yet.
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            Err(_) => self.0.len(),
        };
        let rest = self.0.split_off(whole);
        ascii(&String::from_utf8_lossy(&std::mem::replace(&mut self.0, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides() {
        let of = |set: &'static [(&str, &str)]| {
            by(|n| set.iter().find(|v| v.0 == n).map(|v| v.1.to_owned()))
        };
        for (set, ascii) in [
            (&[("LC_ALL", "C")][..], true),
            (&[("LC_ALL", "POSIX"), ("LANG", "en_GB.UTF-8")], true),
            (&[("LC_ALL", ""), ("LANG", "en_GB.UTF-8")], false),
            (&[("LANG", "C.utf8")], false),
            (&[("LC_CTYPE", "de_DE.ISO-8859-1")], true),
            (&[], false),
        ] {
            assert_eq!(of(set), ascii, "{set:?}");
        }
    }

    #[test]
    fn text_in_pieces_stays_whole() {
        let text = "7 × 128² · σ → … ▁▇ ██▍ ⠁⠇⣿ 顔";
        let want = "7 x 128^2 - sigma -> ... _* ##| .:# ?";
        assert_eq!(ascii(text), want);
        for size in 1..9 {
            let mut pieces = Pieces::new();
            let got: String = text.as_bytes().chunks(size).map(|b| pieces.take(b)).collect();
            assert_eq!(got, want, "{size}");
        }
        assert_eq!(json("\"× 😀\""), "\"\\u00d7 \\ud83d\\ude00\"");
    }
}
