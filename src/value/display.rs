//! Display of values: the picture first, then its numbers.

use super::{Cell, Image, List, Loaded, Table, Value, directions, text};
use crate::control::{self, Control};
use crate::direction::Forms;
use crate::error::{Error, Kind, Result};
use crate::generator::{self, spaces};
use crate::image::Raster;
use crate::invert::{Inversion, Mask};
use crate::lang::types::Type;
use crate::latent::{Code, Direction};
use crate::limits::LIMITS;
use crate::render::{Display, Picture};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::Tensor;

/// Amplification of an error picture.
const ERROR_GAIN: f64 = 4.0;
/// Values of a band that an error picture is computed in.
const BAND: usize = 1 << 20;

/// The pictures of codes, with the noise that was found with them, or else the stored one; a
/// bounded number at a time.
///
/// # Errors
/// When the code does not fit the generator; `Limit` when the pictures would need more than
/// [`LIMITS`]`.tensor_bytes`; `Interrupted` when it is stopped before all pictures are made.
pub fn render(code: &Code, model: &Loaded, control: &Control) -> Result<Image> {
    let each = 4 * (model.facts.channels * model.facts.pixels()) as u64;
    if each.saturating_mul(code.count() as u64) > LIMITS.tensor_bytes {
        let (n, size) = (code.count(), model.facts.size());
        return Err(Error::new(
            Kind::Limit,
            format!("{n} pictures of {size} are too many at a time"),
        )
        .hint("choose some of the codes"));
    }
    let input = spaces::input_of(code);
    let data = generator::pictures(&**model.generator()?, code, &input, (control, "render"))?;
    Ok(Image {
        data,
        captions: Vec::new(),
        origin: code.origin.clone(),
        notes: Vec::new(),
        model: Some(model.id()),
    })
}

/// The pictures of several codes, one image each; codes beside each other that can are rendered in
/// one batch.
///
/// # Errors
/// When a code's picture cannot be made.
pub fn together(codes: &[Code], picture: &dyn Fn(&Code) -> Result<Image>) -> Result<Vec<Image>> {
    let mut all = Vec::with_capacity(codes.len());
    let mut rest = codes;
    while !rest.is_empty() {
        control::check()?;
        let run = 1 + rest.windows(2).take_while(|pair| pair[0].fits_beside(&pair[1])).count();
        let (now, later) = rest.split_at(run);
        rest = later;
        let image = match now {
            [one] => picture(one)?,
            several => picture(&Code::join(several)?)?,
        };
        let mut from = 0;
        for code in now {
            let data = image.data.narrow(0, from, code.count())?;
            from += code.count();
            all.push(Image { data, origin: code.origin.clone(), ..image.clone() });
        }
    }
    Ok(all)
}

/// `|a - b|`, amplified, as a picture that is black where both agree. Holds one copy of the
/// pictures beside the result.
///
/// # Shapes
/// `[N, C, H, W]` twice → the same
pub fn error_picture(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let rows = BAND.div_ceil(a.dim(1)?.max(1) * a.dim(3)?.max(1));
    let band = |y: usize, n: usize| -> Result<Tensor> {
        control::check()?;
        let [a, b] = [a, b].map(|t| t.narrow(2, y, n).and_then(|t| t.clamp(-1f32, 1f32)));
        Ok((a? - b?)?.abs()?.affine(ERROR_GAIN, -1.0)?.clamp(-1f32, 1f32)?)
    };
    let h = a.dim(2)?;
    let bands = (0..h).step_by(rows).map(|y| band(y, rows.min(h - y)));
    match &bands.collect::<Result<Vec<_>>>()?[..] {
        [one] => Ok(one.clone()),
        several => Ok(Tensor::cat(several, 2)?),
    }
}

/// Display of a value; `picture` renders a code.
///
/// # Errors
/// When a code's picture cannot be made.
pub fn display(value: &Value, picture: &dyn Fn(&Code) -> Result<Image>) -> Result<Display> {
    Ok(match value {
        Value::Image(i) => show_image(i, vec![describe(value)])?,
        Value::Latent(l) | Value::Path(l) => show_image(&picture(l)?, vec![describe(value)])?,
        Value::Inversion(i) => show_inversion(i)?,
        Value::Mask(m) => show_image(&mask_picture(m)?, vec![describe(value)])?,
        Value::Table(t) => show_table(t)?,
        Value::Direction(d) => Display { pictures: Vec::new(), lines: direction_lines(d) },
        Value::List(items) => show_list(items, picture)?,
        other => Display { pictures: Vec::new(), lines: vec![describe(other)] },
    })
}

