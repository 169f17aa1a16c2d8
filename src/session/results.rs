//! Numbered results: the value of cell 3 is `_3`, and `_` is that of the latest cell.

use super::Cell;
use crate::eval::State;
use crate::invert::Inversion;
use crate::lang::ast::{ExprKind, Program, StmtKind};
use crate::lang::lex::{self, TokenKind};
use crate::lang::parse;
use crate::lang::span::Source;
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Number of results that stay in memory.
const RESULTS: usize = 50;
/// Bytes of tensors of the results that stay in memory.
const BYTES: usize = 256 << 20;

/// The name of a cell's result.
pub(super) fn name(cell: u64) -> String {
    format!("_{cell}")
}

/// Whether a name is that of a numbered result.
pub fn is_result(name: &str) -> bool {
    id(name).is_some()
}

fn id(name: &str) -> Option<u64> {
    name.strip_prefix('_').filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

fn parsed(text: &str) -> Program {
    Source::new("", text).map_or_else(|_| Program::default(), |source| parse::parse(&source).0)
}

/// Whether a text is a single expression that has a value.
pub(super) fn gives(text: &str) -> bool {
    let program = parsed(text);
    match &program.statements[..] {
        [only] => match &only.kind {
            StmtKind::Expr(e) => match &e.kind {
                ExprKind::Call(call) | ExprKind::Pipe { call, .. } => {
                    !matches!(call.name.name.as_str(), "print" | "show")
                }
                _ => true,
            },
            _ => false,
        },
        _ => false,
    }
}

/// The text with `_` replaced by the name of the latest result, so that the journal says which. A
/// text that binds `_` itself stays as it is.
pub(super) fn resolved(text: &str, latest: Option<u64>) -> String {
    let Some(latest) = latest else { return text.to_owned() };
    let tokens = lex::tokens(text);
    let of = |i: usize| &text[tokens[i].span.start..tokens[i].span.end];
    let here = |i: &usize| tokens[*i].kind == TokenKind::Name && of(*i) == "_";
    let all: Vec<usize> = (0..tokens.len()).filter(here).collect();
    let binds = |i: &usize| {
        i.checked_sub(1).is_some_and(|k| matches!(of(k), "for" | "param" | "def"))
            || tokens.get(i + 1).is_some_and(|t| t.is("=") || t.is(":"))
    };
    if all.is_empty() || all.iter().any(binds) {
        return text.to_owned();
    }
    let (mut out, mut from) = (String::with_capacity(text.len() + 8), 0);
    for i in all {
        out.push_str(&text[from..tokens[i].span.start]);
        out.push_str(&name(latest));
        from = tokens[i].span.end;
    }
    out + &text[from..]
}

/// The source of a cell whose result other cells use: the expression bound to the result's name.
pub(super) fn bound(cell: &Cell) -> String {
    let program = parsed(&cell.source);
    let at = program.statements.first().map_or(0, |s| s.span.start);
    format!("{}{} = {}", &cell.source[..at], name(cell.id), &cell.source[at..])
}

/// Takes the oldest results beyond the limits out of a state, and gives their names.
pub(super) fn shed(state: &mut State) -> BTreeSet<String> {
    let results: BTreeMap<u64, String> =
        state.names.keys().filter_map(|n| Some((id(n)?, n.clone()))).collect();
    let mut held = 0;
    let mut gone = BTreeSet::new();
    for (k, name) in results.into_values().rev().enumerate() {
        held += state.names.get(&name).map_or(0, bytes);
        // The latest one stays whatever its size.
        if k >= RESULTS || k > 0 && held > BYTES {
            state.names.remove(&name);
            gone.insert(name);
        }
    }
    gone
}

/// Bytes of the tensors in a value.
fn bytes(value: &Value) -> usize {
    let tensor = |t: &candle_core::Tensor| t.elem_count() * t.dtype().size_in_bytes();
    let inversion = |i: &Inversion| tensor(&i.target) + tensor(&i.reconstruction);
    match value {
        Value::Image(i) => tensor(&i.data),
        Value::Latent(l) | Value::Path(l) => tensor(l.point()),
        Value::Inversion(i) => inversion(i),
        Value::List(items) => items.iter().map(bytes).sum(),
        Value::Table(t) => {
            let found: usize = t.found.iter().map(|i| inversion(i)).sum();
            found + t.pictures.iter().map(|i| tensor(&i.data)).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Options;
    use crate::session::Status;
    use crate::value::Models;

    #[test]
    fn the_last_result_is_named_by_its_number() {
        for (text, want) in [
            ("_ + 1", "_7 + 1"),
            ("f(_, a_, _a, \"_\") # _", "f(_7, a_, _a, \"_\") # _"),
            ("[x for _ in 0..3]", "[x for _ in 0..3]"),
            ("_ = 3", "_ = 3"),
            ("_3", "_3"),
        ] {
            assert_eq!(resolved(text, Some(7)), want);
        }
        assert_eq!(resolved("_", None), "_");
    }

    #[test]
    fn only_expressions_give_a_result() {
        for (text, does) in [
            ("sample()", true),
            ("1 + 2", true),
            ("a = 1", false),
            ("print(1)", false),
            ("1 |> print()", false),
            ("show 1", false),
            ("1; 2", false),
            ("(((", false),
        ] {
            assert_eq!(gives(text), does, "{text}");
        }
        let cell = Cell::new(4, "# why\n1 + 2", Status::Ok);
        assert_eq!(bound(&cell), "# why\n_4 = 1 + 2");
        assert!(is_result("_12") && !is_result("_") && !is_result("_a") && !is_result("a1"));
    }

    #[test]
    fn old_results_leave_the_memory() {
        let mut state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        state.names.insert("mine".into(), Value::Number(0.0));
        for id in 1..=60u64 {
            state.names.insert(name(id), Value::Number(id as f64));
        }
        let gone = shed(&mut state);
        assert_eq!(gone.len(), 10);
        assert!(gone.contains("_10") && !gone.contains("_11") && state.names.contains_key("mine"));
    }
}
