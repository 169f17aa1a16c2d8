//! `identity`: whether two pictures show the same person.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::{Error, Result};
use crate::metric::{Identity, Metric, Recognition};
use crate::value::{Loaded, Value};
use std::path::Path;

const PARAMS: &[Param] = &[
    shared::params::TWO[0],
    shared::params::TWO[1],
    Param::optional(
        "net",
        &[Kind::Text],
        "-",
        "a file with a recogniser: ArcFace's model_ir_se50.pth or CurricularFace_Backbone.pth",
    )
    .reads_it()
    .named(),
];

/// `identity(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "identity", params: PARAMS, returns: "Number", infer },
    category: Category::Measure,
    summary: "similarity of the people in two pictures; higher is closer",
    details: "Cosine of the identity embeddings that the generator's attribute network reads: 1 is \
              the same person, about 0 \
              two people at random. With `net` by that recogniser, as pSp reads it: pictures of \
              faces in FFHQ's frame, pooled to 256², of which it sees the middle. The number \
              depends on the network: compare it only with \
              numbers of the same one. The \
              mean over the pictures when there are several. Papers: ArcFace (Deng et al. 2019), \
              CurricularFace (Huang et al. 2020).",
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
            .map_or_else(String::new, |metric| format!("without `net`: {}", metric.definition()))
    }),
    run: |args, ctx| {
        if let Some(Value::Text(path)) = args.get("net") {
            let metric = Recognition::open(Path::new(path), &ctx.device);
            return shared::metric(&metric.map_err(|e| e.at(args.span("net")))?, args, ctx);
        }
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
            "net: \"model_ir_se50.pth\" of ArcFace, or load a folder whose attributes.safetensors \
             has an identity embedding",
        )
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    match &call.model {
        Some(m) if !m.identity && call.arg("net").is_none() => Err(none(&m.name).at(call.span)),
        _ => shared::number(call),
    }
}
