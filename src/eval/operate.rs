//! Operators on values.

use crate::builtin::{Context, as_latent, layer_range};
use crate::direction::{self, Forms};
use crate::error::{Error, Kind, Result};
use crate::lang::ast::{BinaryOp, CompareOp};
use crate::lang::check;
use crate::lang::suggest::near;
use crate::latent::Code;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::text::shown;
use crate::value::{Cell, Image, Models, Table, Value};
use std::ops::Range;
use std::sync::Arc;

/// `a op b`.
pub fn binary(op: BinaryOp, a: &Value, b: &Value) -> Result<Value> {
    use BinaryOp::{Add, Div, Mul, Sub};
    match (op, a, b) {
        (_, Value::Number(x), Value::Number(y)) => arithmetic(op, *x, *y),
        (_, Value::List(x), Value::List(y)) => {
            if x.len() != y.len() {
                let message = format!("lists of {} and {} elements", x.len(), y.len());
                return Err(Error::runtime(message).hint("lists go together element by element"));
            }
            elementwise(op, x.iter().zip(y.iter()))
        }
        (_, Value::List(x), Value::Number(_)) => elementwise(op, x.iter().map(|v| (v, b))),
        (_, Value::Number(_), Value::List(y)) => elementwise(op, y.iter().map(|v| (a, v))),
        (Add, Value::Text(x), Value::Text(y)) => text(x, y),
        (Add | Sub, Value::Direction(x), Value::Direction(y)) => x.add(y, op == Sub).map(directed),
        (Mul, Value::Number(k), Value::Direction(d))
        | (Mul, Value::Direction(d), Value::Number(k)) => Ok(directed(d.scale(*k))),
        (Div, Value::Direction(d), Value::Number(k)) if *k != 0.0 => Ok(directed(d.scale(1.0 / k))),
        (Div, Value::Direction(_), Value::Number(_)) => {
            Err(Error::runtime("division of a direction by zero"))
        }
        (Add, x, Value::Direction(d)) | (Add, Value::Direction(d), x) => moved(x, 1.0, d),
        (Sub, x, Value::Direction(d)) => moved(x, -1.0, d),
        (Sub, x, y) => match (as_latent(x), as_latent(y)) {
            (Some(p), Some(q)) => Ok(direction::difference(&p, &q)?.into()),
            _ => Err(unfit(op, a, b)),
        },
        _ => Err(unfit(op, a, b)),
    }
}

/// The operator on each pair of numbers.
fn elementwise<'v>(
    op: BinaryOp,
    pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
) -> Result<Value> {
    let one = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Number(x), Value::Number(y)) => arithmetic(op, *x, *y),
        _ => Err(unfit(op, a, b)),
    };
    Value::list(pairs.map(one).collect::<Result<Vec<_>>>()?)
}

fn text(x: &str, y: &str) -> Result<Value> {
    let bytes = x.len() + y.len();
    if bytes > LIMITS.text_bytes {
        let allowed = LIMITS.text_bytes;
        let what = format!("the text would have {bytes} bytes, {allowed} are allowed");
        return Err(Error::new(Kind::Limit, what).hint("print several shorter texts"));
    }
    Ok(Value::Text(format!("{x}{y}")))
}

fn directed(d: Forms) -> Value {
    Value::Direction(Arc::new(d))
}

fn unfit(op: BinaryOp, a: &Value, b: &Value) -> Error {
    Error::runtime(format!("{} {} {} is not defined", a.ty(), op.symbol(), b.ty()))
}

fn arithmetic(op: BinaryOp, x: f64, y: f64) -> Result<Value> {
    let v = match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div if y == 0.0 => return Err(Error::runtime("division by zero")),
        BinaryOp::Div => x / y,
    };
    Ok(Value::Number(v))
}

fn moved(code: &Value, k: f64, d: &Forms) -> Result<Value> {
    let code = as_latent(code)
        .ok_or_else(|| Error::runtime(format!("a direction moves codes, not {}", code.ty())))?;
    Ok(Value::Latent(direction::apply(&code, k, d.moving(code.space)?)?))
}

/// `-a`.
pub fn negate(a: &Value) -> Result<Value> {
    match a {
        Value::Number(v) => Ok(Value::Number(-v)),
        Value::Direction(d) => Ok(directed(d.scale(-1.0))),
        other => Err(Error::runtime(format!("{} cannot be negated", other.ty()))),
    }
}

