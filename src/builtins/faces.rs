//! `faces`: the faces of a photograph.

use super::image::exists;
use super::photograph;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Const, Context, Depends, Example, Kind, Param, Signature,
    Type,
};
use crate::error::Result;
use crate::face::{self, Found};
use crate::image::{Pyramid, Raster, Similarity};
use crate::value::{Cell, Image, Table, Value};
use std::sync::Arc;

/// `faces("group.jpg")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "faces",
        params: &[
            Param::required("path", &[Kind::Text], "a png, jpg, webp or gif file").reads_it(),
            Param::optional("size", &[Kind::Number], "96", "side of the pictures in pixels")
                .whole(8, 1024)
                .named(),
        ],
        returns: "Table",
        infer,
    },
    category: Category::Invert,
    summary: "lists the faces of a photograph, with a picture of each",
    details: "Numbered as `image(path, face: 2)` takes them: the largest first, those of which the \
              search is less sure last. The side of a face's frame and its middle are in pixels of \
              the upright photograph, the turn in degrees, clockwise. Found by the network of the \
              current generator, else by that of the built-in one.",
    examples: &[Example { code: "faces(\"models/faces/examples/900000.jpg\")", note: "one face" }],
    cost: None,
    cache: Some(Depends::Networks),
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let (Some(Const::Text(path)), Some(arg)) = (call.value("path"), call.arg("path"))
        && !call.will_exist(path)
    {
        exists(path, arg.span)?;
    }
    Ok(Type::Table)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (path, side) = (args.text("path")?, args.need_count("size")?);
    exists(path, args.span("path"))?;
    let picture = photograph::open(path).map_err(|e| e.at(args.span("path")))?.decoded.raster;
    let network = match photograph::finder("auto", ctx, args.span)? {
        Some((network, _)) => network,
        None => photograph::built_in(ctx)?,
    };
    let pyramid = Pyramid::new(picture.converted(network.channels())?.0)?;
    let found = face::all(&network, &pyramid, &ctx.control)?;
    let sure: Vec<&Found> = found.iter().filter(|f| f.sure()).collect();
    let pyramid = Pyramid::new(picture.converted(3)?.0)?;
    let unit = Similarity::new(1.0 / side as f64, 0.0, [0.0; 2]);
    let thumbnail = |(i, f): (usize, &&Found)| {
        let raster = pyramid.picture(&unit.then(&f.frame), side)?;
        let data = Raster::batch(&[raster], &ctx.device)?;
        Ok(Image { captions: vec![(i + 1).to_string()], ..Image::new(data, path) })
    };
    let mut notes = Vec::new();
    if sure.is_empty() {
        let guess = found.first().map_or(0.0, |f| f.confidence);
        notes.push(format!("no face found (best guess: confidence {guess:.2})"));
    }
    Ok(Value::Table(Arc::new(Table {
        columns: ["face", "side", "x", "y", "turn", "confidence"].map(str::to_owned).to_vec(),
        rows: sure.iter().enumerate().map(|(i, f)| row(i + 1, f)).collect(),
        notes,
        definitions: vec![
            "side: of the frame around the face; x, y: its middle; in pixels of the photograph"
                .to_owned(),
            "turn: degrees, clockwise; confidence: mean probability of a face, 0 to 1".to_owned(),
        ],
        pictures: sure.iter().enumerate().map(thumbnail).collect::<Result<_>>()?,
        ..Table::default()
    })))
}

fn row(number: usize, f: &Found) -> Vec<Cell> {
    let [x, y] = f.middle();
    vec![
        Cell::Number(number as f64, 0),
        Cell::Number(f.frame.scale(), 0),
        Cell::Number(x, 0),
        Cell::Number(y, 0),
        Cell::Number(f.frame.degrees(), 1),
        Cell::Number(f.confidence, 2),
    ]
}
