//! `save`: results as files.

mod pictures;

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Output, Param, Signature,
    Type, as_check, as_latent,
};
use crate::direction::Forms;
use crate::error::{Error, Kind as ErrorKind, Result, Span};
use crate::image::ffmpeg;
use crate::lang::suggest::near;
use crate::latent::{Code, Direction, Part, Parts};
use crate::safe::Safe;
use crate::space::Space;
use crate::store::Outlet;
use crate::value::Value;
use crate::weights::{self, Array, Data, Manifest, Saved, npy, safetensors};
use candle_core::Tensor;
use half::f16;
use pictures::{csv, film, images, stills};
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

const ENDINGS: [&str; 12] =
    ["png", "jpg", "jpeg", "webp", "gif", "apng", "mp4", "npy", "npz", "pt", "safetensors", "csv"];
/// Those of films.
const FILMS: [&str; 3] = ["gif", "apng", "mp4"];
/// Those of files of numbers.
const NUMBERS: [&str; 4] = ["npy", "npz", "pt", "safetensors"];

/// `save(value, "out.png")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "save",
        params: &[
            Param::required(
                "value",
                &[
                    Kind::Image,
                    Kind::Latent,
                    Kind::Path,
                    Kind::Direction,
                    Kind::Mask,
                    Kind::List,
                    Kind::Table,
                ],
                "the value to save",
            ),
            Param::required(
                "path",
                &[Kind::Text],
                "the ending gives the format: png jpg webp gif apng mp4 npy npz pt safetensors csv; \
                `{i}` in the name gives one file each",
            )
            .writes(),
            Param::optional("quality", &[Kind::Number], "92", "quality of a jpg, 1 to 100")
                .whole(1, 100)
                .named(),
            Param::optional("fps", &[Kind::Number], "20", "frames a second of a film")
                .within(0.1, 100.0)
                .named(),
            Param::optional(
                "columns",
                &[Kind::Number],
                "-",
                "columns of a grid; the pictures of a strip are one row",
            )
            .whole(1, 10_000)
            .named(),
            Param::optional(
                "outside",
                &[Kind::Bool],
                "false",
                "allow a path outside the output folder",
            )
            .named(),
        ],
        returns: "Text",
        infer,
    },
    category: Category::File,
    summary: "saves a value; the file is whole or absent",
    details: "Pictures: png, jpg, webp. Films of a Path or of several pictures: gif has 256 colours, \
              apng all of them, mp4 is the smallest and is written by the program ffmpeg, which \
              must be on the PATH. What `paste` made keeps EXIF and colour profile of its \
              photograph. A table is saved as csv. Several pictures in one \
              file make a grid. npy holds \
              pictures as float32 [N, C, H, W] in [-1, 1], codes and directions as their numbers. \
              npz holds a code under the key w (z in Z, s in S) with its noise maps, as official \
              projectors do, \
              or several directions by name; pt the bare tensor that PyTorch loads. safetensors \
              holds codes and directions \
              with their space, generator and origin, which the other files do not name; saving \
              an inversion saves its code. `latent(path)` reads a code back, `direction(path)` a \
              direction. Paths are \
              relative to `--out`, or to the folder that gannet was started in. Gives the path \
              written.",
    examples: &[
        Example { code: "save(sample(seed: 1), \"one.png\")", note: "a picture" },
        Example { code: "sample(n: 3, seed: 1) |> save(\"each-{i}.png\")", note: "three files" },
        Example {
            code: "path(sample(seed: 1), sample(seed: 2), frames: 4) |> save(\"morph.gif\")",
            note: "a film",
        },
        Example {
            code: "path(sample(seed: 1), sample(seed: 2), frames: 3) |> save(\"morph.apng\", fps: 10)",
            note: "a film in all colours",
        },
        Example {
            code: "save(direction(\"smile\") | direction(\"age\"), \"pure.safetensors\")",
            note: "a direction",
        },
        Example {
            code: "save(attributes(sample(seed: 1)), \"read.csv\")",
            note: "a table for other programs",
        },
        Example {
            code: "save(direction(\"age\", space: W), \"age.pt\")",
            note: "a tensor for PyTorch",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(Const::Text(path)) = call.value("path") else { return Ok(Type::Text) };
    let span = call.arg("path").map_or(call.span, |a| a.span);
    let ending = ending(path).map_err(|e| e.at(span))?;
    let inside = matches!(call.value("outside"), None | Some(Const::Bool(false)));
    let known = call.arg("outside").is_none() || call.value("outside").is_some();
    if call.confined && known && inside && leaves(path) {
        let (place, text) = match call.arg("outside") {
            Some(said) => (said.span, "true"),
            None => (Span::new(span.end, span.end), ", outside: true"),
        };
        return Err(leads_out(path).at(span).fix(place, text));
    }
    if ending == "mp4" {
        ffmpeg::find().map_err(|e| as_check(e).at(span))?;
    }
    let picture = !NUMBERS.contains(&ending.as_str());
    let table = call.arg("value").map(|a| a.ty == Type::Table || a.ty == Type::Unknown);
    if table.is_some_and(|table| !table) && ending == "csv" {
        return Err(Error::check("a csv holds a table")
            .at(span)
            .hint("save(table(…), \"name.csv\")"));
    }
    match call.arg("value").map(|a| &a.ty) {
        Some(Type::Direction(_)) if picture => Err(Error::check(
            "a direction has no picture: it is saved as safetensors, npy, npz or pt",
        )
        .at(span)
        .hint("save(direction, \"name.safetensors\") keeps its space and generator")),
        Some(Type::Image(_)) if ending == "safetensors" => {
            Err(Error::check("pictures are not codes")
                .at(span)
                .hint("png, jpg, webp or npy for pictures"))
        }
        Some(Type::Table) if ending != "csv" => {
            Err(Error::check("a table is saved as csv").at(span).hint("end the name in .csv"))
        }
        Some(Type::Number | Type::Bool | Type::Text) if picture => {
            Err(Error::check("this has no picture").at(span))
        }
        _ => Ok(Type::Text),
    }
}

fn ending(path: &str) -> Result<String> {
    let ending =
        Path::new(path).extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    if ENDINGS.contains(&ending.as_str()) {
        return Ok(ending);
    }
    let hint = near(&ending, ENDINGS).first().map_or_else(
        || format!("one of {}", ENDINGS.join(" ")),
        |e| format!("end the name in .{e}"),
    );
    Err(Error::check(format!("{} does not name a format", Safe(path))).hint(hint))
}

/// Destination of a script's results: inside the output folder unless told otherwise.
fn outlet(ctx: &Context<'_>, outside: bool) -> Outlet {
    if ctx.confined && !outside { Outlet::below(&ctx.out) } else { Outlet::anywhere(&ctx.out) }
}

/// Whether a path leads out of the folder that it starts in.
fn leaves(path: &str) -> bool {
    Path::new(path).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir))
}

