//! Type rules of code and direction arithmetic: permitted sums, and the layers of the result.

use super::ast::{BinaryOp, Expr, ExprKind};
use super::types::{CodeType, Const, ModelFacts, Type};
use crate::error::{Error, Result, Span};
use crate::space::lattice::{self, Repair};
use crate::space::{Form, Space, aligned, form_for};

/// An operand: its tree, its type and, where it is known, its value.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) expr: &'a Expr,
    pub(super) ty: &'a Type,
    /// The span of the thing itself: `old` in `2*old`.
    pub(super) core: Span,
}

/// A code, whether written as a code or as an inversion.
pub(super) fn code(ty: &Type) -> Option<&CodeType> {
    match ty {
        Type::Latent(c) | Type::Inversion(c) => Some(c),
        _ => None,
    }
}

/// The type of `a op b`.
pub(super) fn binary(op: BinaryOp, a: Operand<'_>, b: Operand<'_>, at: Span) -> Result<Type> {
    use BinaryOp::{Add, Div, Mul, Sub};
    if matches!((a.ty, b.ty), (Type::Unknown, _) | (_, Type::Unknown)) {
        return Ok(Type::Unknown);
    }
    match (op, a.ty, b.ty) {
        (_, Type::Number, Type::Number) => Ok(Type::Number),
        (_, x, y) if numbers(x) && numbers(y) => Ok(Type::List(Box::new(Type::Number))),
        (Mul, Type::Number, Type::Direction(d)) | (Mul | Div, Type::Direction(d), Type::Number) => {
            Ok(Type::Direction(d.clone()))
        }
        (Add | Sub, Type::Direction(x), Type::Direction(y)) => {
            let verb = if op == Add { "add" } else { "subtract" };
            together(verb, &[("direction", x, a), ("direction", y, b)]).map(Type::Direction)
        }
        (Add | Sub, _, Type::Direction(d)) if code(a.ty).is_some() => {
            applied(op, (code(a.ty).unwrap_or(d), a), (d, b)).map(Type::Latent)
        }
        (Add, Type::Direction(d), _) if code(b.ty).is_some() => {
            applied(op, (code(b.ty).unwrap_or(d), b), (d, a)).map(Type::Latent)
        }
        (Sub, _, _) if let (Some(x), Some(y)) = (code(a.ty), code(b.ty)) => {
            same("subtract", ("code", x, a), ("code", y, b))?;
            Ok(Type::Direction(CodeType {
                origin: Some("a difference of codes".into()),
                ..joined(x, y)
            }))
        }
        _ => Err(refusal(op, a, b)
            .at(at)
            .label(a.expr.span, a.ty.to_string())
            .label(b.expr.span, b.ty.to_string())),
    }
}

/// A number, or a list that may hold numbers: operators take its elements one by one.
fn numbers(ty: &Type) -> bool {
    match ty {
        Type::Number => true,
        Type::List(t) => matches!(**t, Type::Number | Type::Unknown),
        _ => false,
    }
}

