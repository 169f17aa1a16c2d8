//! `info`, `convert` and `models`.

use super::{Common, out, prepare};
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::generator::registry::{self, FAMILIES};
use crate::latent::{About, Direction};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, write_atomic};
use crate::value::Loaded;
use crate::value::models::NAMES;
use crate::weights;
use serde_json::json;
use std::path::Path;

/// `gannet info`
pub fn info(common: &Common, name: &str) -> Result<u8> {
    let models = prepare(common)?;
    let path = Path::new(name);
    if NAMES.contains(&name) && !path.exists() {
        let loaded = models.load(name)?;
        let mut facts = described(loaded.spec());
        facts["directions"] = json!(loaded.facts.directions.keys().collect::<Vec<_>>());
        facts["direction_facts"] = direction_facts(&loaded)?;
        facts["encoder"] = json!(loaded.facts.encoder);
        facts["dtype"] = json!(loaded.dtype);
        facts["sha256"] = json!(loaded.sha256()?);
        facts["provenance"] = loaded.provenance.clone();
        return report(common, &facts);
    }
    if !path.exists() {
        return Err(Error::new(Kind::Usage, format!("there is no file {}", Safe(name)))
            .hint("give the path of a checkpoint, or `faces`"));
    }
    let found = weights::open(path, &LIMITS)?;
    let listing = found.weights.list();
    let family = registry::name(listing);
    let run = family.is_some_and(|name| FAMILIES.iter().any(|f| f.name == name));
    let mut facts = json!({
        "file": found.file,
        "format": found.format,
        "family": family,
        "synthesised": run,
        "tensors": listing.tensors.len(),
        "values": listing.values(),
        "dtype": listing.dtypes(),
        "bytes": found.bytes,
        "sha256": found.sha256()?,
    });
    let mut config = listing.config.clone();
    if run {
        let known = registry::recognise(found.clone())?;
        let spec = known.describe()?;
        facts["layout"] = json!(known.layout.name);
        config = known.config.settings;
        if let (Some(facts), Some(more)) = (facts.as_object_mut(), described(&spec).as_object()) {
            // The fingerprint takes all numbers, which are not read here.
            let known = more.iter().filter(|(key, _)| *key != "fingerprint");
            facts.extend(known.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    if !config.is_null() {
        facts["config"] = config;
    }
    if !found.provenance.is_null() {
        facts["provenance"] = found.provenance.clone();
    }
    if !found.notes.is_empty() {
        facts["notes"] = json!(found.notes);
    }
    report(common, &facts)
}

/// Description of a generator for `--json`.
fn described(spec: &Spec) -> serde_json::Value {
    let mut facts = json!(spec);
    facts["resolution"] = json!(spec.width.max(spec.height));
    facts["spaces"] = json!(spec.spaces.iter().map(|s| s.name()).collect::<Vec<_>>());
    facts["s_dim"] = json!(spec.s_dim());
    facts
}

/// `W/smile: 0.2 (0 to 1) a step, R² 0.83`.
fn direction_line(name: &str, about: &serde_json::Value) -> String {
    let Ok(a) = serde_json::from_value::<About>(about.clone()) else { return name.to_owned() };
    let r2 = a.accuracy.map(|v| format!(", R² {v:.2}")).unwrap_or_default();
    let moves = a
        .variance
        .is_some()
        .then(|| a.leakage.iter().max_by(|x, y| x.1.abs().total_cmp(&y.1.abs())));
    let moves = moves.flatten().map(|(n, v)| format!(", moves {n} {v:+.1} σ")).unwrap_or_default();
    format!("{name}: {} ({}) a step{r2}{moves}", a.per_step, a.unit)
}

/// Measurements of each direction that comes with a generator: `{"W/smile": {…}}`.
fn direction_facts(m: &Loaded) -> Result<serde_json::Value> {
    let told = |d: &Direction| (format!("{}/{}", d.space, d.name), json!(d.about.as_deref()));
    Ok(m.directions()?.iter().map(told).collect())
}

/// The facts as one JSON object, or one a line.
fn report(common: &Common, facts: &serde_json::Value) -> Result<u8> {
    if common.json {
        out(format!("{facts}\n").as_bytes())?;
        return Ok(0);
    }
    let mut text = String::new();
    for (key, value) in facts.as_object().into_iter().flatten() {
        let value = match value {
            serde_json::Value::String(s) => s.clone(),
            serde_json::Value::Array(a) if a.iter().all(|v| v.is_string()) => {
                a.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(" ")
            }
            // `s_dim` says enough for a reader; programs ask for JSON.
            serde_json::Value::Array(_) if key == "styles" => continue,
            // One line each says more than an object of objects.
            serde_json::Value::Object(of) if key == "direction_facts" => {
                for (name, about) in of {
                    text.push_str(&format!(
                        "{:<12} {}\n",
                        "direction",
                        Safe(&direction_line(name, about))
                    ));
                }
                continue;
            }
            other => other.to_string(),
        };
        text.push_str(&format!("{key:<12} {}\n", Safe(&value.replace('\n', " "))));
    }
    out(text.as_bytes())?;
    Ok(0)
}

/// `gannet convert`
pub fn convert(from: &Path, to: &Path) -> Result<u8> {
    if to.extension().is_none_or(|e| e != "safetensors") {
        return Err(Error::new(
            Kind::Usage,
            format!("{} is not a .safetensors file", Safe(&to.to_string_lossy())),
        )
        .hint("gannet convert IN OUT.safetensors"));
    }
    let checkpoint = weights::open(from, &LIMITS)?;
    let bytes = crate::generator::convert(checkpoint.clone())?;
    // Built before it is written: a file that no generator can be made of is not worth keeping.
    crate::generator::load(checkpoint, &candle_core::Device::Cpu)?;
    write_atomic(&Disk, to, &bytes)
        .map_err(|e| Error::io(format!("cannot write {}", Safe(&to.to_string_lossy())), &e))?;
    Ok(0)
}

/// `gannet models`: the available generators, then the families that can be read from files.
pub fn models(common: &Common) -> Result<u8> {
    let models = prepare(common)?;
    for name in NAMES {
        let m = models.load(name)?;
        let line = if common.json {
            json!({"name": name, "family": m.facts.family, "resolution": m.facts.side(), "s_dim": m.facts.s_dim(),
                "directions": m.facts.directions.keys().collect::<Vec<_>>(), "direction_facts": direction_facts(&m)?})
            .to_string()
        } else {
            crate::value::text::shown(&crate::value::Value::Model(m))
        };
        out(format!("{line}\n").as_bytes())?;
    }
    for family in FAMILIES {
        let layouts: Vec<&str> = family.layouts.iter().map(|l| l.name).collect();
        let line = if common.json {
            json!({"reads": family.name, "about": family.about, "layouts": layouts}).to_string()
        } else {
            format!("reads {}: {}; laid out as {}", family.name, family.about, layouts.join(", "))
        };
        out(format!("{line}\n").as_bytes())?;
    }
    Ok(0)
}
