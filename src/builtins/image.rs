//! `image`: pictures from files.

use super::{examples, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Depends, Example, Kind, Param, Signature,
    Type,
};
use crate::error::{Error, Result, Span};
use crate::face;
use crate::image::{Raster, decode, fit, read};
use crate::lang::suggest::near;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::value::{Image, Value};
use std::path::Path;

/// Treatment of what does not fit, alike wherever pictures are read.
pub(super) const ALIGN: Param = Param::optional(
    "align",
    &[Kind::Choice, Kind::List],
    "auto",
    "`auto` finds the face and frames it as in training where the generator brings a network for \
     that, else as `center`, which crops to the square; `none` stretches nothing and keeps the \
     frame; `[x, y, w, h]` takes that rectangle of pixels",
)
.choices(&["auto", "center", "none"])
.named();

/// The size of the result, alike wherever pictures are read.
pub(super) const SIZE: Param = Param::optional(
    "size",
    &[Kind::Number],
    "-",
    "side in pixels; by default the current generator's",
)
.whole(1, LIMITS.image_side as u64)
.named();

/// `image(path, …, align: auto, size: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "image",
        params: &[
            Param::required(
                "path",
                &[Kind::Text, Kind::List],
                "png, jpg, webp or gif files; \
                                                                several give a batch",
            )
            .reads_it()
            .variadic(),
            ALIGN,
            SIZE,
        ],
        returns: "Image",
        infer,
    },
    category: Category::Invert,
    summary: "reads pictures and fits them to the generator",
    details: "Any size and orientation: EXIF turned, cropped, resampled to the generator's \
              resolution and channels; it says \
              what it did. A face is looked for coarse to fine, then turned (every pixel weighed \
              when it shrinks, bicubic \
              when it grows) until eyes, nose and mouth are placed as in the training pictures; a \
              square picture that is framed so \
              already is kept whole; without a sure face the centre is taken, with a warning. With \
              `align: none` the \
              picture keeps its own size and shape unless `size` is given. Range [-1, 1]. The \
              examples, \
              `models/faces/examples/900000.jpg` and so on, are built into gannet: if the file \
              does not exist, they are read \
              from there.",
    examples: &[Example {
        code: "image(\"models/faces/examples/900000.jpg\")",
        note: "a face, fitted",
    }],
    cost: None,
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

fn paths(call: &CheckedCall<'_>) -> Vec<(String, crate::error::Span)> {
    let given = call.args.first().map(Vec::as_slice).unwrap_or_default();
    given
        .iter()
        .filter_map(|a| match &a.value {
            Some(Const::Text(t)) => Some((t.clone(), a.span)),
            _ => None,
        })
        .collect()
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    for (path, span) in paths(call).into_iter().filter(|(p, _)| !call.will_exist(p)) {
        exists(&path, span)?;
    }
    sized(call)
}

/// The type of pictures that are read with these arguments.
pub(super) fn sized(call: &CheckedCall<'_>) -> Result<Type> {
    let kept = matches!(call.value("align"), Some(Const::Choice(w, _)) if w == "none");
    Ok(match (shared::count(call, "size"), &call.model) {
        (Some(s), m) => Type::Image(m.as_ref().map(|m| [m.channels, s, s])),
        (None, _) if call.arg("size").is_some() || kept => Type::Image(None),
        (None, m) => shared::picture(m.as_ref()),
    })
}

/// Names the files beside a path that does not exist.
pub(super) fn exists(path: &str, span: Span) -> Result<()> {
    let p = Path::new(path);
    if p.is_file() || examples::find(path).is_some() {
        return Ok(());
    }
    let what = match (p.is_dir(), p.exists()) {
        (true, _) => "is a folder, not a picture",
        (_, true) => "is not a regular file",
        _ => "does not exist",
    };
    let error = Error::check(format!("{} {what}", Safe(path))).at(span);
    if p.is_dir() {
        let shown = Safe(path.trim_end_matches('/')).to_string();
        return Err(error.hint(format!("all pictures in it: images(\"{shown}/*.jpg\")")));
    }
    let folder = p.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name());
    let names: Vec<String> = names.filter_map(|n| n.into_string().ok()).collect();
    Err(match near(&wanted, names.iter().map(String::as_str)).first() {
        Some(n) => {
            let beside = match p.parent() {
                Some(folder) => folder.join(n),
                None => n.into(),
            };
            error.rewrite(span, format!("\"{}\"", Safe(&beside.to_string_lossy())))
        }
        None => error.hint(
            "give the path of a png, jpg, webp or gif file, from the folder that \
                            gannet was started in",
        ),
    })
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let mut paths = Vec::new();
    for (value, span) in args.many("path") {
        let Value::Text(path) = value else {
            return Err(Error::runtime("`path` wants texts").at(span));
        };
        paths.push(path);
    }
    batch(&paths, args, ctx).map(Value::Image)
}

