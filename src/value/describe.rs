//! Text descriptions: one line for each value, and the measurements of a direction or an inversion.

use super::{Image, Loaded, Value, directions};
use crate::direction::Forms;
use crate::generator::pose;
use crate::invert::{Inversion, Mask, SAFE_OFFSET};
use crate::lang::types::Type;
use crate::latent::{Code, Direction, Part};
use crate::render::text::cut;
use crate::render::{Number, Numbers};
use crate::safe::Safe;

/// Columns of an origin in a short description.
const ORIGIN: usize = 40;
/// Columns of the line under a picture.
const LINE: usize = 60;

/// How much of an origin a description has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Nothing,
    Short,
    Whole,
}

/// Describes in one line a value that has no literal form; `None` for a value that has one. A long
/// origin is cut; [`whole`] has all of it.
pub fn about(value: &Value) -> Option<String> {
    described(value, Origin::Short)
}

/// The line under a picture: what the value is and its size, in at most [`LINE`] columns unless its
/// generator is assumed, which must be seen. [`whole`] has all of it.
pub(super) fn line(value: &Value) -> Option<String> {
    let line = described(value, Origin::Nothing)?;
    if line.contains(super::foreign::UNNAMED) {
        return Some(line);
    }
    // What notes list below it stays whole.
    Some(match line.split_once('\n') {
        Some((first, below)) => format!("{}\n{below}", cut(first, LINE)),
        None => cut(&line, LINE),
    })
}

/// As [`about`], with the whole origin.
pub fn whole(value: &Value) -> Option<String> {
    described(value, Origin::Whole)
}

fn described(value: &Value, much: Origin) -> Option<String> {
    // One code and no truncation go without saying.
    let plain = |text: &str| text.replace(", n: 1,", ",").replace(", psi: 1)", ")");
    // With what separates it from the text before.
    let origin = |text: &str| {
        let text = Safe(text).to_string();
        // That the generator is assumed must be seen.
        let whole = much == Origin::Whole || text.contains(super::foreign::UNNAMED);
        match much {
            _ if whole => format!(" · {text}"),
            Origin::Nothing => String::new(),
            _ => format!(" · {}", cut(&plain(&text), ORIGIN)),
        }
    };
    Some(match value {
        Value::Image(i) => describe_image(i, &origin(&i.origin)),
        Value::Latent(l) => describe_code("Latent", l, &origin(&l.origin)),
        Value::Path(l) => {
            let codes = describe_code("Latent", l, &origin(&l.origin));
            format!("Path of {} frames, {codes}", l.count())
        }
        Value::Direction(d) => describe_forms(d),
        Value::Model(m) => describe_model(m),
        Value::Inversion(i) => summary(i).join(" · "),
        Value::Mask(m) => describe_mask(m, &origin(&m.origin)),
        _ => return None,
    })
}

/// The static type as shown beside a name, in completion and help.
pub fn type_name(value: &Value) -> String {
    match value.ty() {
        Type::Unknown => "word".to_owned(),
        t => t.to_string(),
    }
}

fn describe_image(i: &Image, origin: &str) -> String {
    let [n, c, h, w] = i.dims();
    let mode = match c {
        1 => "grey",
        2 => "grey with alpha",
        3 => "rgb",
        _ => "rgba",
    };
    let many = if n == 1 { String::new() } else { format!("{n} × ") };
    // A note of several lines, such as the list of faces, has its further lines at the end.
    let (mut notes, mut below) = (String::new(), String::new());
    for note in &i.notes {
        let mut lines = note.lines();
        notes.extend([", ", &Safe(lines.next().unwrap_or_default()).to_string()]);
        lines.for_each(|line| below.extend(["\n", &Safe(line).to_string()]));
    }
    format!("Image {many}{w}×{h} {mode}{origin}{notes}{below}")
}

fn describe_mask(m: &Mask, origin: &str) -> String {
    let (height, width) = m.size();
    let share = m.share((height, width)).map_or(String::new(), |s| format!(", {:.1} %", 100.0 * s));
    format!("Mask {width}×{height}{share}{origin}")
}

fn describe_code(kind: &str, l: &Code, origin: &str) -> String {
    let many = if l.count() == 1 { String::new() } else { format!("{} × ", l.count()) };
    let size =
        if l.layers() > 1 { format!("{}×{}", l.layers(), l.dim()) } else { l.dim().to_string() };
    let model =
        l.model.as_ref().map_or_else(|| "an unnamed generator".to_owned(), |m| m.name.clone());
    format!("{kind}[{}] {many}{size} of {}{}{origin}", l.space, Safe(&model), found_beside(l))
}

