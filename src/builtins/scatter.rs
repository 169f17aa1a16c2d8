//! `scatter`: points of two lists.

use super::shared;
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param};
use crate::builtin::{Signature, Type};
use crate::error::{Error, Result};
use crate::render::{Chart, Plot};
use crate::value::Value;
use std::sync::Arc;

/// `scatter(x, y)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "scatter",
        params: &[
            Param::required("x", &[Kind::List], "a list of numbers: the places along the axis"),
            Param::required("y", &[Kind::List], "as many numbers: the heights"),
        ],
        returns: "Plot",
        infer,
    },
    category: Category::See,
    summary: "points of two lists of numbers, with their correlation",
    details: "The correlation is Pearson's. Rows and columns of a table are lists.",
    examples: &[
        Example {
            code: "w = sample(n: 12, seed: 1); scatter([norm(w[i] - mean_w) for i in 0..11], \
                   [psnr(w[i], mean_w) for i in 0..11])",
            note: "the farther from the mean, the less alike",
        },
        Example { code: "scatter([1, 2, 3], [1, 4, 9])", note: "three points" },
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
    let [x, y] = ["x", "y"].map(|name| shared::finite(&args.many(name), args.span(name)));
    let (x, y) = (x?, y?);
    if x.len() != y.len() {
        let message = format!("`x` has {} numbers, `y` has {}", x.len(), y.len());
        return Err(Error::runtime(message).at(args.span("y")).hint("give as many of both"));
    }
    let name = |n: &str| shared::written(args, n, 0).unwrap_or_else(|| n.into());
    let points = x.into_iter().zip(y).collect();
    let series = vec![(String::new(), points)];
    let chart = Chart { x: name("x"), y: name("y"), series, ..Chart::default() };
    Ok(Value::Plot(Arc::new(Plot::Chart(chart))))
}
