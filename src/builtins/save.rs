//! `save`: results as files.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
    all_images, as_latent,
};
use crate::error::{Error, Result};
use crate::generator::{each_batch, spaces};
use crate::image::{Raster, encode};
use crate::lang::suggest::near;
use crate::latent::{Direction, Latent, ModelId};
use crate::safe::Safe;
use crate::space::Space;
use crate::store::{Disk, write_atomic};
use crate::value::{Image, Value};
use crate::weights::{Array, Manifest, npy, safetensors};
use candle_core::Tensor;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "gif", "npy", "safetensors"];

/// `save(value, "out.png")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "save",
        params: &[
            Param::required(
                "value",
                &[Kind::Image, Kind::Latent, Kind::Path, Kind::Direction, Kind::List],
                "what to save",
            ),
            Param::required(
                "path",
                &[Kind::Text],
                "its ending says how: png jpg webp gif npy safetensors; `{i}` in the name \
                gives one file each",
            )
            .writes(),
            Param::optional("quality", &[Kind::Number], "92", "of a jpg, 1 to 100").named(),
            Param::optional("fps", &[Kind::Number], "20", "frames a second of a gif").named(),
            Param::optional(
                "columns",
                &[Kind::Number],
                "-",
                "of a grid; pictures of a strip stand in one row",
            )
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
    details: "Pictures: png, jpg, webp; a Path or several pictures as gif. Several pictures in one file make a grid. npy holds \
              pictures as float32 [N, C, H, W] in [-1, 1], codes as their numbers. safetensors holds codes and directions \
              with their space, generator and origin; saving an inversion to npy or safetensors saves its code. Paths are \
              relative to `--out`, or to the folder that gannet was started in. Gives the path written.",
    examples: &[
        Example { code: "save(sample(seed: 1), \"one.png\")", note: "a picture" },
        Example { code: "sample(n: 3, seed: 1) |> save(\"each-{i}.png\")", note: "three files" },
        Example {
            code: "path(sample(seed: 1), sample(seed: 2), frames: 4) |> save(\"morph.gif\")",
            note: "a film",
        },
        Example {
            code: "save(direction(\"smile\") | direction(\"age\"), \"pure.safetensors\")",
            note: "a direction",
        },
    ],
    cost: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let Some(Const::Text(path)) = call.value("path") else { return Ok(Type::Text) };
    let span = call.arg("path").map_or(call.span, |a| a.span);
    let ending = ending(path).map_err(|e| e.at(span))?;
    let picture = !matches!(ending.as_str(), "npy" | "safetensors");
    match call.arg("value").map(|a| &a.ty) {
        Some(Type::Direction(_)) if ending != "safetensors" => {
            Err(Error::check("a direction is saved as safetensors, with its space and generator")
                .at(span)
                .hint("save(direction, \"name.safetensors\")"))
        }
        Some(Type::Image(_)) if ending == "safetensors" => {
            Err(Error::check("pictures are no codes")
                .at(span)
                .hint("png, jpg, webp or npy for pictures"))
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
    Err(Error::check(format!("{} says no format", Safe(path))).hint(hint))
}

/// Where a path of a script leads: inside the output folder unless told otherwise.
fn destination(path: &str, ctx: &Context<'_>, outside: bool) -> Result<PathBuf> {
    let relative = Path::new(path);
    let leaves =
        relative.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir));
    if leaves && ctx.confined && !outside {
        return Err(Error::runtime(format!("{} leads out of the output folder", Safe(path)))
            .hint("a script saves below --out; add `outside: true` to allow this one"));
    }
    let target = ctx.out.join(relative);
    if ctx.confined && !outside && !stays_inside(&target, &ctx.out) {
        return Err(Error::runtime(format!(
            "{} leads out of the output folder through a link",
            Safe(path)
        ))
        .hint("add `outside: true` to allow this one"));
    }
    Ok(target)
}

/// Whether the nearest existing folder of the target, links resolved, lies in `root`, and the
/// target is no link itself.
fn stays_inside(target: &Path, root: &Path) -> bool {
    let Ok(root) = if root.as_os_str().is_empty() { Path::new(".") } else { root }.canonicalize()
    else {
        return true;
    };
    let existing = target.ancestors().skip(1).find_map(|a| {
        if a.as_os_str().is_empty() {
            Path::new(".").canonicalize().ok()
        } else {
            a.canonicalize().ok()
        }
    });
    !target.is_symlink() && existing.is_none_or(|e| e.starts_with(&root))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let path = args.text("path")?;
    let span = args.span("path");
    let ending = ending(path).map_err(|e| e.at(span))?;
    let value = args.need("value")?;
    let target = destination(path, ctx, args.flag("outside")?).map_err(|e| e.at(span))?;
    let target = target.to_string_lossy().into_owned();
    let written = match ending.as_str() {
        "safetensors" => vec![(target, archive(value, ctx)?)],
        "npy" => numbers(value, &target, args, ctx)?,
        "gif" => vec![(target, film(value, args, ctx)?)],
        _ => stills(&target, &ending, args, ctx)?,
    };
    for (file, bytes) in &written {
        write(Path::new(file), bytes).map_err(|e| e.at(span))?;
    }
    Ok(Value::Text(written.into_iter().map(|(f, _)| f).collect::<Vec<_>>().join(", ")))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: &std::io::Error| {
        Error::io(format!("cannot write {}", Safe(&path.to_string_lossy())), e)
    };
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    }
    write_atomic(&Disk, path, bytes).map_err(|e| failed(&e))
}

