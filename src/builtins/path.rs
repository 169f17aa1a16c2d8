//! `path`: frames through several codes.

use super::{shared, slerp};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::latent::{Code, Parts};
use crate::space::{Space, lattice};
use crate::value::Value;
use candle_core::Tensor;

/// Most frames of one path.
const MAX: u64 = 10_000;

/// `path(a, b, c, frames: 60)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "path",
        params: &[
            Param::required("codes", &[Kind::Latent, Kind::List], "two or more codes of one space")
                .variadic(),
            Param::optional("frames", &[Kind::Number], "60", "frames in all, both ends included")
                .whole(2, MAX)
                .named(),
            Param::optional(
                "closed",
                &[Kind::Bool],
                "false",
                "return to the first code, for a loop",
            )
            .named(),
        ],
        returns: "Path",
        infer,
    },
    category: Category::Edit,
    summary: "frames through several codes, evenly spaced",
    details: "Linear between codes of W, W+ and S, spherical between Z codes. \
              Residuals, tuned weights and noise maps of inversions go along. `|> \
              save(\"morph.gif\")` makes the film.",
    examples: &[Example {
        code: "path(sample(seed: 1), sample(seed: 2), sample(seed: 3), frames: 7)",
        note: "seven frames through three codes",
    }],
    cost: Some(cost),
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let codes = call.args.first().map(Vec::as_slice).unwrap_or_default();
    let mut first: Option<CodeType> = None;
    for a in codes {
        let c = match &a.ty {
            Type::List(t) => shared::code_type(t),
            t => shared::code_type(t),
        };
        if let Some(f) = &first
            && let (Some(x), Some(y)) = (f.space, c.space)
            && x != y
        {
            return Err(Error::check(format!("a path stays in one space, here are {x} and {y}"))
                .at(a.span)
                .hint(format!(
                    "lift the narrower codes: to({}, …)",
                    lattice::wider(x, y).unwrap_or(Space::WPlus)
                )));
        }
        first.get_or_insert(c);
    }
    if let [one] = codes
        && matches!(one.ty, Type::Latent(_) | Type::Inversion(_))
        && shared::code_type(&one.ty).count == Some(1)
    {
        return Err(Error::check("a path needs two codes or more")
            .at(one.span)
            .hint("path(a, b, frames: 60)"));
    }
    let frames =
        if call.arg("frames").is_some() { shared::count(call, "frames") } else { Some(60) };
    Ok(Type::Path(CodeType { count: frames, ..first.unwrap_or_default() }))
}

fn cost(args: &Args, _: &Context<'_>) -> u64 {
    // What two neighbours were found with is put side by side in the frames between them.
    let numbers = |code: Code| {
        let found = code.parts.iter().filter(|(part, _)| part.found());
        let found = found.map(|(_, t)| t.elem_count()).sum::<usize>();
        (code.point().elem_count() + 2 * found) / code.count().max(1)
    };
    let codes = args.many("codes");
    let codes = codes.iter().filter_map(|(v, _)| crate::builtin::as_latent(v));
    let row = codes.map(numbers).max().unwrap_or(0);
    let frames = match args.get("frames") {
        Some(Value::Number(n)) if *n > 0.0 => *n as u64,
        _ => 0,
    };
    frames.saturating_mul(4 * row as u64)
}

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let mut codes: Vec<Code> = Vec::new();
    for (value, span) in args.many("codes") {
        let code = crate::builtin::as_latent(&value)
            .ok_or_else(|| Error::runtime("a path goes through codes").at(span))?;
        if let Some(l) = codes.first()
            && (l.space != code.space || l.point().dims()[1..] != code.point().dims()[1..])
        {
            return Err(Error::runtime("a path stays in one space of one generator").at(span));
        }
        for k in 0..code.count() {
            codes.push(code.slice(k, 1)?);
        }
    }
    if codes.len() < 2 {
        return Err(Error::runtime("a path needs two codes or more").at(args.span));
    }
    if args.flag("closed")? {
        codes.push(codes[0].clone());
    }
    let frames = args.need_count("frames")?;
    let origin = format!("path through {} codes", codes.len());
    let between = |k: usize| {
        let at = k as f64 * (codes.len() - 1) as f64 / (frames - 1) as f64;
        let i = (at.floor() as usize).min(codes.len() - 2);
        let ([a, b], t) = ([&codes[i], &codes[i + 1]], at - i as f64);
        let point = step(a.point(), b.point(), t, a.space)?;
        Ok(a.between(b, t, point, origin.clone())?.parts)
    };
    let all = (0..frames).map(between).collect::<Result<Vec<_>>>()?;
    let parts = Parts::gathered(&all).map_err(|e| e.at(args.span))?;
    Ok(Value::Path(Code { parts, origin, ..codes[0].clone() }))
}

fn step(a: &Tensor, b: &Tensor, t: f64, space: Space) -> Result<Tensor> {
    match space {
        Space::Z => slerp::slerp(a, b, t),
        _ => Ok(((a * (1.0 - t))? + (b * t)?)?),
    }
}
