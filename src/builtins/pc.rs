//! `pc`: the principal components of a generator's codes.

use crate::builtin::{
    Builtin, Category, CheckedCall, CodeType, Depends, Example, ModelFacts, Signature, Type,
};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Value, components};
use std::sync::Arc;

/// `pc[0]`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "pc", params: &[], returns: "List[Direction]", infer },
    category: Category::Edit,
    summary: "the principal components of w, the widest first, as directions",
    details: "GANSpace, Härkönen et al. 2020. Counted from 0, one step is one standard deviation: \
              `pc[0]`, `pc[0..4]`, and `pc` alone is all of them. Those of the generator's own set, \
              which names them pc01, pc02, …; without any, the first twenty of 10,000 samples of w, \
              computed at the first use.",
    examples: &[
        Example { code: "show sample(seed: 1), sample(seed: 1) + 2*pc[0]", note: "the widest one" },
        Example {
            code: "cosine(pc[0], direction(\"smile\"))",
            note: "whether a component is a smile",
        },
    ],
    cost: None,
    cache: Some(Depends::Networks),
    definition: None,
    run: |_, ctx| {
        let all = ctx.model()?.components()?;
        Value::list(all.into_iter().map(|d| Value::Direction(Arc::new(d))).collect())
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(model) = &call.model else { return Ok(listed(CodeType::default())) };
    let own = components::names(model)
        .first()
        .map(|name| call.generators.own_direction(&model.fingerprint, name, None));
    if let Some(found) = own {
        return Ok(listed(found?.unwrap_or_default()));
    }
    computable(model).map_err(|e| e.at(call.span))?;
    let known =
        CodeType { space: Some(Space::W), model: call.model.clone(), ..CodeType::default() };
    Ok(listed(CodeType { count: Some(1), ..known }))
}

fn listed(one: CodeType) -> Type {
    // The elements differ in their origin alone, which belongs to none of them.
    Type::List(Box::new(Type::Direction(CodeType { origin: None, ..one })))
}

fn computable(model: &ModelFacts) -> Result<()> {
    if model.spaces.contains(&Space::W) {
        return Ok(());
    }
    let message = format!("{} has no principal components: it has no W", Safe(&model.name));
    Err(Error::check(message).hint("go from one code to another: slerp(a, b, 0.5)"))
}
