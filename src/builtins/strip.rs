//! `strip`: a direction, walked.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::direction;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Code;
use crate::value::{Image, Value};
use candle_core::Tensor;

/// `strip(code, along: smile, from: -3, to: 3, n: 7)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "strip",
        params: &[
            Param::required("code", &[Kind::Latent], "one code"),
            Param::required("along", &[Kind::Direction], "the direction to walk"),
            Param::optional("from", &[Kind::Number], "-3", "first strength").within(-1e3, 1e3),
            Param::optional("to", &[Kind::Number], "3", "last strength, included")
                .within(-1e3, 1e3),
            Param::optional("n", &[Kind::Number], "7", "how many pictures").whole(2, 1000),
        ],
        returns: "Image",
        infer,
    },
    category: Category::See,
    summary: "pictures of a code moved along a direction, evenly spaced",
    details: "A direction that is named without a space is taken in the space of the code. The \
              pictures are captioned with their strength; `save` puts them in one row.",
    examples: &[Example {
        code: "strip(sample(seed: 2), along: direction(\"smile\"), n: 3)",
        note: "three strengths",
    }],
    cost: Some(cost),
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let Some(n) = shared::code(call, "code").count.filter(|n| *n != 1) {
        return Err(several(n, ErrorKind::Check).at(call.arg("code").map_or(call.span, |a| a.span)));
    }
    shared::moves(&shared::code(call, "code"), &shared::code(call, "along"))
        .map_err(|e| e.at(call.arg("along").map_or(call.span, |a| a.span)))?;
    Ok(shared::picture(shared::model_of(call, "code").as_ref()))
}

fn several(codes: usize, kind: ErrorKind) -> Error {
    Error::new(kind, format!("a strip walks from one code, here are {codes}"))
        .hint("one strip each: [strip(c, along: …) for c in codes]")
}

fn cost(args: &Args, ctx: &Context<'_>) -> u64 {
    let pixels = ctx.model.as_ref().map_or(0, |m| m.facts.pixels()) as u64;
    let n = match args.get("n") {
        Some(Value::Number(n)) if *n > 0.0 => *n as u64,
        _ => 0,
    };
    n.saturating_mul(pixels * 64 * 4)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (code, along) = (args.latent("code")?, args.direction("along")?);
    if code.count() != 1 {
        return Err(several(code.count(), ErrorKind::Runtime).at(args.span("code")));
    }
    let n = args.need_count("n")?;
    let (from, to) = (args.need_number("from")?, args.need_number("to")?);
    let along = along.moving(code.space).map_err(|e| e.at(args.span("along")))?;
    let model = ctx.model_of(&code)?;
    let strengths: Vec<f64> =
        (0..n).map(|k| from + (to - from) * k as f64 / (n - 1) as f64).collect();
    let moved = |strength: &f64| {
        direction::apply(&code, *strength, along).map_err(|e| e.at(args.span("along")))
    };
    let codes = strengths.iter().map(moved).collect::<Result<Vec<Code>>>()?;
    let render = |l: &Code| {
        crate::value::pictures::render(l, &model, &ctx.control).map_err(|e| e.at(args.span))
    };
    let pictures = crate::value::pictures::together(&codes, &render)?;
    let data = Tensor::cat(&pictures.iter().map(|i| &i.data).collect::<Vec<_>>(), 0)?;
    let origin = format!("along {} in {} from {}", along.name, along.space, code.origin);
    Ok(Value::Image(Image {
        captions: strengths.iter().map(|s| format!("{s:+.2}")).collect(),
        model: Some(model.id()),
        ..Image::new(data, origin)
    }))
}
