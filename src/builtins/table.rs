//! `table`: lists as the columns of a table.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::lang::check::numbers;
use crate::value::{Cell, Table, Value};
use std::sync::Arc;

/// `table(["name", "psnr"], names, values)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "table",
        params: &[
            Param::required("columns", &[Kind::List], "the names of the columns"),
            Param::required(
                "values",
                &[Kind::List, Kind::Range],
                "a list of numbers or texts for each column, all of one length",
            )
            .variadic(),
        ],
        returns: "Table",
        infer,
    },
    category: Category::Measure,
    summary: "a table from lists, one a column",
    details: "`save(t, \"report.csv\")` writes it for other programs, with all digits.",
    examples: &[Example {
        code: "k = [1, 2, 3]; table([\"seed\", \"norm\"], k, [norm(sample(seed: s)) for s in k])",
        note: "three rows",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Table)
}

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let given = |name: &str| {
        let at = args.params.iter().position(|p| p.name == name);
        at.and_then(|i| args.values.get(i)).map(Vec::as_slice).unwrap_or_default()
    };
    let names: Vec<String> = args
        .many("columns")
        .into_iter()
        .map(|(v, span)| match v {
            Value::Text(name) => Ok(name),
            other => {
                Err(Error::runtime(format!("a column is named by a text, not {}", other.ty()))
                    .at(span))
            }
        })
        .collect::<Result<_>>()?;
    let lists = given("values");
    if names.len() != lists.len() {
        let message = format!("{} names for {} columns", names.len(), lists.len());
        return Err(Error::runtime(message).at(args.span("columns")).hint("name each column once"));
    }
    let columns: Vec<Vec<Cell>> =
        lists.iter().map(|(v, span)| column(v).map_err(|e| e.at(*span))).collect::<Result<_>>()?;
    let rows = columns.first().map_or(0, Vec::len);
    if let Some(k) = columns.iter().position(|c| c.len() != rows) {
        let message = format!("{} rows in the first column, {} here", rows, columns[k].len());
        return Err(Error::runtime(message).at(lists[k].1).hint("one value for each row"));
    }
    let row = |i: usize| columns.iter().map(|c| c[i].clone()).collect();
    let rows = (0..rows).map(row).collect();
    Ok(Value::Table(Arc::new(Table { columns: names, rows, ..Table::default() })))
}

/// The cells of a column: whole numbers as they are, others with three digits after the point.
fn column(value: &Value) -> Result<Vec<Cell>> {
    let items: Vec<Value> = match value {
        Value::List(items) => items.to_vec(),
        Value::Range { from, to, step } => {
            numbers(*from, *to, *step)?.into_iter().map(Value::Number).collect()
        }
        other => return Err(Error::runtime(format!("a column is a list, not {}", other.ty()))),
    };
    let whole = |v: &Value| !matches!(v, Value::Number(n) if n.fract() != 0.0);
    let digits = if items.iter().all(whole) { 0 } else { 3 };
    let cell = |v: Value| match v {
        Value::Number(n) => Ok(Cell::Number(n, digits)),
        Value::Text(text) => Ok(Cell::Text(text)),
        Value::Bool(b) => Ok(Cell::Text(b.to_string())),
        other => Err(Error::runtime(format!("a cell is a number or a text, not {}", other.ty()))),
    };
    items.into_iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_column_have_one_form() {
        let column = |all: Vec<Value>| column(&Value::list(all).unwrap());
        let number = Value::Number;
        assert_eq!(
            column(vec![number(1.0), number(2.5)]).unwrap(),
            [Cell::Number(1.0, 3), Cell::Number(2.5, 3)]
        );
        assert_eq!(
            column(vec![number(7.0), Value::Text("a".into()), Value::Bool(true)]).unwrap(),
            [Cell::Number(7.0, 0), Cell::Text("a".into()), Cell::Text("true".into())]
        );
        assert!(column(vec![Value::Space(crate::space::Space::W)]).is_err());
    }
}
