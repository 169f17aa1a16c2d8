//! `sample`: random codes.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Depends, Example, Kind, Param,
    Signature, Type,
};
use crate::error::{Error, Result};
use crate::generator::spaces::{self, Draw};
use crate::space::Space;
use crate::value::{Loaded, Value};
use std::sync::Arc;

/// Most codes of one call.
const MAX: u64 = 100_000;

/// `sample(n: 1, seed: …, psi: 1, space: W)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "sample",
        params: &[
            Param::optional("n", &[Kind::Number], "1", "how many codes").whole(1, MAX),
            Param::optional("seed", &[Kind::Number], "-", "by default the session's seed").seed(),
            Param::optional(
                "psi",
                &[Kind::Number],
                "1",
                "truncation: w = mean + psi·(w − mean), or psi·z for BigGAN, in Z too; 1 is none",
            )
            .within(-10.0, 10.0),
            Param::optional(
                "space",
                &[Kind::Space],
                "-",
                "Z, W, W+, S, P, PN or PN+; by default W, or Z without a W",
            ),
            shared::CLASS,
            shared::LABELS,
            Param::optional("model", &[Kind::Model], "-", "a generator other than the current one")
                .named(),
        ],
        returns: "Latent",
        infer,
    },
    category: Category::Generate,
    summary: "random codes of the generator",
    details: "z from the standard normal, mapped to w. BigGAN's truncation multiplies z by psi and \
              leaves the class alone; the z of Hugging Face's BigGAN-deep is drawn within ±2 \
              first, and `truncation` of `render` chooses the statistics that go with it: \
              `render(sample(psi: 0.43, class: 3), truncation: 0.43)`. The i-th code depends on \
              the seed and i alone: `sample(n: 4, seed: 7)` begins with the codes of \
              `sample(n: 2, seed: 7)`.",
    examples: &[
        Example { code: "sample(n: 4, seed: 7, psi: 0.7)", note: "four pictures" },
        Example { code: "sample(seed: 7, space: Z)", note: "a code of the prior" },
    ],
    cost: Some(cost),
    cache: Some(Depends::Generator),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let model = match call.arg("model").map(|a| &a.ty) {
        Some(Type::Model(m)) => m.clone(),
        _ => call.model.clone(),
    };
    let space = shared::space(call, "space");
    if let (Some(s), Some(m)) = (space, &model) {
        shared::check_space(s, m, call.arg("space").map_or(call.span, |a| a.span))?;
    }
    let given = space.or_else(|| model.as_ref().map(|m| usual(&m.spaces)));
    if let (Some(Space::Z), Some(Const::Number(psi)), Some(m)) = (given, call.value("psi"), &model)
        && *psi != 1.0
        && !m.can.scales_z
    {
        return Err(in_z(&m.spaces).at(call.arg("psi").map_or(call.span, |a| a.span)));
    }
    shared::check_needed_condition(call, model.as_deref())?;
    let count = if call.arg("n").is_some() { shared::count(call, "n") } else { Some(1) };
    let space = if call.arg("space").is_some() { space } else { given };
    let layers = space.and_then(|s| model.as_ref()?.layers(s));
    let origin = Some("sampled".into());
    Ok(Type::Latent(CodeType { space, layers, model, count, origin, ..CodeType::default() }))
}

fn usual(spaces: &[Space]) -> Space {
    if spaces.contains(&Space::W) { Space::W } else { Space::Z }
}

fn in_z(spaces: &[Space]) -> Error {
    let e = Error::check("psi acts in W, these codes are in Z");
    if !spaces.is_empty() && !spaces.contains(&Space::W) {
        return e.hint("leave psi out: the generator has no W");
    }
    e.hint("sample(…, space: W, psi: …), or render(z, psi: …)")
}

fn model(args: &Args, ctx: &Context<'_>) -> Result<Arc<Loaded>> {
    match args.get("model") {
        Some(Value::Model(m)) => Ok(m.clone()),
        _ => ctx.model().cloned(),
    }
}

fn cost(args: &Args, ctx: &Context<'_>) -> u64 {
    let n = match args.get("n") {
        Some(Value::Number(n)) if *n > 0.0 => *n as u64,
        _ => 1,
    };
    let row = model(args, ctx)
        .map_or(512, |m| m.facts.z_dim + m.facts.num_ws * m.facts.w_dim + m.facts.s_dim());
    n.saturating_mul(4 * row as u64)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let model = model(args, ctx)?;
    let n = args.need_count("n")?;
    let psi = args.need_number("psi")?;
    let space = args.space("space")?.unwrap_or_else(|| usual(&model.facts.spaces));
    shared::check_space(space, &model.facts, args.span("space"))?;
    if space == Space::Z && psi != 1.0 && !model.facts.can.scales_z {
        return Err(in_z(&model.facts.spaces).at(args.span("psi")));
    }
    let labels = shared::needed_labels(args, &model, n)?;
    let seed = args.seed(ctx)?;
    Ok(Value::Latent(spaces::sample(
        &**model.generator()?,
        n,
        Draw { seed, psi, space, labels: labels.as_ref() },
    )?))
}
