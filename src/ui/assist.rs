//! The language at the prompt: colours, completion, and the signature of the call at the cursor.
//!
//! All of it comes from the tolerant lexer and the constants of the built-in functions. The names
//! of the session come as [`Words`], which are updated after each cell.

use super::commands;
use super::complete;
use super::context::{context, slice};
use super::docs::signature;
use super::line::Assist;
use super::listing::Candidate;
use super::screen::themed;
use super::words::Words;
use crate::builtins;
use crate::error::Span;
use crate::lang::lex::{self, Token, TokenKind};
use crate::render::text::{cut, one_line};
use crate::safe::is_safe;
use std::collections::BTreeSet;

const KEYWORD: &str = "38;5;176";
const CALLED: &str = "38;5;74";
const TEXT: &str = "38;5;107";
const NUMBER: &str = "38;5;173";
const SPACE: &str = "1;38;5;140";
const QUIET: &str = "38;5;244";
const WRONG: &str = "4;38;5;203";
const PAIR: &str = "1;4";

/// Colours, completion and hints for the editor.
#[derive(Clone, Debug, Default)]
pub struct Language {
    /// The names of the session.
    pub words: Words,
    /// Columns of the terminal, for hints.
    pub columns: usize,
}

impl Assist for Language {
    fn incomplete(&self, text: &str) -> bool {
        !is_command(text) && lex::incomplete(text)
    }

    fn highlight(&self, line: &str, pos: usize) -> String {
        if is_command(line) {
            return paint_command(line);
        }
        let (mut out, mut at) = (String::new(), 0);
        for (span, style) in self.styles(line, pos) {
            plain(&mut out, &line[at..span.start]);
            paint(&mut out, style, &line[span.start..span.end]);
            at = span.end;
        }
        plain(&mut out, &line[at..]);
        out
    }

    fn complete(&self, line: &str, pos: usize) -> (usize, Vec<Candidate>) {
        complete::complete(&self.words, line, pos)
    }

    fn hint(&self, line: &str, pos: usize) -> Option<String> {
        if pos != line.len() || line.trim().is_empty() {
            return None;
        }
        let columns = self.columns.clamp(20, 200) - 1;
        if is_command(line) {
            let words = commands::usage_of(line)?;
            return Some(format!("\n{}", cut(&format!("    ╰─ {words}"), columns)));
        }
        let at = context(line, pos);
        let call = at.call?;
        let name = &line[call.name.start..call.name.end];
        let Some(builtin) = call.builtin else {
            let params = self.words.functions.get(name)?;
            return Some(format!(
                "\n{}",
                cut(&format!("    ╰─ {name}({})", params.join(", ")), columns)
            ));
        };
        let current = call.param(line);
        let first = format!("    ╰─ {}", signature(builtin, current, columns.saturating_sub(7)));
        let doc = current.map(|p| cut(&format!("       {}: {}", p.name, one_line(p.doc)), columns));
        Some(std::iter::once(first).chain(doc).map(|l| format!("\n{l}")).collect())
    }
}

impl Language {
    /// The tokens of a program of any number of lines, with the parameters of their SGR sequences;
    /// empty ones are plain. The cursor is at byte `pos`.
    pub(super) fn styles(&self, text: &str, pos: usize) -> Vec<(Span, &'static str)> {
        let tokens = lex::tokens(text);
        let own = bound_here(text, &tokens);
        let pair = pair_at(&tokens, pos);
        let style = |(i, token): (usize, &Token)| {
            let style = match pair {
                Some(Pair::Both(a, b)) if i == a || i == b => PAIR,
                Some(Pair::Alone(a)) if i == a => WRONG,
                _ => self.style(text, &tokens, i, &own),
            };
            (token.span, style)
        };
        tokens.iter().enumerate().map(style).collect()
    }

