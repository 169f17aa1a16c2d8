//! `plot`: curves of numbers, and the loss of an inversion over its steps.

use super::shared;
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param};
use crate::builtin::{Signature, Type};
use crate::error::{Error, Result, Span};
use crate::invert::Inversion;
use crate::render::{Chart, Plot};
use crate::value::Value;
use std::sync::Arc;

/// `plot(y, …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "plot",
        params: &[
            Param::required(
                "y",
                &[Kind::List, Kind::Inversion],
                "a list of numbers for each curve, or inversions: their loss over the steps",
            )
            .variadic(),
            Param::optional(
                "x",
                &[Kind::List],
                "-",
                "as many numbers: the places of the heights; 0, 1, 2, … unless given",
            )
            .named(),
            Param::optional(
                "log",
                &[Kind::Bool],
                "-",
                "whether y is on a logarithmic scale; that of a loss is unless `false`",
            )
            .named(),
        ],
        returns: "Plot",
        infer,
    },
    category: Category::See,
    summary: "curves of numbers, or of an inversion's loss",
    details: "On a logarithmic scale numbers that are not positive have no place. `:details` has \
              the terms of a loss.",
    examples: &[
        Example {
            code: "a = sample(seed: 1); b = sample(seed: 2); ts = [t for t in 0.1..1 by 0.1]; \
                   plot([psnr(a, lerp(a, b, t)) for t in ts], x: ts)",
            note: "how fast a picture is left behind",
        },
        Example {
            code: "r = invert(sample(seed: 3), steps: 20); plot(r)",
            note: "the loss over the steps",
        },
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

type Series = (String, Vec<(f64, f64)>);

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let at = args.params.iter().position(|p| p.name == "y").unwrap_or(0);
    let given = args.values.get(at).map(Vec::as_slice).unwrap_or_default();
    let mut series: Vec<Series> = Vec::new();
    let mut losses = 0;
    for (k, (value, span)) in given.iter().enumerate() {
        let name = shared::written(args, "y", k).unwrap_or_else(|| format!("#{k}"));
        match value {
            Value::Inversion(i) => {
                series.extend(losses_of(i, &name));
                losses += 1;
            }
            Value::List(items) => {
                let pairs: Vec<_> = items.iter().map(|v| (v.clone(), *span)).collect();
                series.push((name, placed(args, shared::finite(&pairs, *span)?, *span)?));
            }
            other => {
                let message = format!("{} is no list of numbers", other.ty());
                return Err(Error::runtime(message).at(*span));
            }
        }
    }
    if series.iter().all(|(_, points)| points.is_empty()) {
        return Err(Error::runtime("there is nothing to draw: no loss was recorded")
            .at(args.span)
            .hint("invert(x, method: optimize) records its loss"));
    }
    let loss = losses == given.len();
    let log = if args.get("log").is_some() { args.flag("log")? } else { loss };
    let y = match &series[..] {
        _ if loss => "loss".into(),
        [(name, _)] => name.clone(),
        _ => "y".into(),
    };
    let x = if loss { Some("steps".into()) } else { shared::written(args, "x", 0) };
    let chart = Chart { x: x.unwrap_or_else(|| "index".into()), y, log, joined: true, series };
    Ok(Value::Plot(Arc::new(Plot::Chart(chart))))
}

/// The numbers of a list at their places.
fn placed(args: &Args, y: Vec<f64>, span: Span) -> Result<Vec<(f64, f64)>> {
    if args.get("x").is_none() {
        return Ok(y.into_iter().enumerate().map(|(i, y)| (i as f64, y)).collect());
    }
    let x = shared::finite(&args.many("x"), args.span("x"))?;
    if x.len() != y.len() {
        let message = format!("`x` has {} numbers, this list has {}", x.len(), y.len());
        return Err(Error::runtime(message).at(span).hint("give as many of both"));
    }
    Ok(x.into_iter().zip(y).collect())
}

/// The whole loss over the steps, of each picture of an inversion.
fn losses_of(i: &Inversion, name: &str) -> Vec<Series> {
    let several = i.trace.len() > 1;
    let one = |(k, trace): (usize, &crate::invert::Trace)| {
        let whole = trace.terms.iter().map(|row| row.iter().sum());
        let points = trace.steps.iter().map(|s| *s as f64).zip(whole).collect();
        (if several { format!("{name} #{k}") } else { name.to_owned() }, points)
    };
    i.trace.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::Block;
    use crate::value::Models;
    use std::collections::BTreeMap;

    struct Quiet;

    impl Output for Quiet {
        fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
            Ok(())
        }

        fn print(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    /// The plot that a program calls `p`.
    fn drawn(code: &str) -> Result<Plot> {
        let mut state = State::new(Models::cpu(), "toy", Options::default())?;
        let source = Source::new("test", code)?;
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut Quiet)?;
        match state.names.get("p") {
            Some(Value::Plot(plot)) => Ok((**plot).clone()),
            other => panic!("{code}: {other:?}"),
        }
    }

    fn chart(code: &str) -> Chart {
        match drawn(code).unwrap() {
            Plot::Chart(chart) => chart,
            other => panic!("{code}: {other:?}"),
        }
    }

    #[test]
    fn curves_are_named_and_placed() {
        let two = chart("a = [1, 2]; p = plot(a, [3, 4], x: [10, 20])");
        assert_eq!((two.x.as_str(), two.y.as_str(), two.log), ("[10, 20]", "y", false));
        assert_eq!(two.series[0], ("a".into(), vec![(10.0, 1.0), (20.0, 2.0)]));
        let one = chart("a = [5, 7, 9]; p = plot(a, log: true)");
        assert_eq!((one.x.as_str(), one.y.as_str(), one.log), ("index", "a", true));
        assert_eq!(one.series[0].1[2], (2.0, 9.0));
        let points = chart("a = [5, 7]; p = scatter(a, [1, 2])");
        assert_eq!((points.x.as_str(), points.joined), ("a", false));
        assert_eq!(points.series[0].1, [(5.0, 1.0), (7.0, 2.0)]);
        let Plot::Histogram(h) = drawn("ages = [30, 40, 41]; p = hist(ages)").unwrap() else {
            panic!()
        };
        assert_eq!((h.name.as_str(), h.counts.iter().sum::<usize>()), ("ages", 3));
    }

    #[test]
    fn the_loss_of_an_inversion_falls_over_its_steps() {
        let loss = chart("r = invert(sample(seed: 3), method: optimize, steps: 12); p = plot(r)");
        assert_eq!((loss.x.as_str(), loss.y.as_str(), loss.log), ("steps", "loss", true));
        let points = &loss.series[0].1;
        assert!(points.len() > 3 && points[0].1 > points[points.len() - 1].1, "{points:?}");
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (code, words) in [
            ("p = plot([1, 2], x: [1])", "`x` has 1 numbers, this list has 2"),
            ("p = scatter([1, 2], [1])", "`x` has 2 numbers, `y` has 1"),
            ("p = hist([1, true])", "this holds Bool"),
            ("p = hist([sample()])", "this is List[Latent[W]]"),
            ("p = hist([])", "the list is empty"),
            ("p = plot([1, 1/0])", "division by zero"),
            ("p = hist([1e300*10])", "has no place"),
        ] {
            let e = drawn(code).unwrap_err();
            assert!(e.message().contains(words) && e.span().is_some(), "{code}: {e}");
        }
    }
}