/// Version, generator, seed and origin, as every picture and code file carries them.
fn provenance(model: Option<&ModelId>, origin: &str, ctx: &Context<'_>) -> Vec<(String, String)> {
    let mut all = vec![
        ("Software".to_owned(), concat!("gannet ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("gannet:seed".to_owned(), ctx.seed.to_string()),
        ("gannet:origin".to_owned(), Safe(origin).to_string()),
    ];
    if let Some(id) = model {
        all.push(("gannet:generator".to_owned(), format!("{} {}", Safe(&id.name), id.fingerprint)));
    }
    if let Some(numbers) = crate::tensor::reduced() {
        all.push(("gannet:kernels".to_owned(), numbers.to_owned()));
    }
    all
}

fn images(args: &Args, ctx: &Context<'_>) -> Result<Vec<Image>> {
    all_images(&args.many("value"), ctx)
}

fn rasters(images: &[Image]) -> Result<Vec<Raster>> {
    let mut all = Vec::new();
    for i in images {
        all.extend(Raster::from_tensor(&i.data)?);
    }
    Ok(all)
}

fn stills(
    target: &str,
    ending: &str,
    args: &Args,
    ctx: &Context<'_>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let images = images(args, ctx)?;
    let mut all = rasters(&images)?;
    let quality = args.need_count("quality", 1..=100)? as u8;
    let texts =
        images.first().map(|i| provenance(i.model.as_ref(), &i.origin, ctx)).unwrap_or_default();
    let bytes = |r: &Raster| match ending {
        "png" => encode::png(r, &texts),
        "webp" => encode::webp(r),
        _ => encode::jpeg(r, quality),
    };
    if target.contains("{i}") {
        return all
            .iter()
            .enumerate()
            .map(|(i, r)| Ok((target.replace("{i}", &i.to_string()), bytes(r)?)))
            .collect();
    }
    if all.len() != 1 {
        // A strip is one captioned row; anything else the smallest square.
        let row = images.len() == 1 && !images[0].captions.is_empty();
        let square = if row { all.len() } else { (all.len() as f64).sqrt().ceil() as usize };
        let columns = args.count("columns", 1..=10_000)?.unwrap_or(square.max(1));
        all = vec![encode::grid(&all, columns).map_err(|e| e.at(args.span("value")))?];
    }
    all.first().map(|r| Ok(vec![(target.to_owned(), bytes(r)?)])).unwrap_or_else(|| {
        Err(Error::runtime("there is no picture to save").at(args.span("value")))
    })
}

fn film(value: &Value, args: &Args, ctx: &Context<'_>) -> Result<Vec<u8>> {
    let frames = match value {
        // A batch at a time: a path of a thousand frames never stands in memory at full precision.
        Value::Path(l) | Value::Latent(l) => frames(l, ctx)?,
        _ => rasters(&images(args, ctx)?)?,
    };
    let fps = args.need_number("fps", 0.1..=100.0)?;
    encode::gif(&frames, (1000.0 / fps).round() as u32).map_err(|e| e.at(args.span("value")))
}

fn frames(path: &Latent, ctx: &Context<'_>) -> Result<Vec<Raster>> {
    let model = ctx.model_of(path)?;
    let mut all = Vec::with_capacity(path.count());
    let input = spaces::input_of(path);
    each_batch(&*model.generator, path, &input, (&ctx.control, "render the film"), |batch| {
        all.extend(Raster::from_tensor(&batch)?);
        Ok(())
    })
    .map_err(|e| e.note("no film was written"))?;
    Ok(all)
}

fn array(t: &Tensor) -> Result<Array> {
    let shape = t.dims().to_vec();
    Array::f32(&shape, t.flatten_all()?.to_vec1::<f32>()?)
        .ok_or_else(|| Error::runtime(format!("a tensor of shape {shape:?} cannot be saved")))
}

fn numbers(
    value: &Value,
    target: &str,
    args: &Args,
    ctx: &Context<'_>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let tensor = match as_latent(value) {
        Some(code) => code.data,
        None => {
            Tensor::cat(&images(args, ctx)?.into_iter().map(|i| i.data).collect::<Vec<_>>(), 0)?
        }
    };
    if !target.contains("{i}") {
        return Ok(vec![(target.to_owned(), npy::to_bytes(&array(&tensor)?)?)]);
    }
    let one = |i: usize| -> Result<_> {
        Ok((
            target.replace("{i}", &i.to_string()),
            npy::to_bytes(&array(&tensor.narrow(0, i, 1)?)?)?,
        ))
    };
    (0..tensor.dim(0)?).map(one).collect()
}

/// Codes or directions as safetensors with their manifest.
fn archive(value: &Value, ctx: &Context<'_>) -> Result<Vec<u8>> {
    let (tensors, manifest) = match value {
        Value::Direction(d) => directions(std::slice::from_ref(d), ctx)?,
        Value::List(items) if matches!(items.first(), Some(Value::Direction(_))) => {
            let all: Vec<Direction> = items
                .iter()
                .map(|v| match v {
                    Value::Direction(d) => Ok(d.clone()),
                    other => Err(Error::runtime(format!("{} is no direction", other.ty()))),
                })
                .collect::<Result<_>>()?;
            directions(&all, ctx)?
        }
        other => {
            let code = as_latent(other).ok_or_else(|| {
                Error::runtime(format!("{} is saved as a picture or npy", other.ty()))
            })?;
            codes(&code, ctx)?
        }
    };
    safetensors::write(&tensors, Some(&manifest))
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

fn codes(code: &Latent, ctx: &Context<'_>) -> Result<Archive> {
    let mut tensors = BTreeMap::from([("code".to_owned(), array(&code.data)?)]);
    for (i, map) in code.noise.iter().flatten().enumerate() {
        tensors.insert(format!("noise.{i}"), array(map)?);
    }
    if let Some(labels) = &code.labels {
        tensors.insert("labels".to_owned(), array(labels)?);
    }
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