/// Why these two do not go together, and what to write instead.
fn refusal(op: BinaryOp, a: Operand<'_>, b: Operand<'_>) -> Error {
    use BinaryOp::{Add, Div, Mul, Sub};
    let is_code = |o: &Operand<'_>| code(o.ty).is_some();
    let (x, y) = (a.expr, b.expr);
    let whole = x.span.to(y.span);
    let error = match op {
        Add => Error::check(format!("cannot add {} and {}", a.ty, b.ty)),
        Sub => Error::check(format!("cannot subtract {} from {}", b.ty, a.ty)),
        Mul => Error::check(format!("cannot multiply {} and {}", a.ty, b.ty)),
        Div => Error::check(format!("cannot divide {} by {}", a.ty, b.ty)),
    };
    let moves = |o: &Operand<'_>| is_code(o) || matches!(o.ty, Type::Direction(_) | Type::Number);
    if let (Some(name), true) = (word(x).or(word(y)), moves(&a) || moves(&b)) {
        let quoted = if word(x).is_some() { x } else { y };
        let hint = format!("a direction is named without quotes: `{name}`");
        return error.hint(hint).fix(quoted.span, name);
    }
    match (op, a.ty, b.ty) {
        (Add, ..) if is_code(&a) && is_code(&b) => error
            .note("a sum of codes leaves their space")
            .hint(format!(
                "lerp({x}, {y}, 0.5) for the middle, mix({x}, {y}, layers: 0..4) to take \
                           layers of both"
            ))
            .fix(whole, format!("lerp({x}, {y}, 0.5)")),
        (Mul | Div, ..) if is_code(&a) || is_code(&b) => {
            let c = if is_code(&a) { x } else { y };
            error.note("a code is a place, not a step").hint(format!(
                "lerp({c}, other, 0.5), or scale a difference of codes: 0.5*({c} - \
                               other)"
            ))
        }
        (Sub, Type::Direction(_), _) if is_code(&b) => error.rewrite(whole, minus(y, x)),
        (Add | Sub, _, Type::Number) if is_code(&a) => {
            error.hint(format!("scale a direction: {x} {} {y}*direction", op.symbol()))
        }
        (Mul, Type::Direction(_), Type::Direction(_)) => {
            let joint = conditioned(x, y);
            error
                .hint(format!("`{joint}` projects the second one out of the first"))
                .fix(whole, joint)
        }
        (Div, Type::Number, Type::Direction(_)) => error.rewrite(whole, times(x, y)),
        (_, Type::Image(_), Type::Image(_)) => error
            .hint(format!("compare({x}, {y}) shows where they differ"))
            .fix(whole, format!("compare({x}, {y})")),
        (_, Type::List(_), _) | (_, _, Type::List(_)) => error.hint(
            "iterate over the list: `[w + \
                                                                     d for w in ws]`",
        ),
        _ => error.hint(
            "combine numbers with numbers, directions with directions, or a code with \
                         a direction",
        ),
    }
}

/// The word that a text consists of.
fn word(e: &Expr) -> Option<&str> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    match &e.kind {
        ExprKind::Text(t) if !t.is_empty() && t.chars().all(part) => Some(t),
        _ => None,
    }
}

/// A new expression of two, in the fewest parentheses.
fn of_two(x: &Expr, y: &Expr, make: fn(Box<Expr>, Box<Expr>) -> ExprKind) -> String {
    Expr::new(make(Box::new(x.clone()), Box::new(y.clone())), x.span.to(y.span)).to_string()
}

fn minus(x: &Expr, y: &Expr) -> String {
    of_two(x, y, |lhs, rhs| {
        let op_span = Span::default();
        ExprKind::Binary { op: BinaryOp::Sub, op_span, lhs, rhs }
    })
}

fn times(x: &Expr, y: &Expr) -> String {
    of_two(x, y, |lhs, rhs| {
        let op_span = Span::default();
        ExprKind::Binary { op: BinaryOp::Mul, op_span, lhs, rhs }
    })
}

fn conditioned(x: &Expr, y: &Expr) -> String {
    of_two(x, y, |base, y| ExprKind::Condition { base, conditions: vec![*y] })
}

/// `base @ layers`, in the fewest parentheses.
pub(super) fn restricted(base: &Expr, layers: &Expr) -> String {
    of_two(base, layers, |base, layers| ExprKind::Layers { base, layers })
}

/// `base[index]`, in the fewest parentheses.
pub(super) fn indexed(base: &Expr, index: &Expr) -> String {
    of_two(base, index, |base, index| ExprKind::Index { base, index })
}