/// `a op b` as true or false.
pub fn compare(op: CompareOp, a: &Value, b: &Value) -> Result<bool> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => Ok(match op {
            CompareOp::Less => x < y,
            CompareOp::LessEq => x <= y,
            CompareOp::Greater => x > y,
            CompareOp::GreaterEq => x >= y,
            CompareOp::Equal => x == y,
            CompareOp::NotEqual => x != y,
        }),
        (Value::Text(x), Value::Text(y)) => equality(op, x == y),
        (Value::Bool(x), Value::Bool(y)) => equality(op, x == y),
        (Value::Space(x), Value::Space(y)) => equality(op, x == y),
        _ => Err(Error::runtime(format!("{} and {} cannot be compared", a.ty(), b.ty()))
            .hint("compare numbers: psnr(a, b) > 25")),
    }
}

fn equality(op: CompareOp, equal: bool) -> Result<bool> {
    match op {
        CompareOp::Equal => Ok(equal),
        CompareOp::NotEqual => Ok(!equal),
        _ => Err(Error::runtime("only numbers have an order")),
    }
}

/// `base | conditions`, jointly.
pub fn condition(base: &Value, conditions: &[Value]) -> Result<Value> {
    let mut all = Vec::new();
    for c in conditions {
        match c {
            Value::List(items) => {
                all.extend(items.iter().map(one_direction).collect::<Result<Vec<_>>>()?)
            }
            other => all.push(one_direction(other)?),
        }
    }
    one_direction(base)?.conditional(&all).map(directed)
}

fn one_direction(v: &Value) -> Result<Forms> {
    match v {
        Value::Direction(d) => Ok((**d).clone()),
        other => {
            Err(Error::runtime(format!("`|` goes between directions, this is {}", other.ty())))
        }
    }
}

/// `base @ layers`.
pub fn layers(base: &Value, layers: &Value, ctx: &Context<'_>) -> Result<Value> {
    let d = one_direction(base)?;
    let first = d.first();
    let known = match &first.model {
        Some(id) => ctx.models.known(id),
        None => None,
    };
    let facts = known.clone().or_else(|| Some(ctx.model.as_ref()?.facts.clone()));
    let count = match (first.space, &first.model) {
        (space, _) if space.has_rows() && !d.is_open() => Some(first.rows),
        (_, Some(_)) => known.map(|m| m.num_ws),
        (_, None) => facts.as_ref().map(|m| m.num_ws),
    };
    let count = count.ok_or_else(|| {
        Error::runtime("the direction's generator is not loaded, so its layers are not known")
            .hint("load that generator first")
    })?;
    let styles = facts.map(|m| m.style_sizes.clone()).unwrap_or_default();
    d.at_layers(&layer_range(layers, count)?, count, &styles).map(directed)
}

/// `base[index]`: layers of a W+ or S code, elements of a list, pictures of a batch.
pub fn index(base: &Value, index: &Value, models: &Models) -> Result<Value> {
    match base {
        Value::List(items) => {
            let range = parts(index, items.len(), "element")?;
            Ok(match index {
                Value::Number(_) => items[range.start].clone(),
                _ => Value::list(items[range].to_vec())?,
            })
        }
        Value::Image(i) => pictures(i, index).map(Value::Image),
        Value::Table(t) => match index {
            Value::Text(name) => named(t, name),
            other => {
                Err(Error::runtime(format!("a table is indexed by a name, not {}", other.ty())))
            }
        },
        Value::Latent(l) if l.count() > 1 && !l.space.has_rows() && l.space != Space::S => {
            let range = parts(index, l.count(), "code")?;
            codes(l, range.start, range.len()).map(Value::Latent)
        }
        Value::Path(_) => Err(Error::runtime("a path cannot be indexed").hint(
            "iterate over its frames: [w for w \
                                                                 in path]",
        )),
        other => match as_latent(other) {
            Some(code) if code.space.has_rows() || code.space == Space::S => {
                code_layers(&code, index, models)
            }
            Some(code) => Err(Error::runtime(format!(
                "a {} code has no layers to \
                                                      choose",
                code.space
            ))
            .hint(
                "lift it first: to(W+, code)[4..8]; iterate over several codes with [c for c \
                       in codes]",
            )),
            None => Err(Error::runtime(format!("{} cannot be indexed", other.ty()))),
        },
    }
}