fn leads_out(path: &str) -> Error {
    Error::new(ErrorKind::Check, format!("{} leads out of the output folder", Safe(path)))
        .note("a script saves below --out")
        .hint("add `outside: true` to allow this one")
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let path = args.text("path")?;
    let span = args.span("path");
    let ending = ending(path).map_err(|e| e.at(span))?;
    let value = args.need("value")?;
    let outlet = outlet(ctx, args.flag("outside")?);
    outlet.check(Path::new(path)).map_err(|e| failed(path, &e).at(span))?;
    let written = match ending.as_str() {
        "safetensors" => vec![(path.to_owned(), archive(value, ctx)?)],
        "csv" => vec![(path.to_owned(), csv(args)?)],
        "npy" | "npz" | "pt" => numbers(value, &ending, path, args, ctx)?,
        kind if FILMS.contains(&kind) => vec![(path.to_owned(), film(value, kind, args, ctx)?)],
        _ => stills(path, &ending, args, ctx)?,
    };
    let mut paths = Vec::with_capacity(written.len());
    for (name, bytes) in &written {
        let name = Path::new(name);
        let put = if ctx.replaying {
            again(&outlet, name, bytes, ctx.output)?
        } else {
            outlet.replace(name, bytes)
        };
        let at = put.map_err(|e| failed(&name.to_string_lossy(), &e).at(span))?;
        paths.push(at.to_string_lossy().into_owned());
    }
    // One a line: they are read, and copied, one by one.
    Ok(Value::Text(paths.join("\n")))
}

