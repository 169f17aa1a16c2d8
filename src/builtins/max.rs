//! `max`: the largest of numbers.

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::value::Value;

/// `max(list)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "max",
        params: shared::params::NUMBERS,
        returns: "Number",
        infer: |_| Ok(crate::builtin::Type::Number),
    },
    category: Category::Measure,
    summary: "the largest of numbers",
    details: "A column of a table is a list of numbers: `max(t[\"value\"])`.",
    examples: &[Example { code: "max([1, 2, 3])", note: "3" }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let numbers = shared::numbers(args, "x")?;
        Ok(Value::Number(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)))
    },
};
