//! `hist`: how often numbers occur.

use super::shared;
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param};
use crate::builtin::{Signature, Type};
use crate::error::{Error, Result};
use crate::render::{Histogram, Plot};
use crate::value::Value;
use std::sync::Arc;

/// `hist(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "hist",
        params: &[
            Param::required(
                "x",
                &[Kind::List],
                "a list of numbers, such as a row or a column of a table",
            ),
            Param::optional(
                "bins",
                &[Kind::Number],
                "-",
                "bins of equal width, from the least number to the greatest; unless given, as many \
                 as suit the numbers, with ends that are short",
            )
            .whole(1, 200),
        ],
        returns: "Plot",
        infer,
    },
    category: Category::See,
    summary: "a histogram of numbers",
    details: "A bin holds its lower end, the last one both. σ is the standard deviation with n in \
              the denominator. Without `bins:` their width is numpy's `auto` (Freedman and \
              Diaconis, or Sturges), rounded to 1, 2, 2.5 or 5 times a power of ten.",
    examples: &[
        Example {
            code: "hist([norm(sample(seed: s) - mean_w) for s in 1..40])",
            note: "how far samples lie from the mean of w",
        },
        Example { code: "hist([1, 2, 2, 3, 3, 3], bins: 3)", note: "three bins" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    shared::check_numbers(call)?;
    Ok(Type::Plot)
}

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let values = shared::finite(&args.many("x"), args.span("x"))?;
    let name = shared::written(args, "x", 0).unwrap_or_else(|| "x".into());
    let found = Histogram::of(&name, &values, args.count("bins")?);
    let far = || Error::runtime("these numbers are too far apart").at(args.span("x"));
    Ok(Value::Plot(Arc::new(Plot::Histogram(found.ok_or_else(far)?))))
}
