//! `sum`: the sum of numbers.

use super::shared;
use crate::builtin::{Builtin, Example};
use crate::value::Value;

/// `sum(list)`
pub const BUILTIN: Builtin = shared::of_numbers(
    "sum",
    "the sum of numbers",
    &[Example { code: "sum([1, 2, 3])", note: "6" }],
    |args, _| {
        let all = shared::numbers(args, "x")?;
        Ok(Value::Number(all.iter().sum()))
    },
);
