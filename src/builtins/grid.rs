//! `grid`: several pictures as one.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
    all_images,
};
use crate::error::{Error, Result};
use crate::image::Raster;
use crate::image::encode::{self, Between};
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
            Param::optional("gap", &[Kind::Number], "2", "pixels between the pictures")
                .whole(0, 100)
                .named(),
            Param::optional("ground", &[Kind::Choice], "black", "colour between the pictures")
                .choices(&["black", "white"])
                .named(),
        ],
        returns: "Image",
        infer,
    },
    category: Category::See,
    summary: "several pictures as one, in rows",
    details: "All pictures must have one size. Lists in lists are opened, so that a list of rows \
              is a grid; `blank()` leaves a place empty.",
    examples: &[
        Example { code: "grid(sample(n: 4, seed: 7), columns: 2)", note: "two rows of two" },
        Example {
            code: "ws = [sample(seed: s) for s in 1..2]; grid([[mix(a, b, layers: 0..2) for b in \
                   [to(W+, w) for w in ws]] for a in [to(W+, w) for w in ws]], columns: 2, gap: 8, \
                   ground: white)",
            note: "a list of rows, as a paper prints it",
        },
    ],
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
    let white = args.word("ground")? == "white";
    let between = Between { gap: args.need_count("gap")?, shade: if white { 255 } else { 0 } };
    let one = encode::sheet(&rasters, columns, between).map_err(|e| e.at(args.span))?;
    Ok(Value::Image(Image {
        model: ctx.model.as_ref().map(|m| m.id()),
        ..Image::new(one.to_tensor(&ctx.device)?, format!("grid of {count}"))
    }))
}
