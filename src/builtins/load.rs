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
            "a checkpoint (.safetensors, .pkl, .pth, .pt, .tar), a folder with \
             generator.safetensors, \"faces\" (embedded) or \"toy\"",
        )],
        returns: "Model",
        infer,
    },
    category: Category::Generate,
    summary: "loads a generator and makes it the current one",
    details: "Reads gannet's safetensors, the pickles of stylegan2-ada-pytorch and stylegan3, and \
              plain generators (DCGAN, \
              WGAN) in files of torch.save, without running anything in them. `G = load(…)` names \
              it as well; `sample(model: G)` takes another than the current one.",
    examples: &[Example { code: "load \"toy\"", note: "the tiny generator of the tests" }],
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