    fn style(&self, line: &str, tokens: &[Token], i: usize, own: &BTreeSet<&str>) -> &'static str {
        let word = slice(line, &tokens[i]);
        match tokens[i].kind {
            TokenKind::Keyword => KEYWORD,
            TokenKind::Text => TEXT,
            TokenKind::Number => NUMBER,
            TokenKind::Space(_) => SPACE,
            TokenKind::Comment | TokenKind::Marker | TokenKind::Prose => QUIET,
            // A text without its closing quote may still be in the middle of typing, so it is not
            // an error.
            TokenKind::Bad if word.starts_with('"') => TEXT,
            TokenKind::Bad => WRONG,
            TokenKind::Symbol(_) => "",
            TokenKind::Name => self.name_style(line, tokens, i, own),
        }
    }

    fn name_style(
        &self,
        line: &str,
        tokens: &[Token],
        i: usize,
        own: &BTreeSet<&str>,
    ) -> &'static str {
        let word = slice(line, &tokens[i]);
        let next = tokens.get(i + 1);
        let known = |w: &str| own.contains(w) || self.words.names.contains_key(w);
        if next.is_some_and(|t| t.is("(")) {
            // A cell of a notebook that did not run yet may define the name as a function.
            return if self.words.calls(word) || known(word) { CALLED } else { WRONG };
        }
        // An argument's name: its colour shows whether the call has a parameter of that name.
        if next.is_some_and(|t| t.is(":")) {
            let call = context(line, tokens[i].span.start).call;
            let wrong = call.and_then(|c| c.builtin).is_some_and(|b| {
                !b.signature
                    .params
                    .iter()
                    .any(|p| p.name == word || p.choices.iter().any(|c| *c == format!("{word}:")))
            });
            return if wrong { WRONG } else { KEYWORD };
        }
        if known(word) {
            return "";
        }
        if builtins::find(word).is_some_and(|b| b.signature.is_bare()) {
            return CALLED;
        }
        let choice = context(line, tokens[i].span.start)
            .call
            .and_then(|c| c.param(line))
            .is_some_and(|p| p.choices.contains(&word));
        // Names that do not exist are pale rather than an error, because the user may still be
        // typing.
        if choice { SPACE } else { QUIET }
    }
}

/// Whether a line is a command of the prompt rather than a program.
pub(super) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with([':', '?'])
}

/// Names that the text itself binds: `x = …`, `for x in`, `def f(a, b)`, `param x`.
fn bound_here<'t>(text: &'t str, tokens: &[Token]) -> BTreeSet<&'t str> {
    let mut own = BTreeSet::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|k| slice(text, &tokens[k]));
        let named = matches!(before, Some("for" | "def" | "param"));
        if token.kind == TokenKind::Name && (named || tokens.get(i + 1).is_some_and(|t| t.is("=")))
        {
            own.insert(slice(text, token));
        }
        if before == Some("def") {
            let end = tokens[i..].iter().position(|t| t.is(")")).unwrap_or(0);
            own.extend(
                tokens[i..i + end]
                    .iter()
                    .filter(|t| t.kind == TokenKind::Name)
                    .map(|t| slice(text, t)),
            );
        }
    }
    own
}

enum Pair {
    Both(usize, usize),
    Alone(usize),
}

/// The bracket at the cursor or right before it, and its partner.
fn pair_at(tokens: &[Token], pos: usize) -> Option<Pair> {
    let bracket = |t: &Token| t.is("(") || t.is("[") || t.is(")") || t.is("]");
    let at = tokens
        .iter()
        .position(|t| bracket(t) && t.span.start == pos)
        .or_else(|| tokens.iter().position(|t| bracket(t) && t.span.end == pos))?;
    let mut open = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if token.is("(") || token.is("[") {
            open.push(i);
        } else if token.is(")") || token.is("]") {
            let partner = open.pop().filter(|&k| tokens[k].is("(") == token.is(")"));
            match partner {
                Some(k) if i == at || k == at => return Some(Pair::Both(k, i)),
                None if i == at => return Some(Pair::Alone(i)),
                _ => {}
            }
        }
    }
    // An opening bracket without a partner may still get one, so it is not an error.
    None
}

fn paint_command(line: &str) -> String {
    let mut out = String::new();
    let end = line
        .trim_start()
        .find(char::is_whitespace)
        .map_or(line.len(), |n| n + line.len() - line.trim_start().len());
    let known = commands::is_known(line[..end].trim()) || line.trim_start().starts_with('?');
    paint(&mut out, if known { KEYWORD } else { QUIET }, &line[..end]);
    plain(&mut out, &line[end..]);
    out
}

fn paint(out: &mut String, style: &str, text: &str) {
    if style.is_empty() {
        return plain(out, text);
    }
    out.push_str(&format!("\x1b[{}m", in_theme(style)));
    plain(out, text);
    out.push_str("\x1b[0m");
}

/// A style with its colour in the theme in force.
fn in_theme(style: &str) -> String {
    match style.rsplit_once("38;5;").and_then(|(before, c)| Some((before, c.parse().ok()?))) {
        Some((before, colour)) => format!("{before}38;5;{}", themed(colour)),
        None => style.to_owned(),
    }
}

