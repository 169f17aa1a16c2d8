//! `sum`: the sum of numbers.

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::value::Value;

/// `sum(list)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "sum",
        params: shared::params::NUMBERS,
        returns: "Number",
        infer: |_| Ok(crate::builtin::Type::Number),
    },
    category: Category::Measure,
    summary: "the sum of numbers",
    details: "A column of a table is a list of numbers: `sum(t[\"value\"])`.",
    examples: &[Example { code: "sum([1, 2, 3])", note: "6" }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let numbers = shared::numbers(args, "x")?;
        Ok(Value::Number(numbers.iter().sum()))
    },
};
