//! The only way in which text from outside reaches a terminal or a log.
//!
//! A file name, a class name in a pickle or a line of a script may hold escape sequences; printed
//! raw they would drive the terminal. [`Safe`] shows them as visible escapes.

use std::fmt;

/// Displays text with every control character made visible.
///
/// Kept: printable characters, `\n` and `\t`. Escaped as `\u{..}`: the other C0 controls, DEL,
/// U+0080–U+009F, and the bidirectional controls that could reorder what is read (U+061C, U+200E/F,
/// U+202A–E, U+2066–9), and U+2028/9.
///
/// ```
/// assert_eq!(gannet::safe::Safe("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
/// ```
pub struct Safe<'a>(pub &'a str);

/// Whether a character may reach a terminal unchanged.
pub fn is_safe(c: char) -> bool {
    !matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            if is_safe(c) {
                f.write_char(c)?;
            } else {
                write!(f, "\\u{{{:x}}}", c as u32)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_is_escaped_and_nothing_else() {
        for c in (0..=0x2100u32).filter_map(char::from_u32) {
            let shown = Safe(&c.to_string()).to_string();
            let control = c.is_control() && c != '\n' && c != '\t';
            let bidi = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert_eq!(shown != c.to_string(), control || bidi, "{:x}", c as u32);
            assert!(shown.chars().all(is_safe));
        }
    }
}
