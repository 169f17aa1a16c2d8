//! `to`: a code in a wider space.

use super::shared;
use crate::builtin::{
    Builtin, Category, CheckedCall, CodeType, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::spaces;
use crate::space::lattice;
use crate::value::Value;

/// `to(space, code)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "to",
        params: &[
            Param::required("space", &[Kind::Space], "W, W+ or S"),
            Param::required("code", &[Kind::Latent], "the code to lift"),
        ],
        returns: "Latent",
        infer,
    },
    category: Category::Edit,
    summary: "lifts a code into a wider space: Z → W → W+ → S",
    details: "Exact, the picture stays the same: Z → W is the mapping network, W → W+ repeats the \
              code for every layer, \
              W+ → S computes the styles that each layer reads (StyleSpace, Wu et al. 2021). \
              The reverse does not exist: a wider space holds codes that the narrower one lacks; \
              `invert` finds the nearest.",
    examples: &[
        Example { code: "to(W+, sample(seed: 3, space: Z))", note: "a layered code" },
        Example {
            code: "to(S, sample(seed: 3))",
            note: "the styles of all layers: the same picture",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run: |args, ctx| {
        let code = args.latent("code")?;
        let space = args.space("space")?.unwrap_or(code.space);
        let model = ctx.model_of(&code)?;
        Ok(Value::Latent(
            spaces::lift(&**model.generator()?, &code, space).map_err(|e| e.at(args.span))?,
        ))
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let from = shared::code(call, "code");
    let target = shared::space(call, "space");
    let model = shared::model_of(call, "code");
    if let (Some(a), Some(b)) = (from.space, target) {
        lattice::lift(a, b).map_err(|refusal| {
            let back = lattice::lift(b, a).is_ok();
            let way = if back { "cannot go back to" } else { "cannot be lifted to" };
            Error::check(format!("a {a} code {way} {b}: {}", refusal.why))
                .at(call.span)
                .hint(refusal.repair.words("code", ""))
        })?;
    }
    if let (Some(target), Some(m)) = (target, &model) {
        shared::check_space(target, m, call.arg("space").map_or(call.span, |a| a.span))?;
    }
    let layers = target.and_then(|s| model.as_ref()?.layers(s));
    Ok(Type::Latent(CodeType { space: target, layers, model, ..from }))
}
