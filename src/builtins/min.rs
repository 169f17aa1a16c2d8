//! `min`: the smallest of numbers.

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::value::Value;

/// `min(list)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "min",
        params: shared::params::NUMBERS,
        returns: "Number",
        infer: |_| Ok(crate::builtin::Type::Number),
    },
    category: Category::Measure,
    summary: "the smallest of numbers",
    details: "A column of a table is a list of numbers: `min(t[\"value\"])`.",
    examples: &[Example { code: "min([1, 2, 3])", note: "1" }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let numbers = shared::numbers(args, "x")?;
        Ok(Value::Number(numbers.iter().copied().fold(f64::INFINITY, f64::min)))
    },
};
