//! `mean_w`: the mean code.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, CodeType, Example, Signature, Type};
use crate::error::Result;
use crate::generator::spaces;
use crate::space::Space;
use crate::value::Value;

/// `mean_w()`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "mean_w", params: &[], returns: "Latent[W]", infer },
    category: Category::Generate,
    summary: "the mean w over the prior, stored with the generator (w_avg)",
    details: "The target of truncation, and the start of `invert(…, init: mean)`.",
    examples: &[Example { code: "mean_w()", note: "the generator's average picture" }],
    cost: None,
    cache: None,
    definition: None,
    run: |_, ctx| Ok(Value::Latent(spaces::mean(&**ctx.model()?.generator()?, Space::W, None)?)),
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let model = call.model.clone();
    if let Some(m) = &model {
        shared::check_space(Space::W, m, call.span)?;
    }
    Ok(Type::Latent(CodeType {
        space: Some(Space::W),
        model,
        count: Some(1),
        origin: Some("mean".into()),
        ..CodeType::default()
    }))
}
