//! `identity`: whether two pictures show the same person.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, Example, Signature, Type};
use crate::error::{Error, Result};
use crate::metric::{Identity, Metric};
use crate::value::Loaded;

/// `identity(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "identity",
        params: shared::params::TWO,
        returns: "Number",
        infer,
    },
    category: Category::Measure,
    summary: "similarity of the people in two pictures; higher is closer",
    details: "Cosine of the identity embeddings that the generator's attribute network reads: 1 is \
              the same person, about 0 \
              two people at random. The number depends on that network: compare it only with \
              numbers of the same one. The \
              mean over the pictures when there are several.",
    examples: &[Example {
        code: "identity(sample(seed: 1), sample(seed: 2))",
        note: "two unlike people",
    }],
    cost: None,
    cache: None,
    definition: Some(|ctx| {
        ctx.model
            .as_ref()
            .and_then(|m| of(m).ok().flatten())
            .map_or_else(String::new, |metric| metric.definition())
    }),
    run: |args, ctx| {
        let model = ctx.model()?;
        let metric = of(model)?.ok_or_else(|| none(&model.facts.name).at(args.span))?;
        shared::metric(&metric, args, ctx)
    },
};

/// The metric of a generator that brings the network for it.
fn of(model: &Loaded) -> Result<Option<Identity>> {
    Ok(model.features()?.cloned().and_then(Identity::new))
}

fn none(name: &str) -> Error {
    Error::check(format!("{} has no network that compares identities", crate::safe::Safe(name)))
        .hint(
            "use perceptual or ssim, or load a folder whose attributes.safetensors has an \
               identity embedding",
        )
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    match &call.model {
        Some(m) if !m.identity => Err(none(&m.name).at(call.span)),
        _ => shared::number(call),
    }
}
