//! `len`: how many there are.

use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::{Error, Result};
use crate::value::Value;

/// `len(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "len",
        params: &[Param::required(
            "x",
            &[Kind::List, Kind::Latent, Kind::Image, Kind::Path, Kind::Text, Kind::Table],
            "a list, codes, pictures, a path, a text or a table",
        )],
        returns: "Number",
        infer,
    },
    category: Category::Measure,
    summary: "the number of elements, codes, pictures, characters or rows",
    details: "",
    examples: &[Example { code: "len(sample(n: 4))", note: "4" }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let n = match args.need("x")? {
            Value::List(items) => items.len(),
            Value::Latent(l) | Value::Path(l) => l.count(),
            Value::Inversion(i) => i.code.count(),
            Value::Image(i) => i.dims()[0],
            Value::Text(t) => t.chars().count(),
            Value::Table(t) => t.rows.len(),
            other => {
                return Err(
                    Error::runtime(format!("{} has no length", other.ty())).at(args.span("x"))
                );
            }
        };
        Ok(Value::Number(n as f64))
    },
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Number)
}