/// Writes control characters visibly, in the same width: pasted ones must not drive the terminal.
fn plain(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtins;
    use crate::eval::{Options, State};
    use crate::render::text::width;
    use crate::value::{Models, Value};
    use proptest::prelude::*;

    fn language() -> Language {
        let mut session = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        session.names.insert("x".into(), Value::Number(1.0));
        Language { words: Words::of(&session), columns: 80 }
    }

    /// The styled pieces of a line with their styles; the cursor is at its end.
    fn styled(line: &str) -> Vec<(String, String)> {
        let shown = language().highlight(line, line.len());
        let pieces = shown.split("\x1b[").skip(1).filter(|p| !p.starts_with("0m"));
        pieces
            .map(|p| p.split_once('m').unwrap())
            .map(|(s, t)| (t.to_owned(), s.to_owned()))
            .collect()
    }

    fn style_of(line: &str, word: &str) -> String {
        styled(line).into_iter().find(|(t, _)| t == word).map(|(_, s)| s).unwrap_or_default()
    }

    #[test]
    fn words_look_like_what_they_are() {
        for (line, word, style) in [
            ("show x ", "show", KEYWORD),
            ("invert(x, space: W+) ", "invert", CALLED),
            ("invert(x, space: W+) ", "space", KEYWORD),
            ("invert(x, space: W+) ", "W+", SPACE),
            ("invert(x, spice: W+) ", "spice", WRONG),
            ("invert(x, method: hybrid) ", "hybrid", SPACE),
            ("invirt(x) ", "invirt", WRONG),
            ("x + y ", "x", ""),
            ("x + y ", "y", QUIET),
            ("y = 1; y ", "y", ""),
            ("def f(a) = a + b ", "a", ""),
            ("def f(a) = a + b ", "b", QUIET),
            ("[a for a in 0..3] ", "a", ""),
            ("\"half", "\"half", TEXT),
            ("1.5 # why", "1.5", NUMBER),
            ("1.5 # why", "# why", QUIET),
            (":undo", ":undo", KEYWORD),
            (":undoo", ":undoo", QUIET),
        ] {
            assert_eq!(style_of(line, word), style, "{word} in {line}");
        }
    }

    #[test]
    fn brackets_find_their_partner() {
        let at = |line: &str, pos: usize| {
            let shown = language().highlight(line, pos);
            (
                shown.matches(&format!("\x1b[{PAIR}m")).count(),
                shown.matches(&format!("\x1b[{WRONG}m")).count(),
            )
        };
        assert_eq!(at("(x + [1])", 9), (2, 0));
        assert_eq!(at("(x + [1])", 5), (2, 0));
        assert_eq!(at("(x]", 3), (0, 1));
        assert_eq!(at("(x", 0), (0, 0));
        assert_eq!(at("\"(\" ", 2), (0, 0));
    }

    #[test]
    fn the_signature_marks_the_parameter_and_says_what_it_is() {
        let hint = |line: &str| language().hint(line, line.len()).unwrap_or_default();
        let shown = hint("r = invert(x, space: ");
        assert!(shown.contains("╰─ invert(") && shown.contains("‹space?: Space›"), "{shown}");
        assert!(shown.contains("\n       space: Z, W, W+, S (styles)"), "{shown}");
        assert!(hint("x |> invert(").contains("‹space"), "what is piped fills the first place");
        assert!(hint("invert(x) + ").is_empty() && hint("").is_empty() && hint("x").is_empty());
        assert!(language().hint("invert(x", 3).is_none(), "only at the end of the line");
        assert!(hint(":save ").contains(":save FILE.gnt"));
        for b in builtins::ALL {
            for line in
                [format!("{}(", b.signature.name), format!("{}(1, 2, 3, ", b.signature.name)]
            {
                for columns in [20, 40, 80] {
                    let language = Language { columns, ..language() };
                    let shown = language.hint(&line, line.len()).unwrap();
                    assert!(shown.lines().all(|l| width(l) < columns), "{columns}: {shown}");
                }
            }
        }
    }

    #[test]
    fn commands_never_wait_for_more_lines() {
        let l = language();
        assert!(l.incomplete("invert(") && !l.incomplete(":save a(") && !l.incomplete("?invert("));
    }

    proptest! {
        #[test]
        fn any_line_keeps_its_characters_and_drives_nothing(line in "(?s)[ -~\u{1b}\u{9b}äλ\n]{0,40}", pos in 0usize..50) {
            let l = language();
            let shown = l.highlight(&line, pos);
            let mut bare = String::new();
            let mut rest = &shown[..];
            while let Some(i) = rest.find("\x1b[") {
                bare.push_str(&rest[..i]);
                rest = &rest[i + rest[i..].find('m').unwrap() + 1..];
            }
            bare.push_str(rest);
            let safe: String = line.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect();
            prop_assert_eq!(bare, safe);
            let pos = (0..=pos.min(line.len())).rev().find(|p| line.is_char_boundary(*p)).unwrap();
            l.complete(&line, pos);
            l.hint(&line, line.len());
        }
    }
}
