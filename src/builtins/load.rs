//! `load`: a generator.

use crate::builtin::{
    Builtin, Category, CheckedCall, Const, Example, Kind, Param, Signature, Type,
};
use crate::error::Result;
use crate::value::Value;

/// `load(path)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "load",
        params: &[Param::required(
            "path",
            &[Kind::Text],
            "a checkpoint (.safetensors, .pkl, .pt, .pth, .ckpt and others), a folder with \
             generator.safetensors, a name that `gannet models` lists, \"faces\" (embedded), \
             \"icgan\" (the same with classes) or \"toy\"",
        )],
        returns: "Model",
        infer,
    },
    category: Category::Generate,
    summary: "loads a generator and makes it the current one",
    details: "A session begins with faces, which is inside gannet, unless `--model` names another. \
              Nothing in a file is executed; `gannet info FILE` says what it is and whether it \
              can be loaded. A code that `save` wrote is read by `latent(path)`, a direction by \
              `direction(path)`. `G = load(…)` names the generator as well; `sample(model: G)` \
              takes another than the current one.",
    examples: &[
        Example { code: "load \"faces\"", note: "the embedded generator" },
        Example {
            code: "load \"icgan\"; x = render(sample(seed: 3, class: 4)); r = invert(x, steps: 5); \
                   show r, render(r, class: 6)",
            note: "a conditional one: class 4 is a man, 6 the same with glasses",
        },
        Example { code: "load \"toy\"", note: "the tiny generator of the tests" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run: |args, ctx| {
        let at = args.span("path");
        let loaded = ctx.models.load(args.text("path")?).map_err(|e| e.at(at))?;
        loaded.ready().map_err(|e| e.at(at))?;
        ctx.model = Some(loaded.clone());
        Ok(Value::Model(loaded))
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(Const::Text(path)) = call.value("path") else { return Ok(Type::Model(None)) };
    let span = call.arg("path").map_or(call.span, |a| a.span);
    Ok(Type::Model(Some(call.generators.load_facts(path).map_err(|e| e.at(span))?)))
}
