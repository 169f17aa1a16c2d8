//! `direction`: a named direction of the generator, or one from a file.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Generators, Kind,
    ModelFacts, Param, Signature, Type,
};
use crate::direction::{Facts, Forms, split};
use crate::error::{Error, Result, Span};
use crate::lang::suggest::near;
use crate::latent::{Direction, ModelId};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::directions::{self, Directions};
use crate::value::{Value, facts, foreign, forms_type};
use crate::weights::{self, Checkpoint, Listing};
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
            )
            .reads_it(),
            Param::optional(
                "space",
                &[Kind::Space],
                "-",
                "its space, if it exists in several: Z, W, W+ or S; by default that of the code \
                 that it \
                moves. In W+ that of W in every layer where W+ has none of its own. Of a file that \
                does not say, the \
                space it is in",
            ),
            Param::optional(
                "key",
                &[Kind::Text],
                "-",
                "which direction, if the file holds several: a name, or pc0, sefa0, …",
            )
            .named(),
        ],
        returns: "Direction",
        infer,
    },
    category: Category::Edit,
    summary: "a direction: named, or from a file",
    details: "`code + k*direction` moves; `a | [b, c]` projects b and c out of a, jointly; `a @ \
              0..4` keeps layers. \
              One step of the generator's own is one standard deviation of the attribute (of yaw \
              one degree); \
              `info(direction(\"smile\"))` shows its measurements. Without `space:` a name means \
              the direction in \
              every space for which the generator has it, and the code decides: its own space, \
              else the widest one \
              that moves it. All parts of `a | b` and `a + b` come from one space. Files: \
              InterFaceGAN boundaries (npy), e4e directions (pt), GANSpace \
              components (npz, pt; steps of one sigma) and saved edits (pkl), SeFa factors of \
              rosinality (pt; \
              key sefa0, sefa1, …), and files written by `save`, with their generator.",
    examples: &[
        Example { code: "direction(\"smile\")", note: "from the generator's own set" },
        Example {
            code: "smile = direction(\"smile\") | [direction(\"age\"), direction(\"glasses\")]; \
                   show sample(seed: 1) + 2*smile",
            note: "smile without age and glasses",
        },
        Example {
            code: "smile = direction(\"smile\"); w = sample(seed: 1); show w + smile, to(S, w) + \
                   smile",
            note: "W's for a code of W, that of the styles for one of S",
        },
    ],
    cost: None,
    cache: None,
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
    let wanted = Wanted { name, key: key.as_deref(), space, call: call.span };
    let typed = || -> Result<CodeType> {
        let current = call.model.as_ref();
        let of = |space| match current {
            Some(m) => call.generators.own_direction(&m.fingerprint, name, space),
            None => Ok(None),
        };
        if let Some(found) = own(wanted, current, of)? {
            return Ok(found);
        }
        let (found, _) = from_outside(wanted, current, call.generators)?;
        Ok(forms_type(&found, call.generators))
    };
    typed().map(Type::Direction).map_err(|e| crate::builtin::as_check(e).at(span))
}

/// Arguments of a call.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    key: Option<&'a str>,
    space: Option<Space>,
    /// The whole call, for repairs.
    call: Span,
}

