//! `mask`: which part of a picture counts.

use super::image::exists;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::{Error, Result, Span};
use crate::image::{Raster, read};
use crate::invert::{Mask, Shape};
use crate::limits::LIMITS;
use crate::value::Value;
use candle_core::Device;
use std::path::Path;
use std::sync::Arc;

/// Side of a mask of a shape without a generator.
const SIDE: usize = 256;
/// Masks from files are kept no larger.
const LARGEST: usize = 2048;

/// `mask(of, ellipse: …, box: …, combine: any, invert: false)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "mask",
        params: &[
            Param::optional(
                "of",
                &[Kind::Text, Kind::Mask, Kind::List],
                "-",
                "a picture file whose grey values are the weights, another mask, or a list of \
                 these",
            )
            .reads_it(),
            Param::optional(
                "ellipse",
                &[Kind::List],
                "-",
                "`[cx, cy, rx, ry]`: centre and radii in shares of the side, from the upper left",
            )
            .named(),
            Param::optional(
                "box",
                &[Kind::List],
                "-",
                "`[left, top, right, bottom]` in shares of the side",
            )
            .named(),
            Param::optional(
                "combine",
                &[Kind::Choice],
                "any",
                "several parts: `any` takes the largest weight, `all` the smallest",
            )
            .choices(&["any", "all"])
            .named(),
            Param::optional("invert", &[Kind::Bool], "false", "use the part outside the shapes")
                .named(),
        ],
        returns: "Mask",
        infer,
    },
    category: Category::Invert,
    summary: "weights of a picture's pixels: which part counts",
    details: "A weight for every pixel, from 0 (black, does not count) to 1 (white). Shapes are \
              drawn at the current \
              generator's size: a pixel is inside when its centre is. A mask of any size is \
              resampled to the pictures that \
              it is used on. `invert(x, mask: m)` searches a code for the part that counts.",
    examples: &[
        Example {
            code: "mask(ellipse: [0.5, 0.6, 0.2, 0.1])",
            note: "an ellipse below the middle",
        },
        Example { code: "mask(box: [0, 0, 1, 0.5], invert: true)", note: "the lower half" },
        Example {
            code: "mask(mask(box: [0, 0, 0.5, 1]), ellipse: [0.5, 0.5, 0.3, 0.3], combine: all)",
            note: "the left half of a circle",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if ["of", "ellipse", "box"].iter().all(|name| call.arg(name).is_none()) {
        return Err(nothing().at(call.span));
    }
    if let (Some(Const::Text(path)), Some(arg)) = (call.value("of"), call.arg("of"))
        && !call.will_exist(path)
    {
        exists(path, arg.span)?;
    }
    Ok(Type::Mask)
}

fn nothing() -> Error {
    Error::check("a mask is made of a file, another mask, an ellipse or a box")
        .hint("mask(ellipse: [0.5, 0.5, 0.3, 0.2])")
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let size = ctx.model.as_ref().map_or((SIDE, SIDE), |m| (m.facts.height, m.facts.width));
    let mut parts = Vec::new();
    for (value, span) in args.many("of") {
        parts.push(part(&value, span).map_err(|e| e.at(span))?);
    }
    if let Some(shape) = ellipse(args)? {
        parts.push(drawn("ellipse", shape, size)?);
    }
    if let Some(shape) = rectangle(args)? {
        parts.push(drawn("box", shape, size)?);
    }
    let all = args.word("combine")? == "all";
    let mut parts = parts.into_iter();
    let mut mask = parts.next().ok_or_else(|| nothing().at(args.span))?;
    for part in parts {
        mask = mask.joined(&part, all)?;
    }
    let mask = if args.flag("invert")? { mask.inverted()? } else { mask };
    Ok(Value::Mask(Arc::new(mask)))
}

fn part(value: &Value, span: Span) -> Result<Mask> {
    match value {
        Value::Mask(m) => Ok(m.as_ref().clone()),
        Value::Text(path) => file(path, span),
        other => Err(Error::runtime(format!("{} is not a part of a mask", other.ty()))
            .hint("give the path of a picture, or another mask")),
    }
}

/// The grey values of a picture file as weights, at its own size.
fn file(path: &str, span: Span) -> Result<Mask> {
    exists(path, span)?;
    let raster = read(Path::new(path), &LIMITS)?.raster;
    let size = (raster.height, raster.width);
    let (grey, _) = raster.convert(1)?;
    let data = Raster::batch(&[grey], &Device::Cpu)?.affine(0.5, 0.5)?;
    let kept = (size.0.min(LARGEST), size.1.min(LARGEST));
    let weights = crate::metric::resize_to(&data, kept.0, kept.1)?.clamp(0f32, 1f32)?;
    Mask::new(weights.flatten_all()?.to_vec1::<f32>()?, kept, path)
}

fn drawn(name: &str, shape: Shape, size: (usize, usize)) -> Result<Mask> {
    let (Shape::Ellipse(n) | Shape::Rectangle(n)) = shape;
    let numbers: Vec<String> = n.iter().map(f64::to_string).collect();
    Mask::of_shape(shape, size, &format!("{name} [{}]", numbers.join(", ")))
}

fn ellipse(args: &Args) -> Result<Option<Shape>> {
    let Some(n @ [_, _, rx, ry]) = four(args, "ellipse")? else { return Ok(None) };
    if rx > 0.0 && ry > 0.0 {
        return Ok(Some(Shape::Ellipse(n)));
    }
    Err(Error::runtime("the radii of an ellipse are larger than 0")
        .at(args.span("ellipse"))
        .hint("ellipse: [0.5, 0.5, 0.3, 0.2]"))
}

fn rectangle(args: &Args) -> Result<Option<Shape>> {
    let Some(n @ [left, top, right, bottom]) = four(args, "box")? else { return Ok(None) };
    if left < right && top < bottom {
        return Ok(Some(Shape::Rectangle(n)));
    }
    Err(Error::runtime("a box is `[left, top, right, bottom]` with left < right and top < bottom")
        .at(args.span("box"))
        .hint("box: [0.2, 0.2, 0.8, 0.8]"))
}

/// A list of four finite numbers.
fn four(args: &Args, name: &str) -> Result<Option<[f64; 4]>> {
    let Some(value) = args.get(name) else { return Ok(None) };
    let numbers: Vec<f64> = match value {
        Value::List(items) => items
            .iter()
            .filter_map(|v| match v {
                Value::Number(n) if n.is_finite() => Some(*n),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let count = if let Value::List(items) = value { items.len() } else { 0 };
    match numbers.first_chunk::<4>() {
        Some(four) if count == 4 => Ok(Some(*four)),
        _ => Err(Error::runtime(format!("`{name}` wants a list of four numbers"))
            .at(args.span(name))
            .hint(format!("{name}: [0.2, 0.2, 0.8, 0.8]"))),
    }
}