/// Several values side by side, as `show` does.
///
/// # Errors
/// As [`display`].
pub fn side_by_side(values: &[Value], picture: &dyn Fn(&Code) -> Result<Image>) -> Result<Display> {
    let code = |v: &Value| match v {
        Value::Latent(l) | Value::Path(l) => Some(l.clone()),
        Value::Inversion(i) => Some(i.code.clone()),
        _ => None,
    };
    let codes: Vec<Code> = values.iter().filter_map(code).collect();
    let mut rendered = together(&codes, picture)?.into_iter();
    let mut all = Display { pictures: Vec::new(), lines: Vec::new() };
    for v in values {
        let image = match v {
            Value::Image(i) => Some(i.clone()),
            Value::Latent(_) | Value::Path(_) | Value::Inversion(_) => rendered.next(),
            _ => None,
        };
        match image {
            Some(i) => add(&mut all, &i)?,
            None => {
                let one = display(v, picture)?;
                all.pictures.extend(one.pictures);
                all.lines.extend(one.lines);
            }
        }
    }
    Ok(all)
}

fn show_image(image: &Image, lines: Vec<String>) -> Result<Display> {
    let mut all = Display { pictures: Vec::new(), lines };
    add(&mut all, image)?;
    Ok(all)
}

/// Adds an image's pictures to what is shown.
fn add(all: &mut Display, image: &Image) -> Result<()> {
    control::check()?;
    let held: usize = all.pictures.iter().map(|p| p.raster.data.len()).sum();
    room(held as u64 + image.data.elem_count() as u64)?;
    let rasters = Raster::from_tensor(&image.data)?.into_iter().enumerate();
    all.pictures.extend(rasters.map(|(i, raster)| Picture {
        raster,
        caption: image.captions.get(i).cloned().unwrap_or_default(),
    }));
    Ok(())
}

/// Refuses pictures of more bytes than one result may hold.
///
/// # Errors
/// `Limit` beyond [`LIMITS`]`.shown_bytes`.
pub fn room(bytes: u64) -> Result<()> {
    if bytes <= LIMITS.shown_bytes {
        return Ok(());
    }
    let mb = |b: u64| b / 1_000_000;
    let text = format!(
        "these pictures have {} MB together, one result holds at most {} MB",
        mb(bytes),
        mb(LIMITS.shown_bytes)
    );
    Err(Error::new(Kind::Limit, text)
        .hint("choose some of them, or save each: save(x, \"{i}.png\")"))
}

fn show_list(items: &List, picture: &dyn Fn(&Code) -> Result<Image>) -> Result<Display> {
    let visual = |v: &Value| {
        matches!(v, Value::Image(_) | Value::Latent(_) | Value::Inversion(_) | Value::Mask(_))
    };
    if !items.is_empty() && items.iter().all(visual) {
        return side_by_side(items, picture);
    }
    Ok(Display { pictures: Vec::new(), lines: vec![text::shown(&Value::List(items.clone()))] })
}

fn show_inversion(i: &Inversion) -> Result<Display> {
    let mut all = Vec::new();
    room(3 * i.target.elem_count() as u64)?;
    for n in 0..i.code.count() {
        control::check()?;
        let (target, found) = (i.target.narrow(0, n, 1)?, i.reconstruction.narrow(0, n, 1)?);
        let error = error_picture(&target, &found)?;
        for (data, caption) in [(target, "target"), (found, "inverted"), (error, "error ×4")] {
            let raster = Raster::from_tensor(&data)?.remove(0);
            all.push(Picture { raster, caption: caption.into() });
        }
    }
    Ok(Display { pictures: all, lines: summary(i) })
}

