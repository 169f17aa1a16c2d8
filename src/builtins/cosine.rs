//! `cosine`: how alike directions are.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::direction::{self, Forms};
use crate::error::{Error, Result};
use crate::space::Space;
use crate::value::{Cell, Table, Value};
use std::sync::Arc;

/// `cosine(a, b, …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "cosine",
        params: &[Param::required(
            "directions",
            &[Kind::Direction, Kind::List],
            "two, or more for a table",
        )
        .variadic()],
        returns: "Number or Table",
        infer,
    },
    category: Category::Measure,
    summary: "cosine of the angle between directions: 0 is independent, 1 is the same",
    details: "A number for two directions, a table for more. In double precision. W directions act \
              on every layer when they \
              meet a W+ one. Named directions are compared in the first space in which all exist: \
              W, W+, S, Z.",
    examples: &[
        Example { code: "cosine(direction(\"smile\"), direction(\"age\"))", note: "a number" },
        Example {
            code: "smile = direction(\"smile\"); age = direction(\"age\"); cosine(smile, age, \
                   smile | age)",
            note: "the table: the last row is 0 under age",
        },
    ],
    cost: None,
    cache: None,
    definition: Some(|_| {
        "cosine between directions in the first space that all are known in, double precision"
            .into()
    }),
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let given = call.args.first().map(Vec::as_slice).unwrap_or_default();
    let mut first: Option<&crate::builtin::CheckedArg> = None;
    for a in given {
        let (Some(f), c) = (first, shared::code_type(&a.ty)) else {
            first = Some(a);
            continue;
        };
        let known = shared::code_type(&f.ty);
        if let (Some(x), Some(y)) = (&known.model, &c.model)
            && x.fingerprint != y.fingerprint
        {
            return Err(Error::check(format!(
                "directions of different generators: {} and {}",
                x.label(),
                y.label()
            ))
            .at(a.span)
            .hint("compare directions of one generator"));
        }
    }
    Ok(match given {
        [a, b] if [a, b].iter().all(|x| matches!(x.ty, Type::Direction(_))) => Type::Number,
        [one] if matches!(one.ty, Type::Direction(_)) => return Err(two().at(call.span)),
        [_] => Type::Unknown,
        _ => Type::Table,
    })
}

fn two() -> Error {
    Error::check("a cosine needs two directions").hint("cosine(a, b)")
}

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let mut all: Vec<Forms> = Vec::new();
    for (value, span) in args.many("directions") {
        match value {
            Value::Direction(d) => all.push((*d).clone()),
            other => {
                return Err(Error::runtime(format!("{} is not a direction", other.ty())).at(span));
            }
        }
    }
    if all.len() < 2 {
        return Err(Error::runtime(two().message()).at(args.span).hint("cosine(a, b)"));
    }
    let (space, cosines) = direction::cosines_of(&all).map_err(|e| e.at(args.span))?;
    Ok(match &cosines[..] {
        [first, _] => Value::Number(first.get(1).copied().unwrap_or(f64::NAN)),
        _ => table(&all, space, cosines),
    })
}

fn table(all: &[Forms], space: Space, cosines: Vec<Vec<f64>>) -> Value {
    let name = |d: &Forms| d.first().name.clone();
    let columns = std::iter::once(String::new()).chain(all.iter().map(name)).collect();
    let row = |(d, cosines): (&Forms, Vec<f64>)| {
        // Rounding would print -0.000 for what is zero to double precision.
        let cell = |v: f64| Cell::Number(if v.abs() < 5e-4 { 0.0 } else { v }, 3);
        std::iter::once(Cell::Text(name(d))).chain(cosines.into_iter().map(cell)).collect()
    };
    let rows = all.iter().zip(cosines).map(row).collect();
    let notes = vec![format!("cosine between directions in {space}, double precision")];
    Value::Table(Arc::new(Table { columns, rows, notes, ..Table::default() }))
}
