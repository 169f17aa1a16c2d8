//! The tree as text again, with the fewest parentheses that read back to the same tree.

use super::ast::{Arg, Call, Expr, ExprKind, Stmt, StmtKind};
use crate::safe::is_safe;
use std::fmt::{self, Display, Formatter, Result, Write};

/// Precedence of an expression, from a pipe (0) to a word (9), in the order of the grammar's rules.
fn level(kind: &ExprKind) -> u8 {
    use super::ast::BinaryOp::{Add, Div, Mul, Sub};
    match kind {
        ExprKind::Pipe { .. } | ExprKind::Tagged { .. } => 0,
        ExprKind::Compare { .. } => 1,
        ExprKind::Range { .. } => 2,
        ExprKind::Binary { op: Add | Sub, .. } => 3,
        ExprKind::Binary { op: Mul | Div, .. } => 4,
        ExprKind::Neg(_) => 5,
        ExprKind::Condition { .. } => 6,
        ExprKind::Layers { .. } => 7,
        ExprKind::Index { .. } => 8,
        _ => 9,
    }
}

/// An expression where only those that bind at least that tight go without parentheses.
struct At<'a>(&'a Expr, u8);

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if level(&self.0.kind) < self.1 { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

/// Things with commas between them.
struct Commas<'a, T>(&'a [T]);

impl<T: Display> Display for Commas<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| write!(f, "{}{item}", if i > 0 { ", " } else { "" }))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Number(n) => number(*n, f),
            ExprKind::Text(t) => text(t, f),
            ExprKind::Bool(b) => write!(f, "{b}"),
            ExprKind::Space(s) => write!(f, "{s}"),
            ExprKind::Name(n) => f.write_str(n),
            ExprKind::List(items) => write!(f, "[{}]", Commas(items)),
            ExprKind::Comprehension { body, var, over, filter } => {
                write!(f, "[{body} for {} in {over}", var.name)?;
                filter.iter().try_for_each(|c| write!(f, " if {c}"))?;
                f.write_char(']')
            }
            ExprKind::Range { from, to, step } => {
                // `a @ 3..4` would be one range of layers.
                let least = if ends_in_layer(from) { 9 } else { 3 };
                write!(f, "{}..{}", At(from, least), At(to, 3))?;
                step.iter().try_for_each(|s| write!(f, " by {}", At(s, 3)))
            }
            ExprKind::Call(call) => call.fmt(f),
            ExprKind::Index { base, index } => write!(f, "{}[{index}]", At(base, 8)),
            ExprKind::Layers { base, layers } => {
                write!(f, "{} @ ", At(base, 7))?;
                layer_range(layers, f)
            }
            ExprKind::Condition { base, conditions } => condition(base, conditions, f),
            ExprKind::Neg(inner) => write!(f, "-{}", At(inner, 5)),
            ExprKind::Binary { op, lhs, rhs, .. } => {
                let at = level(&self.kind);
                let gap = if at == 3 { " " } else { "" };
                write!(f, "{}{gap}{}{gap}{}", At(lhs, at), op.symbol(), At(rhs, at + 1))
            }
            ExprKind::Compare { op, lhs, rhs, .. } => {
                write!(f, "{} {} {}", At(lhs, 2), op.symbol(), At(rhs, 2))
            }
            ExprKind::Pipe { lhs, call, .. } => write!(f, "{lhs} |> {call}"),
            ExprKind::Tagged { word, value } => write!(f, "{}: {value}", word.name),
        }
    }
}

fn number(n: f64, f: &mut Formatter<'_>) -> Result {
    if n != 0.0 && !(1e-5..1e16).contains(&n.abs()) { write!(f, "{n:e}") } else { write!(f, "{n}") }
}

fn text(t: &str, f: &mut Formatter<'_>) -> Result {
    f.write_char('"')?;
    for c in t.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if is_safe(c) => f.write_char(c)?,
            c => write!(f, "\\u{{{:x}}}", c as u32)?,
        }
    }
    f.write_char('"')
}

/// Whether the text of an expression ends in `@ 3`.
fn ends_in_layer(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Layers { layers, .. } => {
            !matches!(layers.kind, ExprKind::Range { step: None, .. })
        }
        ExprKind::Neg(last) | ExprKind::Binary { rhs: last, .. } => ends_in_layer(last),
        ExprKind::Condition { conditions, .. } => conditions.last().is_some_and(ends_in_layer),
        _ => false,
    }
}

fn condition(base: &Expr, conditions: &[Expr], f: &mut Formatter<'_>) -> Result {
    match conditions {
        [one] if !matches!(one.kind, ExprKind::List(_)) => {
            write!(f, "{} | {}", At(base, 7), At(one, 7))
        }
        _ => write!(f, "{} | [{}]", At(base, 7), Commas(conditions)),
    }
}

fn layer_range(layers: &Expr, f: &mut Formatter<'_>) -> Result {
    let bare = |e: &Expr| matches!(e.kind, ExprKind::Number(_) | ExprKind::Name(_));
    let bound =
        |e: &Expr, f: &mut Formatter<'_>| if bare(e) { e.fmt(f) } else { write!(f, "({e})") };
    match &layers.kind {
        ExprKind::Range { from, to, step: None } => {
            bound(from, f)?;
            f.write_str("..")?;
            bound(to, f)
        }
        _ => bound(layers, f),
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}({})", self.name.name, Commas(&self.args))
    }
}

impl Display for Arg {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.name.iter().try_for_each(|n| write!(f, "{}: ", n.name))?;
        self.value.fmt(f)
    }
}

impl Display for Stmt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StmtKind::Let { name, value } => write!(f, "{} = {value}", name.name),
            StmtKind::Load(call) | StmtKind::Show(call) => {
                write!(f, "{} {}", call.name.name, Commas(&call.args))
            }
            StmtKind::Import(import) => {
                f.write_str("import ")?;
                text(&import.path, f)
            }
            StmtKind::Param { name, value } => write!(f, "param {} = {value}", name.name),
            StmtKind::Def(def) => {
                let params: Vec<&str> = def.params.iter().map(|p| p.name.as_str()).collect();
                write!(f, "def {}({}) = {}", def.name.name, params.join(", "), def.body)
            }
            StmtKind::Assert(value) => write!(f, "assert {value}"),
            StmtKind::Expr(value) => value.fmt(f),
        }
    }
}