fn show_table(t: &Table) -> Result<Display> {
    let mut all = Display { pictures: Vec::new(), lines: layout(t) };
    all.lines.extend(t.notes.iter().cloned());
    for i in &t.pictures {
        add(&mut all, i)?;
    }
    Ok(all)
}

/// The rows in aligned columns: texts to the left, numbers to the right.
pub(super) fn layout(t: &Table) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let text = |c: &Cell| match c {
        Cell::Text(s) => Safe(s).to_string(),
        Cell::Number(v, digits) => format!("{v:.digits$}"),
    };
    let rows: Vec<Vec<String>> = t.rows.iter().map(|r| r.iter().map(text).collect()).collect();
    let width = |k: usize| {
        rows.iter().filter_map(|r| r.get(k)).chain(t.columns.get(k)).map(|s| s.width()).max()
    };
    let widths: Vec<usize> = (0..t.columns.len()).map(|k| width(k).unwrap_or(0)).collect();
    let numeric = |k: usize| t.rows.iter().any(|r| matches!(r.get(k), Some(Cell::Number(..))));
    let line = |cells: &[String]| {
        let pad = |(k, s): (usize, &String)| {
            let blank = " ".repeat(widths.get(k).copied().unwrap_or(0).saturating_sub(s.width()));
            if numeric(k) { blank + s } else { s.clone() + &blank }
        };
        cells.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(line(&t.columns)).chain(rows.iter().map(|r| line(r))).collect()
}

/// One line about a value.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Image(i) => describe_image(i),
        Value::Latent(l) => describe_code("Latent", l),
        Value::Path(l) => format!("Path of {} frames, {}", l.count(), describe_code("Latent", l)),
        Value::Direction(d) => describe_forms(d),
        Value::Model(m) => describe_model(m),
        Value::Inversion(i) => summary(i).join(" · "),
        Value::Mask(m) => describe_mask(m),
        other => text::shown(other),
    }
}

fn describe_image(i: &Image) -> String {
    let [n, c, h, w] = i.dims();
    let mode = match c {
        1 => "grey",
        2 => "grey with alpha",
        3 => "rgb",
        _ => "rgba",
    };
    let many = if n == 1 { String::new() } else { format!("{n} × ") };
    let notes: String = i.notes.iter().map(|n| format!(", {}", Safe(n))).collect();
    format!("Image {many}{w}×{h} {mode} · {}{notes}", Safe(&i.origin))
}

/// A mask as a grey picture: white counts, black does not.
///
/// # Errors
/// When its weights cannot be read.
pub fn mask_picture(mask: &Mask) -> Result<Image> {
    Ok(Image {
        data: mask.at(mask.size())?.affine(2.0, -1.0)?,
        captions: Vec::new(),
        origin: mask.origin.clone(),
        notes: Vec::new(),
        model: None,
    })
}

fn describe_mask(m: &Mask) -> String {
    let (height, width) = m.size();
    let share = m.share((height, width)).map_or(String::new(), |s| format!(", {:.1} %", 100.0 * s));
    format!("Mask {width}×{height}{share} · {}", Safe(&m.origin))
}

fn describe_code(kind: &str, l: &Code) -> String {
    let many = if l.count() == 1 { String::new() } else { format!("{} × ", l.count()) };
    let size =
        if l.layers() > 1 { format!("{}×{}", l.layers(), l.dim()) } else { l.dim().to_string() };
    let model =
        l.model.as_ref().map_or_else(|| "an unnamed generator".to_owned(), |m| m.name.clone());
    let noise = if l.noise().is_empty() { "" } else { ", with its noise maps" };
    format!("{kind}[{}] {many}{size} of {}{noise} · {}", l.space, Safe(&model), Safe(&l.origin))
}

/// A direction, and what was measured about it, form by form where it has several.
fn direction_lines(all: &Forms) -> Vec<String> {
    let form = |d: &Direction| {
        let rows = d.about.as_deref().map(directions::about).unwrap_or_default();
        let told = rows.into_iter().map(|(what, value)| format!("{what}: {}", Safe(&value)));
        std::iter::once(describe_direction(d)).chain(told).collect::<Vec<_>>()
    };
    if !all.is_open() {
        return form(all.first());
    }
    let measured = all.iter().map(|(_, d)| d).filter(|d| d.about.is_some());
    std::iter::once(describe_forms(all)).chain(measured.flat_map(form)).collect()
}