/// What was found beside codes, in words: noise maps, feature maps, tuned weights.
fn found_beside(l: &Code) -> String {
    let parts = &l.parts;
    let mut words: Vec<String> = Vec::new();
    if !l.noise().is_empty() {
        words.push("noise maps".into());
    }
    if let Some(pose) = parts.get(Part::Pose) {
        let own = pose.flatten_all().and_then(|all| all.to_vec1::<f32>()).unwrap_or_default();
        words.push(match pose.dims() {
            [1, _] => pose::told(&own),
            _ => "poses".into(),
        });
    }
    for (layer, map) in parts.residuals() {
        let side = map.dims().last().copied().unwrap_or(0);
        words.push(format!("a {side}² feature map at layer {layer}"));
    }
    let tunes = |part: Part| {
        let added = matches!(part, Part::Delta(_) | Part::Left(_));
        added || matches!(part, Part::Gain(_) | Part::GainLeft(_))
    };
    let tuned = parts.iter().filter(|(part, _)| tunes(*part)).count();
    if tuned > 0 {
        words.push(format!("{tuned} tuned weights"));
    }
    if words.is_empty() {
        return String::new();
    }
    let size = crate::words::bytes(parts.found_bytes() as u64);
    format!(", with {} ({size})", words.join(", "))
}

/// A direction in short: what it is, and what an edit with it does.
pub(super) fn direction_lines(all: &Forms) -> Vec<String> {
    let told = all.iter().find_map(|(_, d)| d.about.as_deref()).map(directions::brief);
    std::iter::once(describe_forms(all)).chain(told.filter(|t| !t.is_empty())).collect()
}

/// Every form of a direction, with all its measurements.
pub(super) fn direction_details(all: &Forms) -> Vec<String> {
    let form = |d: &Direction| {
        let rows = d.about.as_deref().map(directions::about).unwrap_or_default();
        let told = rows.into_iter().map(|(what, value)| format!("{what}: {}", Safe(&value)));
        std::iter::once(describe_direction(d)).chain(told).collect::<Vec<_>>()
    };
    if !all.is_open() {
        return form(all.first());
    }
    all.iter().flat_map(|(_, d)| form(d)).collect()
}

/// One line about a direction in all its forms.
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

/// The measurements of an inversion.
pub(super) fn numbers(i: &Inversion) -> Numbers {
    let number = |n: &crate::invert::Number| Number {
        name: n.name.clone(),
        values: vec![n.value],
        unit: n.unit.clone(),
        definition: n.definition.clone(),
    };
    Numbers { all: i.numbers.iter().map(number).collect(), defined: false }
}

/// Method, settings and warnings of an inversion.
pub(super) fn found(i: &Inversion) -> Vec<String> {
    let size = if i.code.layers() > 1 {
        format!("{}×{}", i.code.layers(), i.code.dim())
    } else {
        i.code.dim().to_string()
    };
    let stopped = i.stopped_at().map(|s| format!(", stopped at {s}")).unwrap_or_default();
    // A method may search before its gradient steps, or tune weights after them.
    let companion = usize::from(i.config.companion().is_some());
    let planned = [i.config.passes_taken(), i.config.steps_taken(), companion];
    // A journal may hold any numbers.
    let planned = planned.into_iter().fold(0, usize::saturating_add);
    let evaluations = match i.steps.saturating_sub(planned) {
        0 => String::new(),
        1 => " and 1 other evaluation".to_owned(),
        others => format!(" and {others} other evaluations"),
    };
    let how = format!(
        "{}, {} ({size}), {}{evaluations}{stopped}, {} · seed {}",
        i.config.method.name,
        i.config.space,
        i.config.plan(),
        i.took(),
        i.seed
    );
    // The warning about the offset of a single picture says the same and more.
    let offsets =
        i.diagnosis.offsets.as_deref().filter(|o| !matches!(o, [far] if *far > SAFE_OFFSET));
    let offsets = offsets.map(|o| {
        let mean = o.iter().sum::<f64>() / o.len().max(1) as f64;
        format!("offsets from W: {mean:.2} σ (edits stay safe below 0.5)")
    });
    let warnings = i.diagnosis.warnings.iter().map(|w| format!("note: {w}"));
    std::iter::once(how).chain(offsets).chain(warnings).collect()
}

/// The measurements of an inversion, then its method and warnings.
fn summary(i: &Inversion) -> Vec<String> {
    let mut lines = crate::render::Block::Numbers(numbers(i)).lines();
    lines.extend(found(i));
    lines
}