/// Writes a file of a cell that runs again. An existing file is left unchanged; if its content
/// differs from the new one, a note says so.
fn again(
    outlet: &Outlet,
    name: &Path,
    bytes: &[u8],
    output: &mut dyn Output,
) -> Result<io::Result<PathBuf>> {
    // Contents are compared, never times; a longer file is another one.
    match outlet.read(name, bytes.len() as u64) {
        Ok(found) if found == bytes => Ok(Ok(outlet.path(name))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(outlet.create(name, bytes)),
        Ok(_) | Err(_) => {
            let shown = outlet.path(name);
            let shown = Safe(&shown.to_string_lossy()).to_string();
            output
                .note(&format!("{shown} has changed since it was saved, and is left as it is"))?;
            Ok(Ok(outlet.path(name)))
        }
    }
}

fn failed(name: &str, e: &io::Error) -> Error {
    // The system's own refusals have a number; those of the outlet have none.
    if e.kind() == io::ErrorKind::PermissionDenied && e.raw_os_error().is_none() {
        return Error::runtime(format!("cannot write {}: {e}", Safe(name)))
            .hint("a script saves below --out; add `outside: true` to allow this one");
    }
    Error::io(format!("cannot write {}", Safe(name)), e)
}

fn array(t: &Tensor) -> Result<Array> {
    let shape = t.dims().to_vec();
    Array::f32(&shape, t.flatten_all()?.to_vec1::<f32>()?)
        .ok_or_else(|| Error::runtime(format!("a tensor of shape {shape:?} cannot be saved")))
}

/// A part of a code as our own files keep it: what inversions round to half precision takes half
/// the place.
fn stored(part: Part, t: &Tensor) -> Result<Array> {
    let array = array(t)?;
    let Data::F32(values) = &array.data else { return Ok(array) };
    let halves: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
    let exact = halves.iter().zip(values).all(|(half, v)| half.to_f32() == *v);
    Ok(if part.halved() && exact { Array { data: Data::F16(halves), ..array } } else { array })
}

/// Named arrays in a format of other programs, which does not say space or generator. Of several
/// arrays npy holds none.
fn foreign(named: Vec<(String, Array)>, ending: &str) -> Result<Vec<u8>> {
    match (ending, &named[..]) {
        ("npz", _) => {
            let entry =
                |(name, a): &(String, Array)| Ok((format!("{name}.npy"), npy::to_bytes(a)?));
            let all = named.iter().map(entry).collect::<Result<Vec<_>>>()?;
            weights::write_zip(all.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())))
        }
        ("npy", [(_, one)]) => npy::to_bytes(one),
        ("pt", [(_, one)]) => weights::write_torch(&Saved::Tensor(one.clone())),
        ("pt", _) => weights::write_torch(&Saved::tensors(named)),
        _ => Err(Error::runtime(format!("an npy file holds one array, not {}", named.len()))
            .hint("npz, pt and safetensors hold several by name")),
    }
}

/// Codes, pictures or directions for other programs.
fn numbers(
    value: &Value,
    ending: &str,
    target: &str,
    args: &Args,
    ctx: &Context<'_>,
) -> Result<Vec<(String, Vec<u8>)>> {
    if let Some(all) = given_directions(value)? {
        return Ok(vec![(target.to_owned(), foreign(plain(&all, ending)?, ending)?)]);
    }
    let (name, tensor, parts) = match as_latent(value) {
        Some(code) => {
            let name = match code.space {
                Space::Z => "z",
                Space::S => "s",
                _ => "w",
            };
            (name, code.point().clone(), Some(code.parts.clone()))
        }
        None => {
            let all: Vec<Tensor> = images(args, ctx)?.into_iter().map(|i| i.data).collect();
            ("images", Tensor::cat(&all, 0)?, None)
        }
    };
    if !target.contains("{i}") {
        let mut named = vec![(name.to_owned(), array(&tensor)?)];
        // Only npz has a place for them: a pt is the bare tensor that other programs expect.
        for (part, t) in parts.iter().flat_map(Parts::iter).filter(|_| ending == "npz") {
            if part != Part::Point {
                named.push((part.name(), array(t)?));
            }
        }
        return Ok(vec![(target.to_owned(), foreign(named, ending)?)]);
    }
    let one = |i: usize| -> Result<_> {
        ctx.control.check()?;
        let one = array(&tensor.narrow(0, i, 1)?)?;
        let bytes = foreign(vec![(name.to_owned(), one)], ending)?;
        Ok((target.replace("{i}", &i.to_string()), bytes))
    };
    (0..tensor.dim(0)?).map(one).collect()
}

/// Directions as other programs keep them: `(1, D)` or `(L, D)`, in double precision for NumPy as
/// InterFaceGAN's, in single precision for PyTorch as e4e's.
fn plain(all: &[Direction], ending: &str) -> Result<Vec<(String, Array)>> {
    let space = all.first().map_or(Space::W, |d| d.space);
    let several = all.iter().any(|d| d.space != space);
    if several && ending != "npz" {
        let spaces: Vec<&str> = all.iter().map(|d| d.space.name()).collect();
        return Err(Error::runtime(format!(
            "the direction is known in {}, and a {ending} file does not say which",
            spaces.join(", ")
        ))
        .hint("choose one, as direction(\"…\", space: W), or save it as npz or safetensors"));
    }
    let mut out: Vec<(String, Array)> = Vec::new();
    for d in all {
        let name = if several { format!("{}/{}", d.space, d.name) } else { d.name.clone() };
        if out.iter().any(|(n, _)| *n == name) {
            return Err(Error::runtime(format!("two directions are named {}", Safe(&name)))
                .hint("save them to two files"));
        }
        let shape = [d.rows, d.dim];
        let values = match ending {
            "pt" => Array::f32(&shape, d.data.iter().map(|&v| v as f32).collect()),
            _ => Array::f64(&shape, d.data.clone()),
        };
        let values = values.ok_or_else(|| {
            Error::runtime(format!("the direction {} has a broken shape", Safe(&d.name)))
        })?;
        out.push((name, values));
    }
    Ok(out)
}