/// One line about a direction.
fn describe_forms(all: &Forms) -> String {
    let d = all.first();
    if !all.is_open() {
        return describe_direction(d);
    }
    let sets: Vec<&str> = all.iter().map(|(set, _)| set.name()).collect();
    let layers =
        d.layers.as_ref().map(|r| format!(" @ {}..{}", r.start, r.end)).unwrap_or_default();
    let model = d.model.as_ref().map_or("an unnamed generator", |m| m.name.as_str());
    format!(
        "Direction[{}] {}{layers} of {} · taken in the space of the code that it moves",
        sets.join(", "),
        Safe(&d.name),
        Safe(model)
    )
}

fn describe_direction(d: &Direction) -> String {
    let norm = d.data.iter().map(|v| v * v).sum::<f64>().sqrt();
    let layers =
        d.layers.as_ref().map(|r| format!(" @ {}..{}", r.start, r.end)).unwrap_or_default();
    let model =
        d.model.as_ref().map_or_else(|| "an unnamed generator".to_owned(), |m| m.name.clone());
    format!(
        "Direction[{}] {}{layers} of {}, length {norm:.4} · {}",
        d.space,
        Safe(&d.name),
        Safe(&model),
        Safe(&d.origin)
    )
}

fn describe_model(m: &Loaded) -> String {
    let f = &m.facts;
    let spaces = f.spaces.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ");
    let styles = if f.s_dim() == 0 { String::new() } else { format!(" · s {}", f.s_dim()) };
    let w = match f.num_ws {
        0 => String::new(),
        rows => format!(" · w {rows}×{}", f.w_dim),
    };
    let classes = match f.c_dim {
        0 => String::new(),
        c => format!(" · {c} classes"),
    };
    format!(
        "{} · {} {}×{} · z {}{w}{styles}{classes} · spaces {spaces} · directions {}",
        Safe(&f.name),
        f.family,
        f.size(),
        f.channels,
        f.z_dim,
        Safe(&f.direction_names())
    )
}

/// A value as one JSON object, for `--json`.
pub fn json(value: &Value) -> serde_json::Value {
    use serde_json::json;
    let code = |l: &Code| json!({"space": l.space.name(), "shape": l.point().dims(), "model": l.model, "origin": l.origin});
    match value {
        Value::Nothing => serde_json::Value::Null,
        Value::Number(v) => json!({"type": "Number", "value": v}),
        Value::Text(t) => json!({"type": "Text", "value": t}),
        Value::Bool(b) => json!({"type": "Bool", "value": b}),
        Value::List(items) => {
            json!({"type": "List", "items": items.iter().map(json).collect::<Vec<_>>()})
        }
        Value::Image(i) => {
            json!({"type": "Image", "shape": i.dims(), "origin": i.origin, "notes": i.notes, "captions": i.captions})
        }
        Value::Model(m) => json!({"type": "Model", "facts": m.spec(), "sha256": m.sha256().ok(),
            "directions": m.facts.directions.keys().collect::<Vec<_>>(), "direction_spaces": direction_spaces(m)}),
        Value::Latent(l) => merge(json!({"type": "Latent"}), code(l)),
        Value::Path(l) => merge(json!({"type": "Path"}), code(l)),
        Value::Direction(d) => direction_json(d),
        Value::Inversion(i) => merge(json!({"type": "Inversion"}), inversion_json(i)),
        Value::Mask(m) => {
            let (height, width) = m.size();
            json!({"type": "Mask", "shape": [height, width],
                "share": m.share((height, width)).ok(), "origin": m.origin})
        }
        Value::Table(t) => {
            let cell = |c: &Cell| match c {
                Cell::Text(s) => json!(s),
                Cell::Number(v, _) => json!(v),
            };
            let row = |r: &Vec<Cell>| {
                let pairs = t.columns.iter().cloned().zip(r.iter().map(cell));
                serde_json::Value::Object(pairs.collect())
            };
            json!({"type": "Table", "rows": t.rows.iter().map(row).collect::<Vec<_>>(), "notes": t.notes})
        }
        other => json!({"type": other.ty().to_string(), "value": text::shown(other)}),
    }
}

