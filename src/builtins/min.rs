//! `min`: the smallest of numbers.

use super::shared;
use crate::builtin::{Builtin, Example};
use crate::value::Value;

/// `min(list)`
pub const BUILTIN: Builtin = shared::of_numbers(
    "min",
    "the smallest of numbers",
    &[Example { code: "min([1, 2, 3])", note: "1" }],
    |args, _| {
        let all = shared::numbers(args, "x")?;
        Ok(Value::Number(all.iter().copied().fold(f64::INFINITY, f64::min)))
    },
);