/// The code that a direction gives when it is added to a code.
fn applied(
    op: BinaryOp,
    (c, a): (&CodeType, Operand<'_>),
    (d, b): (&CodeType, Operand<'_>),
) -> Result<CodeType> {
    let (verb, link) = if op == BinaryOp::Add { ("add", "to") } else { ("subtract", "from") };
    let moving = d.moving(c.space);
    let Some(d) = &moving else {
        let code = c.space.map_or("", Space::name);
        let error =
            Error::check(format!("cannot {verb} a direction of {} {link} a {code} code", d.sets()));
        let error =
            error.at(b.core).found(describe("direction", d)).label(a.core, describe("code", c));
        return Err(match c.space {
            Some(space) => in_space(error, (space, c), (b, d)),
            None => error.hint("use a direction of the code's space"),
        });
    };
    let mut space = c.space;
    if let (Some(cs), Some(ds)) = (c.space, d.space) {
        let moved = lattice::moved(cs, ds).map_err(|refusal| {
            let error = Error::check(format!("cannot {verb} a {ds} direction {link} a {cs} code"))
                .at(b.core)
                .found(describe("direction", d))
                .label(a.core, describe("code", c));
            repaired(with_generators(error, c, d), refusal.repair, (cs, c, a), (d, b))
        })?;
        space = Some(moved);
    }
    // A direction of W moves all rows of a W+ code, one of W+ gives a W code its rows.
    let layered = c.space != d.space && c.space.is_some() && d.space.is_some();
    one_generator(verb, ("code", c, a), ("direction", d, b))?;
    if let (Some(x), Some(y), false) = (c.layers, d.layers, layered)
        && x != y
    {
        return Err(layer_mismatch(("code", c, a), ("direction", d, b), x, y));
    }
    let rows = match space == c.space {
        true => c.layers.or(d.layers.filter(|_| !layered)),
        false => d.layers,
    };
    Ok(CodeType {
        space,
        layers: rows,
        model: c.model.clone().or(d.model.clone()),
        count: c.count,
        ..CodeType::default()
    })
}

/// Type of a code of one space after a direction of another is applied, or a refusal with its
/// repair.
fn repaired(
    error: Error,
    repair: Repair,
    (code, c, a): (Space, &CodeType, Operand<'_>),
    (d, b): (&CodeType, Operand<'_>),
) -> Error {
    match repair {
        Repair::Lift(to) | Repair::LiftOrDirectionOf(to, _) => {
            let lifted = format!("to({to}, {})", a.expr);
            error.hint(format!("bring the code there first: {lifted}")).fix(a.expr.span, lifted)
        }
        Repair::DirectionOf(_) | Repair::Invert(_) => in_space(error, (code, c), (b, d)),
    }
}

/// The repair that takes a direction which moves codes of that space: the same one where it is
/// written by its name and one of its forms does, else another one of the code's generator.
fn in_space(error: Error, code: (Space, &CodeType), (b, d): (Operand<'_>, &CodeType)) -> Error {
    let (space, of) = code;
    let own = of.model.as_ref().or(d.model.as_ref()).map(|m| &m.directions);
    let able = |spaces: &[Space]| {
        let forms: Vec<Form> = spaces.iter().map(|s| Form { set: *s, space: *s }).collect();
        form_for(space, &forms).is_some()
    };
    let known = |name: &&str| own.and_then(|all| all.get(*name)).is_some_and(|s| able(s));
    if let Some(name) = named(b.expr, b.core).filter(known) {
        let found = format!("direction(\"{name}\")");
        let hint = format!("without `space:` the code decides: {found}");
        return error.hint(hint).fix(b.core, found);
    }
    let other = own.and_then(|all| all.iter().find(|(_, spaces)| able(spaces)));
    error.hint(match other {
        Some((name, _)) => {
            format!("use a direction that moves {space} codes, such as direction(\"{name}\")")
        }
        None => format!("use a direction of {space}"),
    })
}

/// The name in `direction("…")`, where that call is at this span of an expression.
fn named(e: &Expr, at: Span) -> Option<&str> {
    match &e.kind {
        ExprKind::Call(call) if e.span == at && call.name.name == "direction" => {
            match call.args.first().map(|arg| &arg.value.kind) {
                Some(ExprKind::Text(name)) => Some(name.as_str()),
                _ => None,
            }
        }
        _ => e.children().into_iter().find_map(|child| named(child, at)),
    }
}

pub(super) type Side<'a> = (&'static str, &'a CodeType, Operand<'a>);

/// Directions that act together: in every space in which all of them are known, of one generator.
pub(super) fn together(verb: &str, all: &[Side<'_>]) -> Result<CodeType> {
    let Some((&first, rest)) = all.split_first() else { return Ok(CodeType::default()) };
    let mut joint = first.1.clone();
    for side in rest {
        joint = joined(&joint, side.1);
    }
    if all.iter().all(|(_, c, _)| c.forms.is_empty()) {
        rest.iter().try_for_each(|side| same(verb, first, *side))?;
        return Ok(joint);
    }
    rest.iter().try_for_each(|side| one_generator(verb, first, *side))?;
    let forms: Vec<Vec<Form>> = all.iter().map(|(_, c, _)| c.all_forms()).collect();
    if forms.iter().any(Vec::is_empty) {
        return Ok(CodeType { space: None, layers: None, ..joint });
    }
    let groups = aligned(&forms);
    if groups.is_empty() {
        return Err(nothing_common(verb, all));
    }
    // W beside W+ becomes W+: the wider one comes later in the order of all spaces.
    let wider = |s: &Space| Space::ALL.iter().position(|o| o == s);
    let joint_form = |(set, group): &(Space, Vec<usize>)| {
        let spaces = group.iter().zip(&forms).map(|(i, f)| f[*i].space);
        Form { set: *set, space: spaces.max_by_key(wider).unwrap_or(*set) }
    };
    Ok(joint.of_forms(groups.iter().map(joint_form).collect()))
}

/// Directions that are known in no space together.
fn nothing_common(verb: &str, all: &[Side<'_>]) -> Error {
    let mut sides = all.iter();
    let (Some((_, x, a)), Some((_, y, b))) = (sides.next(), sides.next_back()) else {
        return Error::check("these directions have no space in common");
    };
    let error =
        Error::check(format!("cannot {verb} a direction of {} and one of {}", x.sets(), y.sets()));
    error
        .at(b.core)
        .found(describe("direction", y))
        .label(a.core, describe("direction", x))
        .note("a direction that exists in several spaces takes the space of the others")
        .hint("use directions that exist in one space")
}

/// Both in one space, of one generator and of equal layers.
pub(super) fn same(verb: &str, (what, x, a): Side<'_>, (other, y, b): Side<'_>) -> Result<()> {
    if let (Some(s), Some(t)) = (x.space, y.space)
        && s != t
    {
        let error = Error::check(format!("cannot {verb} a {s} {what} and a {t} {other}"))
            .at(b.core)
            .found(describe(other, y))
            .label(a.core, describe(what, x));
        let error = with_generators(error, x, y);
        let one_space = |space: Space, o: Operand<'_>| {
            let lifted = format!("to({space}, {})", o.expr);
            (format!("bring both into one space: {lifted}"), o.expr.span, lifted)
        };
        let (hint, span, text) = match (what, s, t) {
            ("direction", Space::WPlus, Space::W) => layered(&b, y),
            ("direction", Space::W, Space::WPlus) => layered(&a, x),
            ("direction", ..) => {
                return Err(error.hint(format!("use two directions of {s}, or two of {t}")));
            }
            _ if lattice::wider(s, t) == Some(t) => one_space(t, a),
            _ => one_space(s, b),
        };
        return Err(error.hint(hint).fix(span, text));
    }
    one_generator(verb, (what, x, a), (other, y, b))?;
    match (x.layers, y.layers) {
        (Some(m), Some(n)) if m != n => Err(layer_mismatch((what, x, a), (other, y, b), m, n)),
        _ => Ok(()),
    }
}

/// Source text that writes a W direction for all layers.
fn layered(o: &Operand<'_>, c: &CodeType) -> (String, Span, String) {
    let end = c.model.as_ref().map_or(1, |m| m.num_ws);
    let number = |n: usize| Box::new(Expr::new(ExprKind::Number(n as f64), o.expr.span));
    let all = ExprKind::Range { from: number(0), to: number(end), step: None };
    let text = restricted(o.expr, &Expr::new(all, o.expr.span));
    (format!("give it layers: {text}"), o.expr.span, text)
}

fn layer_mismatch((what, x, a): Side<'_>, (other, y, b): Side<'_>, m: usize, n: usize) -> Error {
    Error::check(format!("the {what} has {m} layers, the {other} {n}"))
        .at(b.core)
        .found(describe(other, y))
        .label(a.core, describe(what, x))
        .hint("use the whole code, and restrict the direction instead: `direction @ 4..8`")
}

fn one_generator(verb: &str, (what, x, a): Side<'_>, (other, y, b): Side<'_>) -> Result<()> {
    let (Some(m), Some(n)) = (&x.model, &y.model) else { return Ok(()) };
    if m.fingerprint == n.fingerprint {
        return Ok(());
    }
    let message = format!("cannot {verb} a {other} of {} and a {what} of {}", n.name, m.name);
    let error =
        Error::check(message).at(b.core).found(describe(other, y)).label(a.core, describe(what, x));
    Err(error
        .note("different generators: their spaces share only the name")
        .hint(own_direction(m, other)))
}

fn own_direction(model: &ModelFacts, wanted: &str) -> String {
    match model.directions.keys().next().filter(|_| wanted == "direction") {
        Some(name) => {
            format!("after `load` of {}, take its own: direction(\"{name}\")", model.name)
        }
        None => format!("make both with {}", model.name),
    }
}

/// The note that the generators differ as well.
fn with_generators(error: Error, x: &CodeType, y: &CodeType) -> Error {
    match (&x.model, &y.model) {
        (Some(m), Some(n)) if m.fingerprint != n.fingerprint => error.note(format!(
            "these belong to different generators as well: {} and {}",
            m.name, n.name
        )),
        _ => error,
    }
}

/// `direction in Z of faces (77f0…), found by svm`.
pub(super) fn describe(what: &str, c: &CodeType) -> String {
    let mut out = match (what, c.space) {
        ("code", Some(s)) => format!("{s} code"),
        (_, Some(s)) => format!("{what} in {s}"),
        (_, None) if !c.forms.is_empty() => format!("{what} in {}", c.sets()),
        (_, None) => what.to_string(),
    };
    if let Some(m) = &c.model {
        out += &format!(" of {}", m.label());
    }
    if let Some(o) = &c.origin {
        out += &format!(", {o}");
    }
    out
}

/// Common type of two codes.
pub(super) fn joined(x: &CodeType, y: &CodeType) -> CodeType {
    CodeType {
        space: x.space.or(y.space),
        layers: x.layers.or(y.layers),
        model: x.model.clone().or(y.model.clone()),
        count: x.count.or(y.count),
        ..CodeType::default()
    }
}

/// Checks an index of layers, elements or pictures; `part` names one of them. Count and bounds are
/// checked as far as they are known.
pub(super) fn parts(index: &Expr, value: Option<&Const>, part: &str) -> Result<Option<(f64, f64)>> {
    let refuse = |what: String| Error::check(what).at(index.span);
    let (from, to) = match value {
        None => return Ok(None),
        Some(Const::Number(n)) => (*n, *n + 1.0),
        Some(Const::Range(a, b, step)) if step.is_none_or(|s| s == 1.0) => (*a, *b),
        Some(Const::Range(..)) => {
            return Err(refuse(format!("{part}s do not take a step"))
                .hint("choose them without `by`")
                .fix(index.span, without_step(index)));
        }
        Some(_) => return Err(refuse(format!("{part}s are numbers")).hint("like `0..4` or `3`")),
    };
    if [from, to].iter().any(|n| n.fract() != 0.0 || *n < 0.0) {
        return Err(refuse(format!("{part}s are whole numbers from 0")).hint("like `0..4` or `3`"));
    }
    if from >= to {
        let error = refuse(format!("this range does not contain {part}s"))
            .note(format!("{part} ranges are half open"));
        let one = format!("{from}..{}", from + 1.0);
        return Err(error.hint(format!("{one} for {part} {from}")).fix(index.span, one));
    }
    Ok(Some((from, to)))
}

fn without_step(index: &Expr) -> String {
    match &index.kind {
        ExprKind::Range { from, to, .. } => format!("{from}..{to}"),
        _ => index.to_string(),
    }
}

/// Checks an index against `total` layers; the number of layers chosen, where it is known.
pub(super) fn layers(
    index: &Expr,
    value: Option<&Const>,
    total: Option<usize>,
    whose: &str,
) -> Result<Option<usize>> {
    let Some((from, to)) = parts(index, value, "layer")? else { return Ok(None) };
    let Some(total) = total else { return Ok(Some((to - from) as usize)) };
    if to > total as f64 {
        let which = if matches!(value, Some(Const::Number(_))) {
            format!("no layer {from}")
        } else {
            format!("no layers {from}..{to}")
        };
        let error = Error::check(format!("there is {which}: {whose} has layers 0..{total}"));
        let error = error.at(index.span);
        let last = total.saturating_sub(1);
        return Err(match value {
            Some(Const::Range(..)) if from < total as f64 => {
                error.rewrite(index.span, format!("{from}..{total}"))
            }
            _ => error.hint(format!("{last}, the last one")).fix(index.span, last.to_string()),
        });
    }
    Ok(Some((to - from) as usize))
}
