//! `compare`: pictures beside each other, and the numbers.

use super::{measure, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Param, Signature, Type, all_images,
};
use crate::error::Result;
use crate::image::{Filter, Raster, resize};
use crate::value::{Image, Value, pictures};
use candle_core::Tensor;
use std::sync::Arc;

/// `compare(a, b, …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "compare",
        params: &[
            Param::required(
                "a",
                shared::params::PICTURES,
                "what the others are compared with: pictures, an inversion (its reconstruction) \
                 or codes (rendered)",
            ),
            Param::required(
                "b",
                shared::params::CANDIDATES,
                "one or more, each with a column; one of another size is scaled to that of `a`",
            )
            .variadic(),
        ],
        returns: "Table",
        infer,
    },
    category: Category::See,
    summary: "pictures beside each other, and every metric",
    details: "With one candidate, their difference |a − b| times four is shown too, on pictures in \
              [-1, 1], black where both agree. `:details` at the prompt defines the numbers.",
    examples: &[
        Example {
            code: "compare(sample(seed: 1), sample(seed: 1, psi: 0.7))",
            note: "a sample and its truncated self",
        },
        Example {
            code: "x = sample(seed: 1); compare(x, sample(seed: 1, psi: 0.9), mean_w())",
            note: "two candidates in one table",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

/// Longest expression that is used as a caption and a column.
const NAME: usize = 20;

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Table)
}

/// Pictures in the size of the target, and a line where they had another.
fn brought(target: &Image, given: Image, name: &str) -> Result<(Image, Option<String>)> {
    let ([.., height, width], [.., h, w]) = (target.dims(), given.dims());
    if (width, height) == (w, h) {
        return Ok((given, None));
    }
    let all = Raster::from_tensor(&given.data)?;
    let resized = |p: &Raster| resize(p, width, height, Filter::Bicubic);
    let all = all.iter().map(resized).collect::<Result<Vec<_>>>()?;
    let data = Raster::batch(&all, given.data.device())?;
    let line = format!("{name}: {w}×{h}, scaled to the {width}×{height} of the target");
    Ok((Image { data, ..given }, Some(line)))
}

/// An argument as it is written, where that is short and there is one value of it.
fn name(args: &Args, param: &str, k: usize, otherwise: String) -> String {
    let at = args.params.iter().position(|p| p.name == param);
    let written = at.and_then(|i| args.written.get(i)).map(Vec::as_slice).unwrap_or_default();
    let values = at.and_then(|i| args.values.get(i)).map_or(0, Vec::len);
    let listed = args.many(param).len() != values;
    written
        .get(k)
        .filter(|w| !listed && w.chars().count() <= NAME && !w.starts_with('"'))
        .cloned()
        .unwrap_or(otherwise)
}

/// Pictures with their names.
type NamedImages = Vec<(String, Image)>;

/// The candidates in the size of the target, each with its name, and lines about those that were
/// scaled.
fn candidates(
    target: &Image,
    args: &Args,
    ctx: &Context<'_>,
) -> Result<(NamedImages, Vec<String>)> {
    let found = all_images(&args.many("b"), ctx)?;
    let (several, mut lines) = (found.len() > 1, Vec::new());
    let mut named = |(k, b): (usize, Image)| {
        let otherwise = if several { format!("#{k}") } else { "b".into() };
        let name = name(args, "b", k, otherwise);
        let (b, line) = brought(target, b, &name)?;
        lines.extend(line);
        Ok((name, b))
    };
    let all = found.into_iter().enumerate().map(&mut named).collect::<Result<Vec<_>>>()?;
    Ok((all, lines))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let a = args.images("a", ctx)?;
    let given = args.many("b");
    let (found, scaled) = candidates(&a, args, ctx)?;
    let target_name = name(args, "a", 0, "a".into());
    let mut columns: Vec<measure::Column> = Vec::with_capacity(found.len());
    let mut target = a.data.clone();
    for (k, (name, b)) in found.into_iter().enumerate() {
        let (first, candidate) = shared::align(&a, &b).map_err(|e| e.at(given[k].1))?;
        if k == 0 {
            target = first;
        }
        columns.push((name, candidate));
    }
    let mut table = if let [(_, only)] = &columns[..] {
        measure::table(&target, &[("value".into(), only.clone())], ctx)?
    } else {
        measure::table(&a.data, &columns, ctx)?
    };
    table.notes.splice(0..0, scaled);
    let picture = |data: &Tensor, i: usize, caption: &str| -> Result<Image> {
        let data = data.narrow(0, i.min(data.dim(0)?.saturating_sub(1)), 1)?;
        Ok(Image { captions: vec![caption.to_owned()], ..Image::new(data, "compare") })
    };
    let count = columns.iter().map(|(_, b)| b.dim(0)).collect::<candle_core::Result<Vec<_>>>()?;
    for i in 0..count.into_iter().max().unwrap_or(0) {
        table.pictures.push(picture(&target, i, &target_name)?);
        for (caption, data) in &columns {
            table.pictures.push(picture(data, i, caption)?);
        }
        if let [(_, only)] = &columns[..] {
            let error = pictures::error_picture(&target, only)?;
            table.pictures.push(picture(&error, i, pictures::ERROR)?);
        }
    }
    Ok(Value::Table(Arc::new(table)))
}
