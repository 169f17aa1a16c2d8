//! `mean`: the middle of numbers or codes.

use super::shared;
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param};
use crate::builtin::{Signature, Type, as_latent};
use crate::error::{Error, Result};
use crate::latent::Code;
use crate::value::Value;

/// `mean(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "mean",
        params: &[Param::required(
            "x",
            &[Kind::List, Kind::Latent, Kind::Path],
            "a list of numbers, codes, or a list of codes of one space",
        )],
        returns: "Number or Latent",
        infer,
    },
    category: Category::Measure,
    summary: "the mean of numbers, or the code in the middle of codes",
    details: "Of codes the mean of their numbers, without their noise maps. `mean_w` is the mean \
              of the generator's codes.",
    examples: &[
        Example { code: "mean([1, 2, 6])", note: "3" },
        Example { code: "mean(sample(n: 4, seed: 1))", note: "the face in the middle" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    Ok(match call.arg("x").map(|a| &a.ty) {
        Some(Type::Latent(_) | Type::Inversion(_) | Type::Path(_)) => {
            let c = shared::code(call, "x");
            Type::Latent(crate::builtin::CodeType { count: Some(1), ..c })
        }
        Some(Type::List(t)) if **t == Type::Number => Type::Number,
        _ => Type::Unknown,
    })
}

fn run(args: &Args, _: &mut Context<'_>) -> Result<Value> {
    let value = args.need("x")?;
    if let Some(code) = as_latent(value) {
        return middle(&code);
    }
    let Value::List(items) = value else {
        return Err(Error::runtime(format!("{} has no mean", value.ty())).at(args.span("x")));
    };
    let codes: Vec<Code> = items.iter().filter_map(as_latent).collect();
    if codes.is_empty() || codes.len() < items.len() {
        let numbers = shared::numbers(args, "x")?;
        return Ok(Value::Number(numbers.iter().sum::<f64>() / numbers.len() as f64));
    }
    if !codes.windows(2).all(|pair| pair[0].fits_beside(&pair[1])) {
        return Err(Error::runtime("the codes are not all of one space and generator")
            .at(args.span("x"))
            .hint("bring them into one space first: to(W+, code)"));
    }
    middle(&Code::join(&codes)?)
}

fn middle(code: &Code) -> Result<Value> {
    let origin = format!("mean of {} codes, {}", code.count(), code.origin);
    let point = code.point().mean_keepdim(0)?;
    let only = code.slice(0, 1)?;
    Ok(Value::Latent(Code { parts: crate::latent::Parts::of(point), origin, ..only }))
}
