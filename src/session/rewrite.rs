//! Calls of `explore` in a cell, replaced by the edit that was made on the screen.
//!
//! A journal must give the same values when its cells run again, without a screen.

use crate::error::Span;
use crate::lang::ast::{Expr, ExprKind, Stmt, StmtKind};
use crate::lang::span::Source;

/// The text that takes the place of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewrite {
    /// The call in the text of its cell.
    pub(super) span: Span,
    /// An expression of the same value.
    pub(super) text: String,
}

/// Whether the call of `explore` at this place is in the statement itself and runs once: not in a
/// function's body or a comprehension.
pub(super) fn can(statement: &Stmt, at: Span) -> bool {
    let among = |all: Vec<&Expr>| all.into_iter().any(|e| holds(e, at));
    !matches!(statement.kind, StmtKind::Def(_)) && among(statement.kind.children())
}

fn holds(e: &Expr, at: Span) -> bool {
    match &e.kind {
        ExprKind::Call(call) | ExprKind::Pipe { call, .. }
            if e.span == at && call.name.name == "explore" =>
        {
            true
        }
        ExprKind::Comprehension { over, .. } => holds(over, at),
        _ => e.children().into_iter().any(|child| holds(child, at)),
    }
}

/// The text of a cell with its calls replaced. `text` is a part of the source: all of it without
/// the space around, or the cell's statement.
pub(super) fn apply(source: &Source, text: &str, mut rewrites: Vec<Rewrite>) -> String {
    let mut out = text.to_owned();
    let whole = source.text();
    // The statements of one line come as they are in the source; a single one without the space
    // around it.
    rewrites.sort_by_key(|r| std::cmp::Reverse(r.span.start));
    for Rewrite { span, text: new } in rewrites {
        let from = whole.match_indices(text).map(|(at, _)| at);
        let inside = |at: &usize| *at <= span.start && span.end <= at + text.len();
        let Some(at) = from.filter(inside).last() else { continue };
        let (start, end) = (span.start - at, span.end - at);
        let begins = start == 0 || out[..start].ends_with("= ");
        let ends = matches!(out[end..].trim_start().chars().next(), None | Some('#'));
        let alone = begins && ends && !out[..start].contains('(');
        let new = if alone { new } else { format!("({new})") };
        out.replace_range(start..end, &new);
    }
    out
}

/// The text of a source in which statements have been replaced.
pub(super) fn whole(source: &Source, mut statements: Vec<(Span, String)>) -> String {
    let mut out = source.text().to_owned();
    statements.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, text) in statements {
        out.replace_range(span.start..span.end, &text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse;

    fn calls(text: &str) -> (Source, Vec<Stmt>) {
        let source = Source::new("cell", text).unwrap();
        let (program, errors) = parse::parse(&source);
        assert!(errors.is_empty(), "{text}");
        (source, program.statements)
    }

    fn span(text: &str, call: &str) -> Span {
        let at = text.find(call).unwrap();
        Span::new(at, at + call.len())
    }

    #[test]
    fn a_call_becomes_the_edit() {
        for (text, call, wanted) in [
            ("  b = explore(w, along: smile)", "explore(w, along: smile)", "b = w + smile"),
            ("b = explore(w)  # mine", "explore(w)", "b = w + smile  # mine"),
            ("show explore(w)  # mine", "explore(w)", "show (w + smile)  # mine"),
            ("b = w |> explore(smile)", "w |> explore(smile)", "b = w + smile"),
            ("explore(w)", "explore(w)", "w + smile"),
            ("b = norm(explore(w))", "explore(w)", "b = norm((w + smile))"),
        ] {
            let (source, statements) = calls(text);
            let span = span(text, call);
            assert!(can(&statements[0], span), "{text}");
            let rewrite = Rewrite { span, text: "w + smile".into() };
            let found = apply(&source, text.trim(), vec![rewrite]);
            assert_eq!(found, wanted);
            assert!(parse::parse(&Source::new("again", found).unwrap()).1.is_empty());
        }
    }

    #[test]
    fn two_calls_and_several_statements() {
        let text = "a = explore(w); show explore(a), explore(b)";
        let (source, statements) = calls(text);
        let own = source.slice(statements[1].span).to_owned();
        let all = ["explore(a)", "explore(b)"].map(|call| {
            assert!(
                can(&statements[1], span(text, call)) && !can(&statements[0], span(text, call))
            );
            Rewrite { span: span(text, call), text: format!("{} + 1", &call[8..9]) }
        });
        let edited = apply(&source, &own, all.to_vec());
        assert_eq!(edited, "show (a + 1), (b + 1)");
        let all = vec![(statements[0].span, "a = w".into()), (statements[1].span, edited)];
        assert_eq!(whole(&source, all), "a = w; show (a + 1), (b + 1)");
    }

    #[test]
    fn what_runs_elsewhere_or_often_is_refused() {
        for (text, call) in [
            ("[explore(w) for w in all]", "explore(w)"),
            ("def f(w) = explore(w)", "explore(w)"),
            ("f(w)", "f(w)"),
        ] {
            assert!(!can(&calls(text).1[0], span(text, call)), "{text}");
        }
        let text = "[w for w in explore(x)]";
        assert!(can(&calls(text).1[0], span(text, "explore(x)")));
    }
}
