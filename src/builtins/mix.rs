//! `mix`: style mixing.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::spaces;
use crate::space::Space;
use crate::value::Value;
use candle_core::Tensor;

/// `mix(a, b, layers: 4..8)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "mix",
        params: &[
            Param::required("a", &[Kind::Latent], "the code that keeps the other layers"),
            Param::required("b", &[Kind::Latent], "the code that gives `layers`"),
            Param::required("layers", &[Kind::Range, Kind::Number], "half open, from 0: coarse first"),
        ],
        returns: "Latent[W+]",
        infer,
    },
    category: Category::Edit,
    summary: "style mixing: layers of b in a",
    details: "Karras et al. 2019. Coarse layers (0..4) hold pose and shape, middle ones (4..8) features, fine ones colour. \
              Z and W codes are lifted to W+ first.",
    examples: &[Example {
        code: "mix(sample(seed: 1), sample(seed: 2), layers: 4..8)",
        note: "features of the second",
    }],
    cost: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let [a, b] = ["a", "b"].map(|n| shared::model_of(call, n));
    if let (Some(x), Some(y)) = (&a, &b)
        && x.fingerprint != y.fingerprint
    {
        return Err(Error::check(format!("the codes belong to different generators: {} and {}", x.label(), y.label()))
            .at(call.span)
            .hint("take both codes from one generator"));
    }
    if let (Some(m), Some(Const::Range(from, to, _))) = (&a, call.value("layers")) {
        let value = Value::Range { from: *from, to: *to, step: None };
        let span = call.arg("layers").map_or(call.span, |x| x.span);
        crate::builtin::layer_range(&value, m.num_ws).map_err(|e| crate::builtin::as_check(e).at(span))?;
    }
    let layers = a.as_ref().map(|m| m.num_ws);
    Ok(Type::Latent(CodeType { space: Some(Space::WPlus), layers, model: a, ..shared::code(call, "a") }))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (a, b) = (args.latent("a")?, args.latent("b")?);
    let model = ctx.model_of(&a)?;
    let g = &*model.generator;
    let (a, b) = (spaces::lift(g, &a, Space::WPlus)?, spaces::lift(g, &b, Space::WPlus)?);
    if a.data.dims() != b.data.dims() {
        return Err(Error::runtime(format!("{} codes cannot mix with {}", a.count(), b.count())).at(args.span));
    }
    let range = args.layers("layers", a.layers())?.unwrap_or(0..a.layers());
    let part = |from: usize, to: usize, of: &Tensor| of.narrow(1, from, to - from);
    let data = Tensor::cat(
        &[
            part(0, range.start, &a.data)?,
            part(range.start, range.end, &b.data)?,
            part(range.end, a.layers(), &a.data)?,
        ],
        1,
    )?;
    let origin = format!("mix of ({}) with layers {}..{} of ({})", a.origin, range.start, range.end, b.origin);
    Ok(Value::Latent(shared::blend(&a, data, origin)))
}
