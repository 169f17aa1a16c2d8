//! `max`: the largest of numbers.

use super::shared;
use crate::builtin::{Builtin, Example};
use crate::value::Value;

/// `max(list)`
pub const BUILTIN: Builtin = shared::of_numbers(
    "max",
    "the largest of numbers",
    &[Example { code: "max([1, 2, 3])", note: "3" }],
    |args, _| {
        let all = shared::numbers(args, "x")?;
        Ok(Value::Number(all.iter().copied().fold(f64::NEG_INFINITY, f64::max)))
    },
);
