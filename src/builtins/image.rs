//! `image`: pictures from files.

use super::photograph::{self, Fitting, Opened};
use super::{examples, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Depends, Example, Kind, Param, Signature,
    Type,
};
use crate::error::{Error, Result, Span};
use crate::image::{Photograph, Raster};
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
    "`auto` finds the face and frames it as in training where the generator draws faces, else as \
     `center`, which crops to the square; `own` frames it for the generator's own network, `ffhq` as \
     FFHQ; `none` stretches nothing and keeps the frame; `[x, y, w, h]` takes that rectangle of \
     pixels",
)
.choices(&["auto", "own", "ffhq", "center", "none"])
.named();

/// The face to take of several.
const FACE: Param = Param::optional(
    "face",
    &[Kind::Number],
    "-",
    "which of several faces, from 1: the largest is the first; faces(path) shows them",
)
.whole(1, 1000)
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
            FACE,
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
              already is kept whole; without a sure face the centre is taken, with a warning. Of \
              several faces the largest is taken, and all are listed. Generators of FFHQ have its \
              frame, mirrored where it leaves the picture. `paste` puts an edited picture back \
              where it was cut out. With `align: none` the \
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
    if let (Some(face), Some(Const::Choice(w, _))) = (call.arg("face"), call.value("align"))
        && ["center", "none"].contains(&w.as_str())
    {
        return Err(faceless(Error::check).at(face.span));
    }
    sized(call)
}

/// The error of a face's number where no face is looked for.
fn faceless(error: fn(String) -> Error) -> Error {
    error("`face` is a number of the faces that `align` finds".into())
        .hint("leave `face` out, or give align: auto, own or ffhq")
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
    let (mut rasters, mut notes, mut photographs) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        ctx.control.check()?;
        let one = one(path, args, ctx).map_err(|e| e.at(args.span("path")))?;
        rasters.push(one.raster);
        notes.extend(one.notes);
        photographs.push(Some(one.photograph));
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
    Ok(Image { notes, photographs, ..Image::new(data, paths.join(", ")) })
}

fn one(path: &str, args: &Args, ctx: &Context<'_>) -> Result<photograph::Fitted> {
    exists(path, args.span("path"))?;
    let Opened { decoded, photograph: mut whole, .. } = photograph::open(path)?;
    let (mut raster, mut notes) = (decoded.raster, decoded.notes);
    let channels = ctx.model.as_ref().map_or(3, |m| m.facts.channels);
    let align = match args.need("align")? {
        Value::Word(w, _) => w.as_str(),
        Value::List(items) => {
            let part = rectangle(items, args)?;
            (raster, whole) = cropped(&raster, whole, part)?;
            notes.push(format!("the given rectangle, {}×{}", raster.width, raster.height));
            "center"
        }
        _ => "center",
    };
    let face = args.count("face")?;
    if face.is_some() && ["center", "none"].contains(&align) {
        return Err(faceless(Error::runtime).at(args.span("face")));
    }
    let size = match (args.count("size")?, &ctx.model) {
        (Some(s), _) => (s, s),
        (None, Some(m)) if align != "none" => (m.facts.width, m.facts.height),
        _ => {
            let (raster, said) = raster.convert(channels)?;
            notes.extend(said.map(str::to_owned));
            return Ok(photograph::Fitted { raster, photograph: whole, notes });
        }
    };
    let finder = photograph::finder(align, ctx, args.span("align"))?;
    let square = size.0 == size.1;
    if !square && ["own", "ffhq"].contains(&align) {
        let text = format!("a face is framed in a square, not in {}×{}", size.0, size.1);
        return Err(Error::runtime(text).at(args.span("align")).hint("give `size`"));
    }
    // Noted only on request: by default, generators of anything but faces take the middle.
    if finder.is_none() && align == "auto" && args.given("align") {
        notes.push("the generator draws no faces that gannet knows of: the middle is taken".into());
    }
    if face.is_some() && (finder.is_none() || !square) {
        let error = Error::runtime("no face is looked for, as the generator draws none");
        return Err(error.at(args.span("face")).hint("align: ffhq looks for faces"));
    }
    let fitting = Fitting { size, channels, finder, face };
    let mut fitted = photograph::fitted(&raster, whole, &fitting, ctx)?;
    fitted.notes.splice(0..0, notes);
    Ok(fitted)
}

/// A rectangle of a picture, and where it lies in the photograph.
fn cropped(
    raster: &Raster,
    whole: Photograph,
    [x, y, w, h]: [usize; 4],
) -> Result<(Raster, Photograph)> {
    Ok((raster.crop(x, y, w, h)?, whole.part([x, y, w, h])))
}

fn rectangle(items: &[Value], args: &Args) -> Result<[usize; 4]> {
    let numbers: Vec<usize> = items
        .iter()
        .filter_map(|v| match v {
            Value::Number(n) if *n >= 0.0 && n.fract() == 0.0 => Some(*n as usize),
            _ => None,
        })
        .collect();
    match numbers[..] {
        [x, y, w, h] if items.len() == 4 => Ok([x, y, w, h]),
        _ => {
            Err(Error::runtime("a rectangle is `[x, y, w, h]` in whole pixels")
                .at(args.span("align")))
        }
    }
}
