//! `perceptual`: distance of deep features.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, Example, Signature, Type};
use crate::error::{Error, Result};
use crate::metric::{Metric, Perceptual};

/// `perceptual(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "perceptual",
        params: shared::params::TWO,
        returns: "Number",
        infer,
    },
    category: Category::Measure,
    summary: "distance of deep features; lower is closer",
    details: "LPIPS (Zhang et al. 2018) in form, with equal weights: features of the network that \
              comes with the generator, \
              scaled to unit length over the channels, squared difference summed over channels, \
              mean over space and over \
              the layers. The number depends on that network: compare it only with numbers of the \
              same one.",
    examples: &[Example {
        code: "perceptual(sample(seed: 1), sample(seed: 2))",
        note: "two unlike pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|ctx| {
        let features = ctx.model.as_ref().and_then(|m| m.features().ok().flatten().cloned());
        features.map_or_else(String::new, |f| Perceptual::new(f).definition())
    }),
    run: |args, ctx| {
        let model = ctx.model()?;
        let features = model.features()?.cloned().ok_or_else(|| none(&model.facts.name))?;
        shared::metric(&Perceptual::new(features), args, ctx)
    },
};

fn none(name: &str) -> Error {
    Error::check(format!("{} has no feature network", crate::safe::Safe(name)))
        .hint("use ssim, or load a folder that holds attributes.safetensors beside the generator")
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    match &call.model {
        Some(m) if !m.perceptual => Err(none(&m.name).at(call.span)),
        _ => shared::number(call),
    }
}