/// Pictures of one size as a batch, fitted as the arguments `align` and `size` say.
pub(super) fn batch(paths: &[String], args: &Args, ctx: &Context<'_>) -> Result<Image> {
    let (mut rasters, mut notes) = (Vec::new(), Vec::new());
    for path in paths {
        ctx.control.check()?;
        let (raster, said) = one(path, args, ctx).map_err(|e| e.at(args.span("path")))?;
        rasters.push(raster);
        notes.extend(said);
    }
    let same = rasters.windows(2).all(|w| {
        (w[0].width, w[0].height, w[0].channels) == (w[1].width, w[1].height, w[1].channels)
    });
    if !same {
        return Err(Error::runtime("the pictures have different sizes and cannot form a batch")
            .at(args.span)
            .hint("give `size`, or read them one by one"));
    }
    let data = Raster::batch(&rasters, &ctx.device)?;
    let origin = paths.join(", ");
    Ok(Image { data, captions: Vec::new(), origin, notes, model: None })
}

/// Treatment of a picture that does not fit the frame.
enum Frame {
    /// The face where there is a network that finds it, else the centre.
    Face,
    /// The centre.
    Centre,
    /// All of it, at its own size.
    Kept,
}

fn one(path: &str, args: &Args, ctx: &Context<'_>) -> Result<(Raster, Vec<String>)> {
    exists(path, args.span("path"))?;
    let embedded = examples::find(path).filter(|_| !Path::new(path).exists());
    let decoded = match embedded {
        Some(bytes) => decode(path, bytes, &LIMITS)?,
        None => read(Path::new(path), &LIMITS)?,
    };
    let mut notes = decoded.notes;
    if embedded.is_some() {
        notes.push("read the example built into gannet: this file does not exist here".to_owned());
    }
    let mut raster = decoded.raster;
    let channels = ctx.model.as_ref().map_or(3, |m| m.facts.channels);
    let frame = match args.need("align")? {
        Value::Word(w, _) if w == "none" => Frame::Kept,
        Value::Word(w, _) if w == "auto" => Frame::Face,
        Value::List(items) => {
            raster = cropped(&raster, items, args)?;
            notes.push(format!("the given rectangle, {}×{}", raster.width, raster.height));
            Frame::Centre
        }
        _ => Frame::Centre,
    };
    let size = args.count("size")?;
    let size = match (size, &ctx.model, &frame) {
        (Some(s), ..) => (s, s),
        (None, Some(m), Frame::Face | Frame::Centre) => (m.facts.width, m.facts.height),
        _ => {
            let (raster, said) = raster.convert(channels)?;
            notes.extend(said.map(str::to_owned));
            return Ok((raster, notes));
        }
    };
    let network = match &ctx.model {
        Some(m) if m.facts.landmarks => m.features()?,
        _ => None,
    };
    let (raster, said) = match (&frame, network) {
        (Frame::Face, Some(network)) if size.0 == size.1 => {
            let aligned = face::align(network, &raster, channels, size.0, &ctx.control)?;
            (aligned.picture, aligned.notes)
        }
        _ => fit(&raster, channels, size)?,
    };
    // Noted only on request: by default, generators of anything but faces take the middle.
    if matches!(frame, Frame::Face) && network.is_none() && given(args) {
        notes.push(
            "the generator has no network that finds faces, so the middle is taken".to_owned(),
        );
    }
    notes.extend(said);
    Ok((raster, notes))
}

/// Whether `align` was written in the call.
fn given(args: &Args) -> bool {
    let at = args.params.iter().position(|p| p.name == "align");
    at.and_then(|i| args.written.get(i)).is_some_and(|w| !w.is_empty())
}

fn cropped(raster: &Raster, items: &[Value], args: &Args) -> Result<Raster> {
    let numbers: Vec<usize> = items
        .iter()
        .filter_map(|v| match v {
            Value::Number(n) if *n >= 0.0 && n.fract() == 0.0 => Some(*n as usize),
            _ => None,
        })
        .collect();
    match numbers[..] {
        [x, y, w, h] if items.len() == 4 => raster.crop(x, y, w, h),
        _ => {
            Err(Error::runtime("a rectangle is `[x, y, w, h]` in whole pixels")
                .at(args.span("align")))
        }
    }
}
