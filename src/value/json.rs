//! Values as JSON, for `--json`.

use super::{Loaded, Value, text};
use crate::direction::Forms;
use crate::image::Photograph;
use crate::invert::Inversion;
use crate::latent::{Code, Direction};
use crate::render;
use crate::space::Space;
use serde_json::{Value as Json, json};

/// A value as one JSON object, for `--json`.
pub fn json(value: &Value) -> Json {
    let code = |l: &Code| json!({"space": l.space.name(), "shape": l.point().dims(), "model": l.model, "origin": l.origin});
    match value {
        Value::Nothing => Json::Null,
        Value::Number(v) => json!({"type": "Number", "value": v}),
        Value::Text(t) => json!({"type": "Text", "value": t}),
        Value::Bool(b) => json!({"type": "Bool", "value": b}),
        Value::List(items) => {
            json!({"type": "List", "items": items.iter().map(json).collect::<Vec<_>>()})
        }
        Value::Image(i) => {
            let photographs: Vec<Json> =
                i.photographs.iter().flatten().map(photograph_json).collect();
            let image = json!({"type": "Image", "shape": i.dims(), "origin": i.origin,
                "notes": i.notes, "captions": i.captions});
            if photographs.is_empty() {
                image
            } else {
                merge(image, json!({"photographs": photographs}))
            }
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
            let found: Vec<Json> = t.found.iter().map(|i| inversion_json(i)).collect();
            let table = json!({"type": "Table", "rows": render::json::rows(&t.block()),
                "notes": t.notes, "definitions": t.definitions});
            if found.is_empty() { table } else { merge(table, json!({"inversions": found})) }
        }
        Value::Plot(p) => render::json::plot(p),
        other => json!({"type": other.ty().to_string(), "value": text::shown(other)}),
    }
}

/// Where a picture was cut out: the corners of its frame, clockwise from its upper left one, and
/// the landmarks of the face, in pixels of the photograph.
fn photograph_json(p: &Photograph) -> Json {
    let [w, h] = p.frame.map(|n| n as f64);
    let corners = [[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]].map(|at| p.place.apply(at));
    json!({"path": p.path, "size": p.size, "corners": corners, "landmarks": p.landmarks})
}

/// A direction with one form as its own object; several forms as one object keyed by space.
fn direction_json(all: &Forms) -> Json {
    let form = |d: &Direction| {
        json!({"type": "Direction", "space": d.space.name(), "rows": d.rows, "dim": d.dim,
            "name": d.name, "model": d.model, "origin": d.origin, "about": d.about.as_deref()})
    };
    let first = all.first();
    if !all.is_open() {
        return form(first);
    }
    let forms: serde_json::Map<String, Json> =
        all.iter().map(|(set, d)| (set.name().to_owned(), form(d))).collect();
    json!({"type": "Direction", "name": first.name, "model": first.model, "forms": forms})
}

/// The spaces of every direction of a generator: `{"smile": ["W", "S", "Z"]}`.
pub fn direction_spaces(m: &Loaded) -> Json {
    let names = |all: &Vec<Space>| all.iter().map(|s| s.name()).collect::<Vec<_>>();
    m.facts.directions.iter().map(|(name, all)| (name.clone(), json!(names(all)))).collect()
}

fn merge(mut a: Json, b: Json) -> Json {
    if let (Some(a), Json::Object(b)) = (a.as_object_mut(), b) {
        a.extend(b);
    }
    a
}

fn inversion_json(i: &Inversion) -> Json {
    let number = |n: &crate::invert::Number| json!({"name": n.name, "value": n.value, "each": n.each, "unit": n.unit, "definition": n.definition});
    json!({
        "space": i.code.space.name(),
        "shape": i.code.point().dims(),
        "model": i.code.model,
        "method": i.config.method.name,
        "steps": i.steps,
        "passes": i.config.passes_taken(),
        "seed": i.seed,
        "seconds": i.seconds,
        "cached": i.cached,
        "stopped_at": i.stopped_at(),
        "loss": i.loss,
        "numbers": i.numbers.iter().map(number).collect::<Vec<_>>(),
        "offsets": i.diagnosis.offsets,
        "mean_distance": i.diagnosis.mean_distance,
        "nscd": i.diagnosis.nscd.as_ref().map(|(each, _)| each),
        "nscd_of_samples": i.diagnosis.nscd.as_ref().map(|(_, typical)| typical),
        "warnings": i.diagnosis.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "trace": i.trace.iter().map(|t| json!({"names": t.names, "steps": t.steps, "terms": t.terms})).collect::<Vec<_>>(),
        "origin": i.code.origin,
    })
}