/// The directions of a value, in every space in which each is known; `None` for another value.
fn given_directions(value: &Value) -> Result<Option<Vec<Direction>>> {
    match value {
        Value::Direction(d) => Ok(Some(forms(d))),
        Value::List(items) if matches!(items.first(), Some(Value::Direction(_))) => {
            let all: Vec<Vec<Direction>> = items
                .iter()
                .map(|v| match v {
                    Value::Direction(d) => Ok(forms(d)),
                    other => Err(Error::runtime(format!("{} is not a direction", other.ty()))),
                })
                .collect::<Result<_>>()?;
            Ok(Some(all.concat()))
        }
        _ => Ok(None),
    }
}

/// Codes or directions as safetensors with their manifest.
fn archive(value: &Value, ctx: &Context<'_>) -> Result<Vec<u8>> {
    let (tensors, manifest) = match given_directions(value)? {
        Some(all) => directions(&all, ctx)?,
        None => {
            let code = as_latent(value).ok_or_else(|| {
                Error::runtime(format!("{} is saved as a picture or npy", value.ty()))
            })?;
            codes(&code, ctx)?
        }
    };
    safetensors::write(&tensors, Some(&manifest))
}

/// The forms of a direction, one for each space. When two live in one space, the one that was found
/// there is kept.
fn forms(d: &Forms) -> Vec<Direction> {
    let own = |space: Space| d.iter().any(|(set, form)| set == space && form.space == space);
    let kept = d.iter().filter(|(set, form)| *set == form.space || !own(form.space));
    kept.map(|(_, form)| form.clone()).collect()
}

type Archive = (BTreeMap<String, Array>, Manifest);

fn manifest(
    family: &str,
    config: serde_json::Value,
    origin: serde_json::Value,
    ctx: &Context<'_>,
) -> Manifest {
    Manifest {
        format: 1,
        family: family.to_owned(),
        config,
        provenance: json!({"gannet": env!("CARGO_PKG_VERSION"), "seed": ctx.seed, "origin": origin}),
    }
}

fn codes(code: &Code, ctx: &Context<'_>) -> Result<Archive> {
    let named = code.parts.iter().map(|(part, t)| Ok((part.name(), stored(part, t)?)));
    let tensors = named.collect::<Result<_>>()?;
    let config = json!({"space": code.space.name(), "generator": code.model});
    Ok((tensors, manifest("latent", config, json!(code.origin), ctx)))
}

/// Directions of one space under their names; of several under `W/name`, so that each says its own.
fn directions(all: &[Direction], ctx: &Context<'_>) -> Result<Archive> {
    let mut tensors = BTreeMap::new();
    let (mut origins, mut told) = (serde_json::Map::new(), serde_json::Map::new());
    let (space, model) = all.first().map_or((Space::W, None), |d| (d.space, d.model.clone()));
    let several = all.iter().any(|d| d.space != space);
    for d in all {
        if d.model != model {
            return Err(Error::runtime("one file holds directions of one generator")
                .hint("save them to two files"));
        }
        let name = if several { format!("{}/{}", d.space, d.name) } else { d.name.clone() };
        let shape = if d.rows == 1 { vec![d.dim] } else { vec![d.rows, d.dim] };
        // In double precision: an orthogonalised direction stays orthogonal to 1e-12 in the file.
        let values = Array::f64(&shape, d.data.clone()).ok_or_else(|| {
            Error::runtime(format!("the direction {} has a broken shape", Safe(&d.name)))
        })?;
        // One that is known in several spaces may come along with its own form of one.
        if tensors.get(&name) == Some(&values) {
            continue;
        }
        if tensors.insert(name.clone(), values).is_some() {
            return Err(Error::runtime(format!("two directions are named {}", Safe(&name)))
                .hint("save them to two files"));
        }
        if let Some(about) = d.about.as_deref() {
            told.insert(name.clone(), json!(about));
        }
        origins.insert(name, json!(d.origin));
    }
    let mut config = json!({"generator": model, "directions": told});
    if !several {
        config["space"] = json!(space.name());
    }
    Ok((tensors, manifest("directions", config, serde_json::Value::Object(origins), ctx)))
}