/// A direction of one form directly; of several, the forms by the space of their set.
fn direction_json(all: &Forms) -> serde_json::Value {
    use serde_json::json;
    let form = |d: &Direction| {
        json!({"type": "Direction", "space": d.space.name(), "rows": d.rows, "dim": d.dim,
            "name": d.name, "model": d.model, "origin": d.origin, "about": d.about.as_deref()})
    };
    let first = all.first();
    if !all.is_open() {
        return form(first);
    }
    let forms: serde_json::Map<String, serde_json::Value> =
        all.iter().map(|(set, d)| (set.name().to_owned(), form(d))).collect();
    json!({"type": "Direction", "name": first.name, "model": first.model, "forms": forms})
}

/// The spaces of every direction that a generator brings: `{"smile": ["W", "S", "Z"]}`.
pub fn direction_spaces(m: &Loaded) -> serde_json::Value {
    let names = |all: &Vec<Space>| all.iter().map(|s| s.name()).collect::<Vec<_>>();
    m.facts
        .directions
        .iter()
        .map(|(name, all)| (name.clone(), serde_json::json!(names(all))))
        .collect()
}

fn merge(mut a: serde_json::Value, b: serde_json::Value) -> serde_json::Value {
    if let (Some(a), serde_json::Value::Object(b)) = (a.as_object_mut(), b) {
        a.extend(b);
    }
    a
}

/// The static type as shown beside a name, in completion and help.
pub fn type_name(value: &Value) -> String {
    match value.ty() {
        Type::Unknown => "word".to_owned(),
        t => t.to_string(),
    }
}

/// The numbers of an inversion, how it was found, and what to beware of.
pub fn summary(i: &Inversion) -> Vec<String> {
    let number = |n: &crate::invert::Number| {
        let name = if n.name.len() <= 4 { n.name.to_uppercase() } else { n.name.clone() };
        let digits = if n.unit == "dB" { 1 } else { 3 };
        format!("{name} {:.digits$}{}{}", n.value, if n.unit.is_empty() { "" } else { " " }, n.unit)
    };
    let numbers = i.numbers.iter().map(number).collect::<Vec<_>>().join(" · ");
    let size = if i.code.layers() > 1 {
        format!("{}×{}", i.code.layers(), i.code.dim())
    } else {
        i.code.dim().to_string()
    };
    let stopped = i.stopped_at().map(|s| format!(", stopped at {s}")).unwrap_or_default();
    let how = format!(
        "{}, {} ({size}), {}{stopped}, {:.1} s · seed {}",
        i.config.method.name,
        i.config.space,
        i.config.plan(),
        i.seconds,
        i.seed
    );
    let offsets = i.diagnosis.offsets.as_deref().map(|o| {
        let mean = o.iter().sum::<f64>() / o.len().max(1) as f64;
        format!("offsets from W: {mean:.2} σ (edits stay safe below 0.5)")
    });
    let warnings = i.diagnosis.warnings.iter().map(|w| format!("note: {w}"));
    [numbers, how].into_iter().chain(offsets).chain(warnings).collect()
}

fn inversion_json(i: &Inversion) -> serde_json::Value {
    let number = |n: &crate::invert::Number| serde_json::json!({"name": n.name, "value": n.value, "each": n.each, "unit": n.unit, "definition": n.definition});
    serde_json::json!({
        "space": i.code.space.name(),
        "shape": i.code.point().dims(),
        "model": i.code.model,
        "method": i.config.method.name,
        "steps": i.steps,
        "passes": i.config.passes_taken(),
        "seed": i.seed,
        "seconds": i.seconds,
        "stopped_at": i.stopped_at(),
        "loss": i.loss,
        "numbers": i.numbers.iter().map(number).collect::<Vec<_>>(),
        "offsets": i.diagnosis.offsets,
        "mean_distance": i.diagnosis.mean_distance,
        "warnings": i.diagnosis.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "trace": i.trace.iter().map(|t| serde_json::json!({"names": t.names, "steps": t.steps, "terms": t.terms})).collect::<Vec<_>>(),
        "origin": i.code.origin,
    })
}