/// A row of a table by its first cell, or a column by its header: one value, or a list of them. A
/// row about an inversion is that inversion.
fn named(t: &Table, name: &str) -> Result<Value> {
    let value = |c: &Cell| match c {
        Cell::Text(s) => Value::Text(s.clone()),
        Cell::Number(v, _) => Value::Number(*v),
    };
    let first = |row: &&Vec<Cell>| matches!(row.first(), Some(Cell::Text(s)) if s == name);
    let listed = |cells: Vec<Value>| match <[Value; 1]>::try_from(cells) {
        Ok([one]) => Ok(one),
        Err(cells) => Value::list(cells),
    };
    if let Some(found) = t.rows.iter().position(|row| first(&row)).and_then(|k| t.found.get(k)) {
        return Ok(Value::Inversion(found.clone()));
    }
    if let Some(row) = t.rows.iter().find(first) {
        // The unit says what the numbers are, and is not one of them.
        let cells = row.iter().zip(&t.columns).skip(1).filter(|(_, column)| *column != "unit");
        return listed(cells.map(|(c, _)| value(c)).collect());
    }
    if let Some(k) = t.columns.iter().position(|c| c == name) {
        return Value::list(t.rows.iter().filter_map(|r| r.get(k)).map(value).collect());
    }
    let rows = t.rows.iter().filter_map(|r| match r.first() {
        Some(Cell::Text(s)) => Some(s.as_str()),
        _ => None,
    });
    let known: Vec<&str> = rows.chain(t.columns.iter().map(String::as_str)).collect();
    let error = Error::runtime(format!("the table has no row or column {}", Safe(name)));
    Err(match near(name, known.iter().copied()).first() {
        Some(best) => error.hint(format!("[\"{}\"]", Safe(best))),
        None => error.hint(format!("one of {}", Safe(&known.join(", ")))),
    })
}

/// The chosen pictures of a batch.
fn pictures(i: &Image, index: &Value) -> Result<Image> {
    let range = parts(index, i.dims()[0], "picture")?;
    i.slice(range)
}

/// Range of the elements or pictures that an index selects of `count`; `part` names one of them.
fn parts(index: &Value, count: usize, part: &str) -> Result<Range<usize>> {
    layer_range(index, count).map_err(|_| {
        let s = if count == 1 { "" } else { "s" };
        let error = Error::runtime(format!(
            "there is no {part} {}: {count} {part}{s}, counted from 0",
            shown(index)
        ));
        match index {
            _ if count == 0 => error.hint("choose from one that is not empty"),
            Value::Range { .. } => error.hint(format!("a range without a step within 0..{count}")),
            _ => error.hint(format!("an index below {count}")),
        }
    })
}

/// The chosen layers of a W+ code, or the styles that these rows of w control in a code of S.
fn code_layers(code: &Code, index: &Value, models: &Models) -> Result<Value> {
    let sizes = match code.space {
        Space::S => style_sizes(code, models)?,
        _ => vec![1; code.layers()],
    };
    let range = layer_range(index, sizes.len())?;
    let (from, to): (usize, usize) =
        (sizes[..range.start].iter().sum(), sizes[..range.end].iter().sum());
    let point = code.point().narrow(1, from, to - from)?.contiguous()?;
    let origin = format!("layers {}..{} of ({})", range.start, range.end, code.origin);
    Ok(Value::Latent(code.derived(point, origin)))
}

/// The layers of a whole code of S.
fn style_sizes(code: &Code, models: &Models) -> Result<Vec<usize>> {
    let known = code.model.as_ref().and_then(|id| models.known(id)).ok_or_else(|| {
        Error::runtime("the code's generator is not loaded, so its layers are not known")
            .hint("load it first")
    })?;
    if known.s_dim() != code.dim() {
        let message = format!(
            "a part of {} styles has no layers of its own: {} has {}",
            code.dim(),
            known.name,
            known.s_dim()
        );
        return Err(Error::runtime(message).hint("choose the layers of the whole code"));
    }
    Ok(known.style_sizes.clone())
}

/// Some of N codes, with their noise maps.
fn codes(code: &Code, start: usize, len: usize) -> Result<Code> {
    Ok(Code { origin: format!("{}, #{start}", code.origin), ..code.slice(start, len)? })
}

/// Elements that a comprehension iterates.
pub fn elements(over: &Value) -> Result<Vec<Value>> {
    match over {
        Value::Range { from, to, step } => {
            Ok(check::numbers(*from, *to, *step)?.into_iter().map(Value::Number).collect())
        }
        Value::List(items) => Ok(items.to_vec()),
        Value::Image(i) => {
            let one = |k| pictures(i, &Value::Number(k as f64)).map(Value::Image);
            (0..i.dims()[0]).map(one).collect()
        }
        Value::Inversion(i) => {
            Ok(i.parts()?.into_iter().map(|one| Value::Inversion(Arc::new(one))).collect())
        }
        other => match as_latent(other) {
            Some(code) => {
                (0..code.count()).map(|k| codes(&code, k, 1).map(Value::Latent)).collect()
            }
            None => Err(Error::runtime(format!("{} is not iterable", other.ty()))
                .hint("a range such as -3..3 by 1.5, or a list")),
        },
    }
}
