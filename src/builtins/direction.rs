//! `direction`: a named direction of the generator, or one from a file.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, ModelFacts, Param, Signature, Type,
};
use crate::direction::{Arrays, Facts, Source, from_arrays};
use crate::error::{Error, Result};
use crate::lang::suggest::near;
use crate::latent::{Direction, ModelId};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Value, model};
use crate::weights;
use std::path::Path;
use std::sync::Arc;

/// `direction("smile")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "direction",
        params: &[
            Param::required(
                "name",
                &[Kind::Text],
                "a name from the generator's own set, or a file: npy, npz, pt, safetensors",
            ),
            Param::optional("space", &[Kind::Space], "-", "of a file that does not say: Z, W or W+"),
            Param::optional(
                "key",
                &[Kind::Text],
                "-",
                "which one, where the file holds several: a name, or pc0, pc1, …",
            )
            .named(),
        ],
        returns: "Direction",
        infer,
    },
    category: Category::Edit,
    summary: "a direction: named, or from a file",
    details: "`code + k*direction` moves; `a | [b, c]` projects b and c out of a, jointly; `a @ 0..4` keeps layers. Files: \
              InterFaceGAN boundaries (npy), e4e directions (pt), GANSpace components (npz, pt; steps of one sigma), and what \
              `save` wrote, with its generator.",
    examples: &[
        Example { code: "direction(\"smile\")", note: "from the generator's own set" },
        Example {
            code: "smile = direction(\"smile\") | [direction(\"age\"), direction(\"glasses\")]; show sample(seed: 1) + 2*smile",
            note: "smile without age and glasses",
        },
    ],
    cost: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(Const::Text(name)) = call.value("name") else {
        return Ok(Type::Direction(CodeType { model: call.model.clone(), ..CodeType::default() }));
    };
    if call.will_exist(name) {
        return Ok(Type::Direction(CodeType { model: call.model.clone(), ..CodeType::default() }));
    }
    let span = call.arg("name").map_or(call.span, |a| a.span);
    let key = match call.value("key") {
        Some(Const::Text(k)) => Some(k.clone()),
        _ => None,
    };
    let space = super::shared::space(call, "space");
    let found =
        find(name, key.as_deref(), space, call.model.as_ref()).map_err(|e| crate::builtin::as_check(e).at(span))?;
    Ok(Type::Direction(crate::value::direction_type(&found)))
}

/// The direction meant.
fn find(name: &str, key: Option<&str>, space: Option<Space>, current: Option<&Arc<ModelFacts>>) -> Result<Direction> {
    let loaded = current.and_then(|m| model::loaded(&model::id_of(m)));
    if let Some(own) = loaded.as_ref().and_then(|l| l.directions.get(name)) {
        return Ok(own.clone());
    }
    if Path::new(name).is_file() {
        return from_file(name, key, space, current);
    }
    Err(unknown(name, current))
}

fn unknown(name: &str, current: Option<&Arc<ModelFacts>>) -> Error {
    let own = current.map(|m| m.directions.clone()).unwrap_or_default();
    let whose =
        current.map_or_else(|| "no generator is loaded".to_owned(), |m| format!("{} has none of that name", m.name));
    let error = Error::check(format!("there is no direction \"{}\": {whose}, and there is no such file", Safe(name)));
    match near(name, own.iter().map(String::as_str)).first() {
        Some(d) => error.hint(format!("direction(\"{d}\")")),
        None if own.is_empty() => error.hint("give a file with a direction: npy, npz, pt or safetensors"),
        None => error.hint(format!("one of {}, or a file", own.join(", "))),
    }
}

fn from_file(
    path: &str,
    key: Option<&str>,
    space: Option<Space>,
    current: Option<&Arc<ModelFacts>>,
) -> Result<Direction> {
    let file = weights::open(Path::new(path), &LIMITS)?;
    let config = (file.family.as_deref() == Some("directions")).then_some(&file.config);
    let said = config.and_then(|c| c.get("space")?.as_str()).and_then(Space::parse);
    let owner: Option<ModelId> =
        config.and_then(|c| c.get("generator")).and_then(|g| serde_json::from_value(g.clone()).ok());
    let arrays = model::arrays(&file);
    let facts = match (&owner, current) {
        // The generator that the file names may not be loaded; its sizes then come from the arrays themselves.
        (Some(id), _) => model::known(id).map_or_else(|| sizes(&arrays, said), |m| model::sizes(&m)),
        (None, Some(m)) => model::sizes(m),
        (None, None) => sizes(&arrays, said),
    };
    let mut all = from_arrays(&arrays, &Source { file: path, space: said.or(space) }, &facts)?;
    let names = all.iter().map(|d| Safe(&d.name).to_string()).collect::<Vec<_>>().join(", ");
    let index = match key {
        Some(k) => all.iter().position(|d| d.name == k),
        None if all.len() == 1 => Some(0),
        None => None,
    };
    let Some(index) = index else {
        return Err(Error::runtime(format!("{} holds several directions", Safe(path)))
            .hint(format!("say which with `key`: {}", shorten(&names))));
    };
    let mut one = all.swap_remove(index);
    one.model = owner.or_else(|| current.map(|m| model::id_of(m)));
    one.origin = format!("from {path}");
    Ok(one)
}

fn shorten(names: &str) -> String {
    if names.chars().count() <= 120 { names.to_owned() } else { names.chars().take(120).chain(['…']).collect() }
}

/// Sizes read off the arrays, for a file whose generator is not at hand.
fn sizes(arrays: &Arrays, space: Option<Space>) -> Facts {
    let shape = arrays.values().next().map(|(s, _)| s.clone()).unwrap_or_default();
    let dim = shape.last().copied().unwrap_or(0);
    let rows = if shape.len() > 1 { shape[shape.len() - 2] } else { 1 };
    Facts {
        z_dim: dim,
        w_dim: dim,
        num_ws: rows.max(1),
        spaces: vec![space.unwrap_or(Space::W), Space::WPlus],
        model: None,
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let key = args.get("key").map(|_| args.text("key")).transpose()?;
    let current = ctx.model.as_ref().map(|m| m.facts.clone());
    let found =
        find(args.text("name")?, key, args.space("space")?, current.as_ref()).map_err(|e| e.at(args.span("name")))?;
    Ok(Value::Direction(found))
}
