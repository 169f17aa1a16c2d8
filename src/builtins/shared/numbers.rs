//! What the functions of a list of numbers share.

use crate::builtin::{Args, Builtin, Category, Context, Example, Kind, Param, Signature, Type};
use crate::error::{Error, Result, Span};
use crate::value::Value;

/// A function of a list of numbers that gives one.
pub const fn of_numbers(
    name: &'static str,
    summary: &'static str,
    examples: &'static [Example],
    run: fn(&Args, &mut Context<'_>) -> Result<Value>,
) -> Builtin {
    const LIST: &[Param] =
        &[Param::required("x", &[Kind::List], "a list of numbers, such as a column of a table")];
    Builtin {
        signature: Signature { name, params: LIST, returns: "Number", infer: |_| Ok(Type::Number) },
        category: Category::Measure,
        summary,
        details: "A column of a table is a list of numbers: `t[\"value\"]`.",
        examples,
        cost: None,
        cache: None,
        definition: None,
        run,
    }
}

/// The numbers of a list, at least one.
///
/// # Errors
/// When the list is empty or holds something else.
pub fn numbers(args: &Args, name: &str) -> Result<Vec<f64>> {
    numbers_of(&args.many(name), args.span(name))
}

pub(super) fn numbers_of(values: &[(Value, Span)], list: Span) -> Result<Vec<f64>> {
    let number = |(value, span): &(Value, Span)| match value {
        Value::Number(v) => Ok(*v),
        other => {
            let message = format!("a list of numbers is wanted, and this holds {}", other.ty());
            Err(Error::runtime(message).at(*span))
        }
    };
    let all = values.iter().map(number).collect::<Result<Vec<_>>>()?;
    if all.is_empty() {
        return Err(Error::runtime("the list is empty").at(list));
    }
    Ok(all)
}
