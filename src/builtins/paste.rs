//! `paste`: an edited picture back into its photograph.

use super::image::exists;
use super::photograph::{self, Fitting, Opened};
use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::image::paste::{Oval, Paste, Pasted, Region, changed, paste};
use crate::image::{Metadata, Photograph, Raster};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::value::{Image, Value};
use candle_core::Tensor;
use std::sync::Arc;

/// `paste(picture, into: x, mask: ellipse, feather: 0.15, match: true)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "paste",
        params: &[
            Param::required(
                "picture",
                shared::params::PICTURES,
                "the edited picture, or its code or inversion (rendered)",
            ),
            Param::required(
                "into",
                &[Kind::Image, Kind::Inversion, Kind::Text],
                "a picture that `image` read, its inversion, or the photograph's path",
            )
            .reads_it()
            .named(),
            Param::optional(
                "mask",
                &[Kind::Choice, Kind::Mask],
                "ellipse",
                "the part that is pasted: the `ellipse` in the frame, the `face`, what the edit \
                 has `changed`, or a mask of the frame",
            )
            .choices(&["ellipse", "face", "changed"])
            .named(),
            Param::optional(
                "feather",
                &[Kind::Number],
                "0.15",
                "width of the soft border as a share of the frame's side",
            )
            .within(0.0, 0.5)
            .named(),
            Param::optional(
                "match",
                &[Kind::Bool],
                "true",
                "match the colours to the photograph's at the soft border",
            )
            .named(),
            Param::optional(
                "over",
                &[Kind::Image],
                "-",
                "an earlier paste into the same photograph, to be continued: the next face of a \
                 group",
            )
            .named(),
        ],
        returns: "Image",
        infer,
    },
    category: Category::Edit,
    summary: "puts an edited picture back into the whole photograph",
    details: "The frame that `image` cut out is known to the picture, its slices and its \
              inversions. The file is read again, and refused when it has changed. The picture is \
              warped back, enlarged bicubically or reduced by area, and blended in the soft border \
              of the mask, which lies inside the frame. Pixels outside of the mask keep their \
              bytes, at full size; so does alpha. Where colours are matched, each channel gets an \
              offset, and a factor where border and photograph vary alike; a border that shows \
              something else is left alone. With `into:` an \
              inversion, its reconstruction is the picture before the edit: colours are compared \
              with it, so that an edit's own colours stay, and `changed` is what differs from it \
              by more than 4 of 255. `save` keeps EXIF and the colour profile of the photograph \
              in png, jpg and webp; the orientation in it becomes upright, the thumbnail is \
              removed.",
    examples: &[
        Example {
            code: "x = image(\"models/faces/examples/900000.jpg\"); \
                   r = invert(x, space: W, steps: 2); \
                   paste(r + direction(\"smile\"), into: x)",
            note: "an edit in the photograph",
        },
        Example {
            code: "x = image(\"models/faces/examples/900000.jpg\"); \
                   r = invert(x, space: W, steps: 2); \
                   paste(r + direction(\"smile\"), into: r, mask: changed, feather: 0.05)",
            note: "only what the edit changed",
        },
        Example {
            code: "paste(sample(seed: 1), into: \"models/faces/examples/900000.jpg\", \
                   mask: mask(ellipse: [0.5, 0.5, 0.3, 0.4]))",
            note: "into a file, with a mask of one's own",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let (Some(Const::Text(path)), Some(arg)) = (call.value("into"), call.arg("into"))
        && !call.will_exist(path)
    {
        exists(path, arg.span)?;
    }
    Ok(Type::Image(None))
}

/// The photograph to paste into.
struct Target {
    photograph: Photograph,
    opened: Opened,
    /// Its frame as it was cut out, `[1, C, H, W]`.
    framed: Tensor,
    /// The picture of the code before the edit, where an inversion tells.
    before: Option<Tensor>,
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let edited = args.images("picture", ctx)?;
    let [count, channels, height, width] = edited.dims();
    let span = args.span("picture");
    if count != 1 {
        return Err(Error::runtime(format!("{count} pictures cannot be pasted at once"))
            .at(span)
            .hint("one after the other: [paste(p, into: x) for p in pictures]"));
    }
    if !is_finite(&edited.data)? {
        return Err(Error::runtime("the picture holds numbers that are not finite")
            .at(span)
            .hint("the edit went too far: make it smaller"));
    }
    let target =
        target(args, ctx, (width, height), channels).map_err(|e| e.at(args.span("into")))?;
    let [_, _, h, w] = size(&target.framed);
    if (width, height) != (w, h) {
        let text = format!(
            "the picture is {width}×{height}, and {w}×{h} were cut from {}",
            Safe(&target.photograph.path)
        );
        return Err(Error::runtime(text)
            .at(span)
            .hint(format!("read it for this generator: image(path, size: {width})")));
    }
    let raster = one_raster(&edited.data)?;
    let before = target.before.as_ref().map(one_raster).transpose()?;
    let region = match &before {
        Some(before) => region(args, &target, &raster, before)?,
        None => region(args, &target, &raster, &one_raster(&target.framed)?)?,
    };
    let into = base(args, &target)?;
    let how = Paste {
        region,
        feather: args.need_number("feather")?,
        matched: args.flag("match")?,
        before: before.as_ref(),
    };
    let pasted = paste(&into, &target.photograph, &raster, &how).map_err(|e| {
        e.at(args.span(if args.get("mask").is_some() { "mask" } else { "picture" }))
    })?;
    let notes = notes(&pasted, &target, how.matched);
    let data = pasted.picture.to_tensor(&ctx.device)?;
    let path = &target.photograph.path;
    let metadata = Metadata::of(&target.opened.content, &LIMITS);
    Ok(Value::Image(Image {
        notes,
        model: edited.model,
        metadata: (!metadata.is_empty()).then(|| Arc::new(metadata)),
        ..Image::new(data, format!("{} pasted into {path}", edited.origin))
    }))
}

/// `[N, C, H, W]`
fn size(data: &Tensor) -> [usize; 4] {
    [0, 1, 2, 3].map(|i| data.dims().get(i).copied().unwrap_or(1))
}

fn is_finite(data: &Tensor) -> Result<bool> {
    let all = data.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(all.iter().all(|v| v.is_finite()))
}

fn one_raster(data: &Tensor) -> Result<Raster> {
    let none = || Error::runtime("there is no picture");
    Raster::from_tensor(data)?.into_iter().next().ok_or_else(none)
}

/// The photograph that `into` names, and its frame.
fn target(args: &Args, ctx: &Context<'_>, size: (usize, usize), channels: usize) -> Result<Target> {
    let (framed, before, photographs) = match args.need("into")? {
        Value::Text(path) => {
            exists(path, args.span("into"))?;
            let opened = photograph::open(path)?;
            let finder = photograph::finder("auto", ctx, args.span("into"))?;
            let fitting = Fitting { size, channels, finder, face: None };
            let whole = opened.photograph.clone();
            let fitted = photograph::fitted(&opened.decoded.raster, whole, &fitting, ctx)?;
            let framed = fitted.raster.to_tensor(&ctx.device)?;
            let photograph = fitted.photograph;
            return Ok(Target { photograph, opened, framed, before: None });
        }
        Value::Image(x) => (x.data.clone(), None, &x.photographs),
        Value::Inversion(r) => (r.target.clone(), Some(r.reconstruction.clone()), &r.photographs),
        other => return Err(Error::runtime(format!("{} is not a photograph", other.ty()))),
    };
    let count = framed.dim(0)?;
    if count != 1 {
        return Err(Error::runtime(format!("`into` has {count} pictures")).hint(
            "one of a batch is x[0], each of an inversion: [paste(r, into: r) for r in all]",
        ));
    }
    let photograph = photographs.first().cloned().flatten().ok_or_else(|| {
        Error::runtime("this picture was not cut from a photograph, so there is no place for it")
            .hint("into: a picture that image(path) read, its inversion, or the path")
    })?;
    let opened = photograph::open_again(&photograph)?;
    Ok(Target { photograph, opened, framed, before })
}

/// The photograph's pixels, or those of an earlier paste.
fn base(args: &Args, target: &Target) -> Result<Raster> {
    let own = &target.opened.decoded.raster;
    let Some(Value::Image(earlier)) = args.get("over") else { return Ok(own.clone()) };
    let earlier = one_raster(&earlier.data)?;
    if (earlier.width, earlier.height) != (own.width, own.height) {
        let text = format!(
            "`over` is {}×{}, and {} is {}×{}",
            earlier.width,
            earlier.height,
            Safe(&target.photograph.path),
            own.width,
            own.height
        );
        return Err(Error::runtime(text)
            .at(args.span("over"))
            .hint("give what `paste` made of the same photograph"));
    }
    Ok(earlier)
}

/// The part of the frame that is pasted.
fn region(args: &Args, target: &Target, edited: &Raster, before: &Raster) -> Result<Region> {
    let wrong = |text: &str, hint: &str| {
        Err(Error::runtime(text.to_owned()).at(args.span("mask")).hint(hint.to_owned()))
    };
    match args.need("mask")? {
        Value::Mask(mask) => {
            let (height, width) = mask.size();
            let [w, h] = target.photograph.frame;
            if width * h != height * w {
                let text = format!("the mask is {width}×{height}, and the frame {w}×{h}");
                return wrong(
                    &text,
                    "a mask of the frame's shape: mask(ellipse: [0.5, 0.5, 0.3, 0.4])",
                );
            }
            Ok(Region::Weights { data: mask.weights()?, size: [width, height] })
        }
        Value::Word(w, _) if w == "face" => {
            let back = target.photograph.place.inverse();
            let points = target.photograph.landmarks.map(|all| all.map(|p| back.apply(p)));
            match points.as_ref().and_then(Oval::of_face) {
                Some(oval) => Ok(Region::Oval(oval)),
                None => wrong(
                    "no face was found in this picture, so its place is not known",
                    "mask: ellipse",
                ),
            }
        }
        Value::Word(w, _) if w == "changed" => {
            let region = changed(edited, before)?;
            let Region::Weights { data, .. } = &region else { return Ok(region) };
            if data.iter().all(|w| *w == 0.0) {
                return wrong("the edit changed nothing that can be seen", "mask: ellipse");
            }
            Ok(region)
        }
        _ => Ok(Region::Ellipse),
    }
}

/// What was done, in words.
fn notes(pasted: &Pasted, target: &Target, matched: bool) -> Vec<String> {
    let [width, height] = [pasted.picture.width, pasted.picture.height];
    let share = 100.0 * pasted.covered as f64 / (width * height) as f64;
    let mut all = vec![format!("{share:.1} % of it pasted")];
    let scale = target.photograph.place.scale() * target.photograph.frame[0] as f64;
    let side = size(&target.framed)[3];
    if scale > 1.5 * side as f64 {
        all.push(format!("{side} px enlarged to {scale:.0}: less sharp than the photograph"));
    }
    match &pasted.colours {
        Some(colours) => {
            let each = colours.iter().map(|[gain, offset]| match gain {
                1.0 => format!("{offset:+.1}"),
                _ => format!("×{gain:.2} {offset:+.1}"),
            });
            all.push(format!("colours matched: {}", each.collect::<Vec<_>>().join(", ")));
        }
        None if matched => {
            all.push("colours not matched: the border shows something else".to_owned());
        }
        None => {}
    }
    all
}

#[cfg(test)]
#[path = "paste_tests.rs"]
mod tests;