/// The direction of the current generator's own set, where `of` gives it by its space; `None` when
/// there is none of that name.
fn own<T>(
    wanted: Wanted<'_>,
    current: Option<&Arc<ModelFacts>>,
    of: impl Fn(Option<Space>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let Some(model) = current else { return Ok(None) };
    match of(wanted.space)? {
        None if wanted.space.is_some() && of(None)?.is_some() => Err(elsewhere(wanted, model)),
        found => Ok(found),
    }
}

/// The generator has that direction, but not in that space.
fn elsewhere(wanted: Wanted<'_>, model: &ModelFacts) -> Error {
    let name = Safe(wanted.name);
    let known = model.directions.get(wanted.name).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = known.iter().map(|s| s.name()).collect();
    let space = wanted.space.map_or("", Space::name);
    let message =
        format!("there is no direction \"{name}\" in {space}: it exists in {}", names.join(", "));
    let first = names.first().copied().unwrap_or("W");
    Error::check(message).rewrite(wanted.call, format!("direction(\"{name}\", space: {first})"))
}

fn unknown(wanted: Wanted<'_>, current: Option<&Arc<ModelFacts>>) -> Error {
    let own: Vec<&str> =
        current.map(|m| m.directions.keys().map(String::as_str).collect()).unwrap_or_default();
    let whose = current.map_or_else(
        || "no generator is loaded".to_owned(),
        |m| format!("{} has none of that name", m.name),
    );
    let error = Error::check(format!(
        "there is no direction \"{}\": {whose}, and there is no such file",
        Safe(wanted.name)
    ));
    match near(wanted.name, own.iter().copied()).first() {
        Some(d) => error.rewrite(wanted.call, format!("direction(\"{d}\")")),
        None if own.is_empty() => {
            error.hint("give a file with a direction: npy, npz, pt or safetensors")
        }
        None => error.hint(format!(
            "one of {}, or a file",
            current.map(|m| m.direction_names()).unwrap_or_default()
        )),
    }
}

/// The direction of the file of that name; the file itself where it names no generator.
fn from_outside(
    wanted: Wanted<'_>,
    current: Option<&Arc<ModelFacts>>,
    generators: &dyn Generators,
) -> Result<(Forms, Option<Checkpoint>)> {
    let Wanted { name: path, key, space, .. } = wanted;
    if !Path::new(path).is_file() {
        return Err(unknown(wanted, current));
    }
    let file = weights::open(Path::new(path), &LIMITS)?;
    let config = directions::config(&file);
    let said = directions::space_of(&file);
    let owner: Option<ModelId> = config
        .and_then(|c| c.get("generator"))
        .and_then(|g| serde_json::from_value(g.clone()).ok());
    let known = match (&owner, current) {
        // The generator that the file names may not be loaded; its sizes then come from the arrays
        // themselves.
        (Some(id), _) => generators
            .known_facts(&id.fingerprint)
            .map_or_else(|| sizes(file.weights.list(), said), |m| facts::sizes(&m)),
        (None, Some(m)) => facts::sizes(m),
        (None, None) => sizes(file.weights.list(), said),
    };
    let all = directions::read(&file, said.or(space), &known)?;
    let unnamed = owner.is_none().then(|| file.clone());
    let model = owner.or_else(|| current.map(|m| facts::id_of(m)));
    let found = pick(all, key, space, path)?;
    let open = found.len() > 1;
    let told = |d: Direction| {
        let origin = if open { format!("{} from {path}", d.space) } else { format!("from {path}") };
        Direction { model: model.clone(), origin, ..d }
    };
    let forms = Forms::of(found.into_iter().map(told))
        .ok_or_else(|| Error::runtime("no direction was read"))?;
    Ok((forms, unnamed))
}

/// The direction of that name, or the only one; in the space that is given, or in every space in
/// which the file has it, W first.
fn pick(
    all: Vec<Direction>,
    key: Option<&str>,
    space: Option<Space>,
    path: &str,
) -> Result<Vec<Direction>> {
    let names: Vec<String> = all.iter().map(|d| format!("{}/{}", d.space, Safe(&d.name))).collect();
    let listed = shorten(&names.join(", "));
    let (in_key, name) = key.map_or((None, None), |k| (split(k).0, Some(split(k).1)));
    let space = in_key.or(space);
    let fits = |d: &Direction| {
        let named = name.is_none_or(|n| d.name == n) || key.is_some_and(|k| d.name == k);
        named && space.is_none_or(|s| d.space == s)
    };
    let left: Directions = all.into_iter().filter(fits).collect();
    let mut by_name = left.by_name();
    match (by_name.next(), by_name.next()) {
        (Some(one), None) => Ok(one.to_vec()),
        (Some(_), Some(_)) => {
            Err(Error::runtime(format!("{} holds several directions", Safe(path)))
                .hint(format!("say which with `key`: {listed}")))
        }
        (None, _) => {
            Err(Error::runtime(format!("{} does not contain such a direction", Safe(path)))
                .hint(format!("it holds {listed}")))
        }
    }
}

fn shorten(names: &str) -> String {
    if names.chars().count() <= 120 {
        names.to_owned()
    } else {
        names.chars().take(120).chain(['…']).collect()
    }
}

/// Sizes derived from the arrays, for a file whose generator is not loaded.
fn sizes(arrays: &Listing, space: Option<Space>) -> Facts {
    let shape = arrays.tensors.values().next().map(|s| s.shape.clone()).unwrap_or_default();
    let dim = shape.last().copied().unwrap_or(0);
    let rows = if shape.len() > 1 { shape[shape.len() - 2] } else { 1 };
    Facts {
        z_dim: dim,
        w_dim: dim,
        num_ws: rows.max(1),
        s_dim: dim,
        spaces: vec![space.unwrap_or(Space::W), Space::WPlus],
        model: None,
    }
}

/// Returns the direction, in the space that is given or in every space in which it is known; and
/// the file that it comes from, when that names no generator.
fn find(
    wanted: Wanted<'_>,
    current: Option<&Arc<ModelFacts>>,
    ctx: &Context<'_>,
) -> Result<(Forms, Option<Checkpoint>)> {
    let loaded = current.and_then(|m| ctx.models.loaded(&facts::id_of(m)));
    let of = |space| match &loaded {
        Some(loaded) => loaded.direction(wanted.name, space),
        None => Ok(None),
    };
    match own(wanted, current, of)? {
        Some(found) => Ok((found, None)),
        None => from_outside(wanted, current, &*ctx.models),
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let key = args.get("key").map(|_| args.text("key")).transpose()?;
    let current = ctx.model.as_ref().map(|m| m.facts.clone());
    let (name, space) = (args.text("name")?, args.space("space")?);
    let wanted = Wanted { name, key, space, call: args.span };
    let (mut found, unnamed) =
        find(wanted, current.as_ref(), ctx).map_err(|e| e.at(args.span("name")))?;
    if let (Some(file), Some(model)) = (unnamed, &ctx.model) {
        let arrays = directions::arrays(&file)?;
        foreign::components(name, &arrays, model)
            .and_then(|()| found.iter().try_for_each(|(_, d)| foreign::direction(name, d, model)))
            .map_err(|e| e.at(args.span("name")))?;
        ctx.output.note(&foreign::note(name, model))?;
        if let Some(warning) = foreign::unlike(name, found.first(), model)? {
            ctx.output.note(&warning)?;
        }
        found.set_origin(&foreign::origin(name, model));
    }
    Ok(Value::Direction(Arc::new(found)))
}
