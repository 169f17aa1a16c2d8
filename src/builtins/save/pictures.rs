//! Pictures, films and tables as files.

use crate::builtin::{Args, Context, all_images};
use crate::error::{Error, Result};
use crate::generator::{each_batch, spaces};
use crate::image::ffmpeg::Ffmpeg;
use crate::image::{Metadata, Raster, encode};
use crate::latent::{Code, ModelId};
use crate::safe::Safe;
use crate::value::pictures::room;
use crate::value::{Cell, Image, Table, Value};

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

/// The pictures of the value to save.
pub(super) fn images(args: &Args, ctx: &Context<'_>) -> Result<Vec<Image>> {
    all_images(&args.many("value"), ctx)
}

fn rasters(images: &[Image]) -> Result<Vec<Raster>> {
    let mut all = Vec::new();
    let values = |i: &Image| i.data.elem_count() as u64;
    room(images.iter().map(values).sum())?;
    for i in images {
        all.extend(Raster::from_tensor(&i.data)?);
    }
    Ok(all)
}

/// The metadata of every picture.
fn metadata(images: &[Image]) -> impl Iterator<Item = Metadata> {
    let each = |i: &Image| vec![i.metadata.as_deref().cloned().unwrap_or_default(); i.dims()[0]];
    images.iter().flat_map(each)
}

/// Still pictures under their names.
pub(super) fn stills(
    target: &str,
    ending: &str,
    args: &Args,
    ctx: &Context<'_>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let images = images(args, ctx)?;
    let mut all = rasters(&images)?;
    let quality = args.need_count("quality")? as u8;
    let texts =
        images.first().map(|i| provenance(i.model.as_ref(), &i.origin, ctx)).unwrap_or_default();
    let bytes = |r: &Raster, about: &Metadata| match ending {
        "png" => encode::png_with(r, &texts, about),
        "webp" => encode::webp_with(r, about),
        _ => encode::jpeg_with(r, quality, about),
    };
    let mut about: Vec<Metadata> = metadata(&images).collect();
    if target.contains("{i}") {
        return all
            .iter()
            .zip(&about)
            .enumerate()
            .map(|(i, (r, about))| {
                ctx.control.check()?;
                Ok((target.replace("{i}", &i.to_string()), bytes(r, about)?))
            })
            .collect();
    }
    if all.len() != 1 {
        // A strip is one captioned row; anything else the smallest square.
        let row = images.len() == 1 && !images[0].captions.is_empty();
        let square = if row { all.len() } else { (all.len() as f64).sqrt().ceil() as usize };
        let columns = args.count("columns")?.unwrap_or(square.max(1));
        all = vec![encode::grid(&all, columns).map_err(|e| e.at(args.span("value")))?];
        about = vec![Metadata::default()];
    }
    all.first()
        .zip(about.first())
        .map(|(r, about)| Ok(vec![(target.to_owned(), bytes(r, about)?)]))
        .unwrap_or_else(
            || Err(Error::runtime("there is no picture to save").at(args.span("value"))),
        )
}

/// The table to save as comma-separated values.
pub(super) fn csv(args: &Args) -> Result<Vec<u8>> {
    match args.need("value")? {
        Value::Table(table) => Ok(comma_separated(table).into_bytes()),
        _ => Err(Error::runtime("a csv holds a table").at(args.span("value"))),
    }
}

/// RFC 4180: a line of names, then the rows, numbers in full.
fn comma_separated(table: &Table) -> String {
    let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let cell = |c: &Cell| match c {
        Cell::Number(v, _) => v.to_string(),
        Cell::Text(text) => quoted(text),
    };
    let names = table.columns.iter().map(|name| quoted(name)).collect::<Vec<_>>();
    let rows = table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
    std::iter::once(names).chain(rows).map(|line| line.join(",") + "\r\n").collect()
}

/// A film of a path or of several pictures.
pub(super) fn film(value: &Value, ending: &str, args: &Args, ctx: &Context<'_>) -> Result<Vec<u8>> {
    // Before the frames are rendered: without the program they are of no use.
    let program = (ending == "mp4").then(Ffmpeg::ask).transpose()?;
    let frames = match value {
        // A batch at a time: a path of a thousand frames is never in memory at full precision as a
        // whole.
        Value::Path(l) | Value::Latent(l) => frames(l, ctx)?,
        _ => rasters(&images(args, ctx)?)?,
    };
    let fps = args.need_number("fps")?;
    let texts = film_provenance(value, ctx);
    match (program, ending) {
        (Some(ffmpeg), _) => {
            let comment = texts.iter().map(|(key, text)| format!("{key}: {text}"));
            ffmpeg.film(&frames, fps, &comment.collect::<Vec<_>>().join("; "))
        }
        (None, "apng") => encode::apng(&frames, fps, &texts),
        _ => encode::gif(&frames, (1000.0 / fps).round() as u32),
    }
    .map_err(|e| e.at(args.span("value")))
}

fn film_provenance(value: &Value, ctx: &Context<'_>) -> Vec<(String, String)> {
    match value {
        Value::Path(code) | Value::Latent(code) => {
            provenance(code.model.as_ref(), &code.origin, ctx)
        }
        Value::Image(image) => provenance(image.model.as_ref(), &image.origin, ctx),
        _ => provenance(ctx.model.as_ref().map(|m| m.id()).as_ref(), "several pictures", ctx),
    }
}

fn frames(path: &Code, ctx: &Context<'_>) -> Result<Vec<Raster>> {
    let model = ctx.model_of(path)?;
    room((path.count() * model.facts.channels * model.facts.pixels()) as u64)?;
    let mut all = Vec::with_capacity(path.count());
    let input = spaces::input_of(path);
    each_batch(&**model.generator()?, path, &input, (&ctx.control, "render the film"), |batch| {
        all.extend(Raster::from_tensor(&batch)?);
        Ok(())
    })
    .map_err(|e| e.note("no film was written"))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_readable_by_other_programs() {
        let table = Table {
            columns: vec!["name".into(), "a, b".into()],
            rows: vec![
                vec![Cell::Text("say \"x\"".into()), Cell::Number(1.0 / 3.0, 1)],
                vec![Cell::Text("plain".into()), Cell::Number(-2.0, 0)],
            ],
            ..Table::default()
        };
        let wanted = "name,\"a, b\"\r\n\"say \"\"x\"\"\",0.3333333333333333\r\nplain,-2\r\n";
        assert_eq!(comma_separated(&table), wanted);
    }
}
