//! Slips: texts that are not quite of the language, and what their writer most likely means.

use super::ast::{Arg, Call, ExprKind};
use super::lex::{Token, TokenKind};
use super::types::{Param, Signature, Type};
use crate::error::{Error, Span};

/// Adds to the error at a token that cannot follow the one before it what was meant: a product
/// without its sign, or a call without its brackets, as in a shell. `reads` says whether a text
/// is of the language.
pub(super) fn misplaced(
    error: Error,
    tokens: &[Token],
    text: &str,
    reads: impl Fn(&str) -> bool,
) -> Error {
    let Some(at) = error.span().filter(|_| error.repair().is_none()) else { return error };
    let Some(i) = tokens.iter().position(|t| t.span == at).filter(|&i| i > 0) else {
        return error;
    };
    let (before, found) = (tokens[i - 1], tokens[i]);
    // With a colon behind it, the name is that of an argument.
    let named = tokens.get(i + 1).is_some_and(|t| t.is(":"));
    let factor = (found.kind == TokenKind::Name && !named) || found.is("(");
    if before.kind == TokenKind::Number && factor {
        let product = format!("{}*{}", slice(text, before.span), slice(text, found.span));
        let gap = Span::new(before.span.end, found.span.start);
        return error.hint(format!("`*` multiplies: `{product}`")).fix(gap, "*");
    }
    match called(tokens, text).filter(|(_, call)| i == 1 && reads(call)) {
        Some((whole, call)) => {
            error.hint(format!("arguments are in brackets: `{call}`")).fix(whole, call)
        }
        None => error,
    }
}

fn slice(text: &str, span: Span) -> &str {
    &text[span.start..span.end]
}

/// A statement that begins with a name and a value, as the call that it most likely means.
fn called(tokens: &[Token], text: &str) -> Option<(Span, String)> {
    let [name, rest @ ..] = tokens else { return None };
    let value = |t: &Token| {
        use TokenKind::{Name, Number, Space, Text};
        matches!(t.kind, Name | Text | Number | Space(_))
    };
    let (first, last) = (rest.first()?, rest.last()?);
    if name.kind != TokenKind::Name || !value(first) {
        return None;
    }
    let arguments = if rest.iter().all(value) {
        rest.iter().map(|t| slice(text, t.span)).collect::<Vec<_>>().join(", ")
    } else {
        slice(text, first.span.to(last.span)).to_owned()
    };
    let call = format!("{}({arguments})", slice(text, name.span));
    Some((name.span.to(last.span), call))
}

/// The hint for a question mark after a word, as notebooks of other languages have it.
pub(super) fn asked(text: &str, at: Span) -> Option<String> {
    let before = &text[..at.start];
    let start = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    let word = &before[start..];
    (!word.is_empty()).then(|| format!("`?{word}` at the prompt explains `{word}`"))
}

/// The hint for a word of other prompts that is no name here.
pub(super) fn elsewhere(name: &str, argument: Option<&str>) -> Option<String> {
    match (name, argument) {
        ("help", Some(of)) => Some(format!("`?{of}` at the prompt explains `{of}`")),
        ("help", None) => Some("`:help` at the prompt; `?invert` explains `invert`".into()),
        ("quit" | "exit", _) => Some("`:quit` at the prompt, or Ctrl-D".into()),
        _ => None,
    }
}

/// The error of a call with a text before what the text belongs to: `save("r.png", r)`.
pub(super) fn swapped(to: &Signature, args: &[Arg]) -> Option<Error> {
    let [a, b, ..] = args else { return None };
    let mut places = to.params.iter().filter(|p| !p.named && !p.variadic);
    let (first, second) = (places.next()?, places.next()?);
    let text = |arg: &Arg| arg.name.is_none() && matches!(arg.value.kind, ExprKind::Text(_));
    let takes = |param: &Param| param.accepts.iter().any(|k| k.accepts(&Type::Text));
    if !text(a) || text(b) || b.name.is_some() || takes(first) || !takes(second) {
        return None;
    }
    let message = format!("`{}` takes `{}` before `{}`", to.name, first.name, second.name);
    let right = format!("{}, {}", b.value, a.value);
    let hint = format!("the other way round: `{}({right})`", to.name);
    let whole = a.value.span.to(b.value.span);
    Some(Error::check(message).at(whole).hint(hint).fix(whole, right))
}

/// The name that a call has as its first argument.
pub(super) fn first_name(call: &Call) -> Option<&str> {
    match &call.args.first()?.value.kind {
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

/// The hint for a direction that is called like a function.
pub(super) fn added(call: &Call) -> String {
    let (name, code) = (&call.name.name, first_name(call).unwrap_or("code"));
    format!("`{name}` is a direction, which is added: `{code} + 2*{name}`")
}
