//! `mix`: style mixing.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, Param,
    Signature, Type,
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
            Param::required(
                "layers",
                &[Kind::Range, Kind::Number],
                "half open, from 0: coarse first",
            ),
        ],
        returns: "Latent[W+] or Latent[S]",
        infer,
    },
    category: Category::Edit,
    summary: "style mixing: layers of b in a",
    details: "Karras et al. 2019. Coarse layers (0..4) hold pose and shape, middle ones (4..8) \
              features, fine ones colour. \
              Z and W codes are lifted to W+ first; beside a code of S, both are lifted to S, \
              whose layers are the styles that \
              a row of W+ controls.",
    examples: &[Example {
        code: "mix(sample(seed: 1), sample(seed: 2), layers: 4..8)",
        note: "features of the second",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let [a, b] = ["a", "b"].map(|n| shared::model_of(call, n));
    if let (Some(x), Some(y)) = (&a, &b)
        && x.fingerprint != y.fingerprint
    {
        return Err(Error::check(format!(
            "the codes belong to different generators: {} and {}",
            x.label(),
            y.label()
        ))
        .at(call.span)
        .hint("take both codes from one generator"));
    }
    if let Some(m) = a.as_ref().filter(|m| m.num_ws == 0) {
        return Err(Error::check(format!("codes of {} have no layers to mix", m.name))
            .at(call.span)
            .hint("go from one to the other: slerp(a, b, 0.5)"));
    }
    let layers = match call.value("layers") {
        Some(Const::Range(from, to, step)) => {
            Some(Value::Range { from: *from, to: *to, step: *step })
        }
        Some(Const::Number(layer)) => Some(Value::Number(*layer)),
        _ => None,
    };
    if let (Some(m), Some(value)) = (&a, layers) {
        let span = call.arg("layers").map_or(call.span, |x| x.span);
        crate::builtin::layer_range(&value, m.num_ws)
            .map_err(|e| crate::builtin::as_check(e).at(span))?;
    }
    let layers = a.as_ref().map(|m| m.num_ws);
    // A code whose space is known only at run time may be one of S.
    let spaces = ["a", "b"].map(|n| shared::code(call, n).space);
    let space = match spaces {
        [Some(Space::S), _] | [_, Some(Space::S)] => Some(Space::S),
        [Some(_), Some(_)] => Some(Space::WPlus),
        _ => None,
    };
    Ok(Type::Latent(CodeType { space, layers, model: a, ..shared::code(call, "a") }))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (a, b) = (args.latent("a")?, args.latent("b")?);
    let model = ctx.model_of(&a)?;
    let g = &**model.generator()?;
    let space = if [a.space, b.space].contains(&Space::S) { Space::S } else { Space::WPlus };
    let lift = |code, name| spaces::lift(g, code, space).map_err(|e| e.at(args.span(name)));
    let (a, b) = (lift(&a, "a")?, lift(&b, "b")?);
    if a.point().dims() != b.point().dims() {
        return Err(Error::runtime(format!("{} codes cannot mix with {}", a.count(), b.count()))
            .at(args.span));
    }
    let sizes = if space == Space::S { g.spec().style_sizes() } else { vec![1; a.layers()] };
    let range = args.layers("layers", sizes.len())?.unwrap_or(0..sizes.len());
    let (from, to): (usize, usize) =
        (sizes[..range.start].iter().sum(), sizes[..range.end].iter().sum());
    let part = |of: &Tensor, from: usize, to: usize| of.narrow(1, from, to - from);
    let (own, other) = (a.point(), b.point());
    let parts = [part(own, 0, from)?, part(other, from, to)?, part(own, to, own.dim(1)?)?];
    let point = Tensor::cat(&parts, 1)?;
    let origin = format!(
        "mix of ({}) with layers {}..{} of ({})",
        a.origin, range.start, range.end, b.origin
    );
    Ok(Value::Latent(a.moved(point, origin)))
}
