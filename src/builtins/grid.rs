//! `grid`: several pictures as one.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
    all_images,
};
use crate::error::{Error, Result};
use crate::image::{Raster, encode};
use crate::value::pictures::room;
use crate::value::{Image, Value};

/// `grid(pictures, …, columns: …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "grid",
        params: &[
            Param::required(
                "pictures",
                &[Kind::Image, Kind::Latent, Kind::Path, Kind::List],
                "pictures, codes or lists of them",
            )
            .variadic(),
            Param::optional(
                "columns",
                &[Kind::Number],
                "-",
                "pictures a row; the side of the smallest square unless given",
            )
            .whole(1, 10_000)
            .named(),
        ],
        returns: "Image",
        infer,
    },
    category: Category::See,
    summary: "several pictures as one, in rows",
    details: "With gaps of two pixels. All pictures must have one size.",
    examples: &[Example {
        code: "grid(sample(n: 4, seed: 7), columns: 2)",
        note: "two rows of two",
    }],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Image(None))
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let mut rasters = Vec::new();
    let images = all_images(&args.many("pictures"), ctx)?;
    room(images.iter().map(|i| i.data.elem_count() as u64).sum())?;
    for image in images {
        rasters.extend(Raster::from_tensor(&image.data)?);
    }
    let count = rasters.len();
    if count == 0 {
        return Err(Error::runtime("a grid needs at least one picture").at(args.span));
    }
    let columns = args.count("columns")?.unwrap_or_else(|| (count as f64).sqrt().ceil() as usize);
    let one = encode::grid(&rasters, columns).map_err(|e| e.at(args.span))?;
    Ok(Value::Image(Image {
        data: one.to_tensor(&ctx.device)?,
        captions: Vec::new(),
        origin: format!("grid of {count}"),
        notes: Vec::new(),
        model: ctx.model.as_ref().map(|m| m.id()),
    }))
}
