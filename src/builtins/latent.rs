//! `latent`: codes from files.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, CodeType, Const, Context, Example, Kind, ModelFacts,
    Param, Signature, Type,
};
use crate::direction::Form;
use crate::error::{Error, Result};
use crate::latent::{Code, ModelId, Part, Parts};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Value, directions, foreign};
use crate::weights::{self, Checkpoint};
use std::path::Path;

/// `latent("w.npy", space: W)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "latent",
        params: &[
            Param::required("path", &[Kind::Text], "npy, npz, safetensors, pt or pkl").reads_it(),
            Param::optional(
                "space",
                &[Kind::Space],
                "-",
                "Z, W, W+ or S; needed when the file does not say and the shape fits \
                several",
            ),
            Param::optional(
                "key",
                &[Kind::Text],
                "-",
                "name of the array, if the file holds several",
            )
            .named(),
            shared::CLASS,
            shared::LABELS,
        ],
        returns: "Latent",
        infer,
    },
    category: Category::File,
    summary: "codes from a file",
    details: "Files written by `save` keep their space and generator. Other files: \
              `projected_w.npz` of the official projector, \
              rosinality's projections with their noise, PTI's and e4e's pt, PULSE's gaussian_fit.pt \
              (its \
              mean), arrays of shape [D], [N, D], [L, D] or [N, L, D]. A W+ array has one row a \
              layer.",
    examples: &[Example {
        code: "sample(seed: 4) |> save(\"code.safetensors\"); latent(\"code.safetensors\")",
        note: "there and back",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

/// Slope of the mapping network's activation below zero.
const SLOPE: f64 = 0.2;

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    shared::check_condition(call, call.model.as_deref())?;
    let model = call.model.clone();
    let Some(Const::Text(path)) = call.value("path") else {
        return Ok(Type::Latent(CodeType { model, ..CodeType::default() }));
    };
    let span = call.arg("path").map_or(call.span, |a| a.span);
    if call.will_exist(path) {
        return Ok(Type::Latent(CodeType { model, ..CodeType::default() }));
    }
    if !Path::new(path).exists() {
        return Err(Error::check(format!("there is no file {}", Safe(path)))
            .at(span)
            .hint("save a code first, or give its path"));
    }
    let space = shared::space(call, "space");
    let key = match call.value("key") {
        Some(Const::Text(k)) => Some(k.as_str()),
        _ => None,
    };
    let file = weights::open(Path::new(path), &LIMITS).map_err(|e| e.at(span))?;
    let name = pick(&file, key).map_err(|e| e.at(span))?;
    let found = resolve(&file, &name, space, model.as_deref()).map_err(|e| e.at(span))?;
    let known = match &found.model {
        Some(id) => call.generators.known_facts(&id.fingerprint),
        None => model,
    };
    let layers = match found.space {
        Space::S => {
            known.as_ref().filter(|m| m.s_dim() == found.dim).and_then(|m| m.layers(Space::S))
        }
        space => space.has_rows().then_some(found.layers),
    };
    let origin = Some(format!("from {}", Safe(path)));
    Ok(Type::Latent(CodeType {
        space: Some(found.space),
        layers,
        model: known,
        count: Some(found.count),
        origin,
        ..CodeType::default()
    }))
}

/// Interpretation of an array as codes.
struct Found {
    space: Space,
    count: usize,
    layers: usize,
    dim: usize,
    model: Option<ModelId>,
}

/// Names that programs give to an array of codes, the surest first.
const CODES: [&str; 6] = ["code", "w", "latent", "z", "s", "w_opt"];

/// The name of the array meant: the one given, the only one, the one that is called as codes are,
/// or the only one of several projections (`{file: {img, latent, noise}}`, as rosinality's
/// projector writes them).
fn pick(file: &Checkpoint, key: Option<&str>) -> Result<String> {
    let all = &file.weights.list().tensors;
    let names = || all.keys().map(|k| Safe(k).to_string()).collect::<Vec<_>>().join(", ");
    let get = |k: &str| all.contains_key(k).then(|| k.to_owned());
    if let Some(k) = key {
        return get(k).ok_or_else(|| {
            Error::runtime(format!("the file has no array {}", Safe(k)))
                .hint(format!("one of {}", names()))
        });
    }
    let only = || all.keys().next().filter(|_| all.len() == 1).cloned();
    let inner = || {
        let mut found = all.keys().filter(|k| {
            CODES.iter().any(|c| k.strip_suffix(c).is_some_and(|head| head.ends_with('.')))
        });
        found.next().filter(|_| found.next().is_none()).cloned()
    };
    let gaussian = || (directions::form(file) == Form::Gaussian).then(|| "mean".to_owned());
    let known = || CODES.into_iter().find_map(get);
    only().or_else(known).or_else(inner).or_else(gaussian).ok_or_else(|| {
        Error::runtime(format!("the file holds several arrays: {}", names()))
            .hint("choose one with `key: \"…\"`")
    })
}

/// Space and shape of the codes; the generator's sizes decide what the file does not say.
fn resolve(
    file: &Checkpoint,
    name: &str,
    wanted: Option<Space>,
    current: Option<&ModelFacts>,
) -> Result<Found> {
    let config = (file.family() == Some("latent")).then(|| file.config());
    let said = config.and_then(|c| c.get("space")?.as_str()).and_then(Space::parse);
    let model: Option<ModelId> = config
        .and_then(|c| c.get("generator"))
        .and_then(|g| serde_json::from_value(g.clone()).ok());
    if let (Some(a), Some(b)) = (said, wanted)
        && a != b
    {
        return Err(Error::runtime(format!("the file holds {a} codes"))
            .hint(format!("leave out `space`, or say {a}")));
    }
    let shape = file.weights.shape(name).unwrap_or_default().to_vec();
    let gaussian = (directions::form(file) == Form::Gaussian).then_some(Space::W);
    let space = said.or(wanted).or(gaussian).map_or_else(|| guess(name, &shape, current), Ok)?;
    let unfit =
        || Error::runtime(format!("an array of shape {shape:?} does not hold {space} codes"));
    let (count, layers, dim) = match (space, &shape[..]) {
        (Space::WPlus | Space::PNPlus, [l, d]) => (1, *l, *d),
        (Space::WPlus | Space::PNPlus, [n, l, d]) => (*n, *l, *d),
        (Space::Z | Space::W | Space::S | Space::P | Space::PN, [d]) => (1, 1, *d),
        (Space::Z | Space::W | Space::S | Space::P | Space::PN, [n, d]) => (*n, 1, *d),
        // The official projector saves a W code as [1, num_ws, w_dim], all rows equal.
        (Space::W, [n, l, d]) if rows_agree(file, name, *l, *d)? => (*n, *l, *d),
        _ => return Err(unfit().hint("say the space it is in: `space: W+` for one row a layer")),
    };
    if let Some(m) =
        current.filter(|m| model.as_ref().is_none_or(|id| id.fingerprint == m.fingerprint))
    {
        let wanted = match space {
            Space::Z => m.z_dim,
            Space::S => m.s_dim(),
            _ => m.w_dim,
        };
        if dim != wanted || (space.has_rows() && layers != m.num_ws) {
            return Err(unfit()
                .note(format!(
                    "{} has w {}×{}, z {} and s {}",
                    Safe(&m.name),
                    m.num_ws,
                    m.w_dim,
                    m.z_dim,
                    m.s_dim()
                ))
                .hint("load the generator that the code belongs to"));
        }
    }
    Ok(Found { space, count, layers, dim, model })
}

fn rows_agree(file: &Checkpoint, name: &str, layers: usize, dim: usize) -> Result<bool> {
    let v = file.weights.clone().take_array(name)?.into_f32();
    let agree = |code: &[f32]| code.chunks_exact(dim).all(|row| row == &code[..dim]);
    Ok(v.chunks_exact((layers * dim).max(1)).all(agree))
}

/// The only space that the shape fits; of several the one that the array is called after.
fn guess(name: &str, shape: &[usize], current: Option<&ModelFacts>) -> Result<Space> {
    let Some(m) = current else {
        return Err(
            Error::runtime("the file does not say the space of its codes").hint("add `space: W`")
        );
    };
    let fits = |s: &Space| match (s, shape) {
        (Space::Z, [d] | [_, d]) => *d == m.z_dim,
        (Space::W, [d] | [_, d]) => *d == m.w_dim,
        (Space::WPlus, [l, d] | [_, l, d]) => (*l, *d) == (m.num_ws, m.w_dim),
        (Space::S, [d] | [_, d]) => *d == m.s_dim(),
        _ => false,
    };
    let all: Vec<Space> = m.spaces.iter().copied().filter(fits).collect();
    // Not where W+ fits too: the array then is one code or several.
    let called = all.iter().find(|s| s.name().eq_ignore_ascii_case(name));
    if let (Some(space), false) = (called, all.contains(&Space::WPlus)) {
        return Ok(*space);
    }
    match all[..] {
        [one] => Ok(one),
        [] => Err(Error::runtime(format!(
            "an array of shape {shape:?} fits no space of {}",
            Safe(&m.name)
        ))
        .note(format!("z {}, w {}, {} layers, s {}", m.z_dim, m.w_dim, m.num_ws, m.s_dim()))
        .hint("load the generator that the code belongs to")),
        _ => {
            let names: Vec<&str> = all.iter().map(|s| s.name()).collect();
            Err(Error::runtime(format!(
                "an array of shape {shape:?} may be in {}",
                names.join(" or ")
            ))
            .hint("add `space: W` (or Z, W+, S)"))
        }
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let path = args.text("path")?;
    let span = args.span("path");
    let mut file = weights::open(Path::new(path), &LIMITS).map_err(|e| e.at(span))?;
    let key = args.get("key").map(|_| args.text("key")).transpose()?;
    let name = pick(&file, key).map_err(|e| e.at(span))?;
    let current = ctx.model.as_ref().map(|m| m.facts.clone());
    let found =
        resolve(&file, &name, args.space("space")?, current.as_deref()).map_err(|e| e.at(span))?;
    let others = others(&file, &name);
    let gaussian = directions::form(&file) == Form::Gaussian;
    let mut take = |name: &str| file.weights.take_any(name).map_err(|e| e.at(span));
    let mut rows = take(&name)?.reshape((found.count, found.layers, found.dim))?;
    if gaussian {
        // The file's numbers are those before the last leaky ReLU of the mapping network.
        rows = rows.maximum(&(&rows * SLOPE)?)?;
    }
    let mut parts = Parts::of(match found.space {
        space if space.has_rows() => rows,
        _ => rows.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?,
    });
    for (part, name) in others {
        parts.insert(part, take(&name)?);
    }
    let mut parts = parts.to_device(&ctx.device)?;
    if let Some(m) = &ctx.model {
        let given = shared::labels(args, m, found.count)?;
        parts.extend(given.map(|labels| (Part::Labels, labels)));
    }
    let mut origin = format!("from {path}");
    if let (None, Some(model)) = (&found.model, &ctx.model) {
        foreign::codes(path, found.space, parts.point(), model).map_err(|e| e.at(span))?;
        ctx.output.note(&foreign::note(path, model))?;
        origin = foreign::origin(path, model);
    }
    let model = found.model.or_else(|| ctx.model.as_ref().map(|m| m.id()));
    Ok(Value::Latent(Code { space: found.space, parts, model, origin }))
}

/// The parts that a file holds beside the numbers called `name`, with the names of their tensors.
///
/// Files of other programs may have noise maps beside their codes; the rest is read only where
/// `save` wrote it. A gap ends the noise maps.
fn others(file: &Checkpoint, name: &str) -> Vec<(Part, String)> {
    let saved = name == Part::Point.name();
    let prefix = name.rfind('.').map_or("", |dot| &name[..=dot]);
    let part = |n: &String| Some((Part::parse(n.strip_prefix(prefix)?)?, n.clone()));
    let mut found: Vec<(Part, String)> =
        file.weights.list().tensors.keys().filter_map(part).collect();
    found.sort();
    let mut maps = 0;
    found.retain(|(part, _)| match part {
        Part::Point => false,
        Part::Noise(layer) => {
            let next = *layer == maps;
            maps += usize::from(next);
            next
        }
        _ => saved,
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Array, safetensors};

    /// The names of the parts that are read beside `name` from a file of these arrays.
    fn read(arrays: &[&str], name: &str) -> Vec<String> {
        let array = |n: &&str| ((*n).to_owned(), Array::f32(&[1], vec![0.0]).unwrap());
        let bytes = safetensors::write(&arrays.iter().map(array).collect(), None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let file = weights::open(&path, &LIMITS).unwrap();
        others(&file, name).into_iter().map(|(part, _)| part.name()).collect()
    }

    #[test]
    fn all_parts_of_a_saved_code_are_read_and_only_noise_maps_of_another() {
        let all = ["labels", "noise.10", "noise.2", "noise.1", "noise.0", "noise.3x", "w", "code"];
        assert_eq!(read(&all, "code"), ["noise.0", "noise.1", "noise.2", "labels"]);
        assert_eq!(read(&all, "w"), ["noise.0", "noise.1", "noise.2"]);
        assert_eq!(read(&["noise.1", "w"], "w"), [""; 0]);
        let projected = ["a.jpg.latent", "a.jpg.noise.0", "a.jpg.noise.1", "a.jpg.img"];
        assert_eq!(read(&projected, "a.jpg.latent"), ["noise.0", "noise.1"]);
    }
}
