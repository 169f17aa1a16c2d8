//! The position of the cursor in an unfinished line: the call, the argument, and whether the cursor
//! is inside a text.

use crate::builtin::{Builtin, Param};
use crate::builtins;
use crate::error::Span;
use crate::lang::lex::{Token, TokenKind, tokens};

/// The innermost call around the cursor.
#[derive(Clone, Copy)]
pub(super) struct Open {
    /// Its name.
    pub(super) name: Span,
    /// The built-in function of that name; `None` for other names.
    pub(super) builtin: Option<&'static Builtin>,
    /// Number of positional arguments before the one at the cursor.
    before: usize,
    /// The name of the argument at the cursor, if it is a named argument.
    named: Option<Span>,
}

impl Open {
    /// The parameter of the argument at the cursor.
    pub(super) fn param(&self, text: &str) -> Option<&'static Param> {
        let params = self.builtin?.signature.params;
        if let Some(span) = self.named {
            return params.iter().find(|p| p.name == &text[span.start..span.end]);
        }
        let mut positional = params.iter().filter(|p| !p.named);
        let last = positional.clone().next_back().filter(|p| p.variadic);
        positional.nth(self.before).or(last)
    }
}

/// The part of a line before the cursor.
pub(super) struct Context {
    /// The tokens before the cursor; the last one may be the word being typed.
    pub(super) tokens: Vec<Token>,
    /// The innermost call.
    pub(super) call: Option<Open>,
    /// Start of the text that is still open at the cursor, after its opening quote.
    pub(super) in_text: Option<usize>,
    /// Start of the word at the cursor; the cursor itself without a word.
    pub(super) word: usize,
}

/// A bracket that is open at the cursor.
struct Bracket {
    call: Option<Open>,
}

/// Analyses the line before byte `pos`.
pub(super) fn context(line: &str, pos: usize) -> Context {
    let text = line.get(..pos).unwrap_or(line);
    let tokens = tokens(text);
    let last = tokens.last();
    let in_text = last
        .filter(|t| t.kind == TokenKind::Bad && text[t.span.start..].starts_with('"'))
        .map(|t| t.span.start + 1);
    let typing = |t: &&Token| {
        t.span.end == text.len()
            && matches!(t.kind, TokenKind::Name | TokenKind::Keyword | TokenKind::Space(_))
    };
    let word = in_text.or_else(|| last.filter(typing).map(|t| t.span.start)).unwrap_or(text.len());
    let call = innermost(text, &tokens);
    Context { tokens, call, in_text, word }
}

fn innermost(text: &str, tokens: &[Token]) -> Option<Open> {
    let mut stack: Vec<Bracket> = vec![Bracket { call: None }];
    for (i, token) in tokens.iter().enumerate() {
        let depth = stack.len();
        let Some(top) = stack.last_mut() else { break };
        match token.kind {
            TokenKind::Symbol("(" | "[") => {
                let called = token.is("(").then(|| called(text, tokens, i)).flatten();
                stack.push(Bracket { call: called });
            }
            TokenKind::Symbol(")" | "]") if depth > 1 => {
                stack.pop();
            }
            TokenKind::Symbol("\n" | ";") if depth == 1 => top.call = None,
            TokenKind::Symbol(",") => {
                if let Some(call) = &mut top.call {
                    call.before += usize::from(call.named.is_none());
                    call.named = None;
                }
            }
            TokenKind::Symbol(":") if i > 0 && tokens[i - 1].kind == TokenKind::Name => {
                if let Some(call) = &mut top.call {
                    call.named.get_or_insert(tokens[i - 1].span);
                }
            }
            // `show a, b` and `load "x"` are calls without brackets.
            TokenKind::Keyword if depth == 1 && begins(tokens, i) => {
                if matches!(slice(text, token), "show" | "load") {
                    top.call = Some(open(text, token, 0));
                }
            }
            _ => {}
        }
    }
    stack.iter().rev().find_map(|b| b.call)
}

fn begins(tokens: &[Token], i: usize) -> bool {
    i == 0 || tokens[i - 1].is("\n") || tokens[i - 1].is(";")
}

fn called(text: &str, tokens: &[Token], bracket: usize) -> Option<Open> {
    let name = tokens[..bracket]
        .last()
        .filter(|t| matches!(t.kind, TokenKind::Name | TokenKind::Keyword))?;
    // `|>` passes its value to the first parameter.
    let piped = bracket >= 2 && tokens[bracket - 2].is("|>");
    Some(open(text, name, usize::from(piped)))
}

fn open(text: &str, name: &Token, before: usize) -> Open {
    Open { name: name.span, builtin: builtins::find(slice(text, name)), before, named: None }
}

/// The parameter that an argument's name at `span` belongs to, as in `invert(x, space: W)`.
pub fn named_parameter(text: &str, span: Span) -> Option<&'static Param> {
    let after = text.get(span.end..)?.trim_start();
    let params = context(text, span.start).call?.builtin?.signature.params;
    params.iter().find(|p| after.starts_with(':') && p.name == &text[span.start..span.end])
}

/// A token's text.
pub(super) fn slice<'t>(text: &'t str, token: &Token) -> &'t str {
    &text[token.span.start..token.span.end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The call and the parameter at the end of a text, and the word at the cursor.
    fn at(text: &str) -> (String, String, String) {
        let c = context(text, text.len());
        let call = c.call.map_or(String::new(), |o| text[o.name.start..o.name.end].to_owned());
        let param = c.call.and_then(|o| o.param(text)).map_or("", |p| p.name);
        (call, param.to_owned(), text[c.word..].to_owned())
    }

    #[test]
    fn calls_and_their_arguments() {
        for (text, call, param, word) in [
            ("invert(", "invert", "picture", ""),
            ("r = invert(x, sp", "invert", "space", "sp"),
            ("invert(x, method: hy", "invert", "method", "hy"),
            ("invert(x, method: auto, ", "invert", "space", ""),
            ("x |> invert(", "invert", "space", ""),
            ("show sample(n: 2), ", "show", "values", ""),
            ("show a; b", "", "", "b"),
            ("f([1, 2], (3", "f", "", ""),
            ("lerp(a, [b, c], ", "lerp", "t", ""),
            ("invert(a))) + W+", "", "", "W+"),
            ("load ", "load", "path", ""),
        ] {
            assert_eq!(at(text), (call.into(), param.into(), word.into()), "{text}");
        }
    }

    #[test]
    fn an_open_text_is_the_word() {
        let text = "a = direction(\"smi";
        let c = context(text, text.len());
        assert_eq!((c.in_text, c.word), (Some(15), 15));
        assert!(context("direction(\"smile\")", 18).in_text.is_none());
    }

    #[test]
    fn any_text_and_any_place_is_borne() {
        let text = "é |> f(((]]), \"ä\\\" W+ x: :: , ) # (";
        for pos in (0..=text.len()).filter(|p| text.is_char_boundary(*p)) {
            assert!(context(text, pos).word <= pos);
        }
    }
}
