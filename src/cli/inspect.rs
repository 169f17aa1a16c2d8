//! `info`, `convert` and `models`.

use super::{Common, out, prepare};
use crate::error::{Error, Kind, Result};
use crate::generator::FAMILIES;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, write_atomic};
use crate::value::model;
use crate::weights;
use serde_json::json;
use std::path::Path;

/// `gannet info`
pub fn info(common: &Common, name: &str) -> Result<u8> {
    prepare(common)?;
    let path = Path::new(name);
    if model::NAMES.contains(&name) && !path.exists() {
        let loaded = model::load(name)?;
        let mut facts = json!(loaded.generator.spec());
        facts["spaces"] = json!(loaded.facts.spaces.iter().map(|s| s.name()).collect::<Vec<_>>());
        facts["directions"] = json!(loaded.facts.directions);
        facts["encoder"] = json!(loaded.facts.encoder);
        facts["dtype"] = json!(loaded.dtype);
        facts["sha256"] = json!(loaded.sha256);
        facts["provenance"] = loaded.provenance.clone();
        return report(common, &facts);
    }
    if !path.exists() {
        return Err(Error::new(Kind::Usage, format!("there is no file {}", Safe(name)))
            .hint("give the path of a checkpoint, or `faces`"));
    }
    let found = weights::inspect(path, &LIMITS)?;
    let family = found.family.as_deref();
    let mut facts = json!({
        "file": found.file,
        "format": found.format.name(),
        "family": family,
        "synthesised": family.is_some_and(|f| FAMILIES.contains(&f)),
        "tensors": found.tensors.len(),
        "values": found.values(),
        "dtype": found.dtypes(),
        "bytes": found.bytes,
        "sha256": found.sha256,
    });
    if let Some(spec) = crate::generator::describe(&found)? {
        facts["name"] = json!(spec.name);
        facts["resolution"] = json!(spec.resolution);
        facts["channels"] = json!(spec.channels);
        facts["z_dim"] = json!(spec.z_dim);
        facts["w_dim"] = json!(spec.w_dim);
        facts["c_dim"] = json!(spec.c_dim);
        facts["num_ws"] = json!(spec.num_ws);
        facts["parameters"] = json!(spec.parameters);
        facts["spaces"] = json!(spec.spaces.iter().map(|s| s.name()).collect::<Vec<_>>());
    }
    if !found.config.is_null() {
        facts["config"] = found.config.clone();
    }
    if !found.provenance.is_null() {
        facts["provenance"] = found.provenance.clone();
    }
    if !found.notes.is_empty() {
        facts["notes"] = json!(found.notes);
    }
    report(common, &facts)
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
        return Err(Error::new(Kind::Usage, format!("{} is no .safetensors file", Safe(&to.to_string_lossy())))
            .hint("gannet convert IN OUT.safetensors"));
    }
    let checkpoint = weights::open(from, &LIMITS)?;
    let bytes = weights::convert(&checkpoint)?;
    // Built before it is written: a file that no generator can be made of is not worth keeping.
    crate::generator::load(&checkpoint, &candle_core::Device::Cpu)?;
    write_atomic(&Disk, to, &bytes)
        .map_err(|e| Error::io(format!("cannot write {}", Safe(&to.to_string_lossy())), &e))?;
    Ok(0)
}

/// `gannet models`
pub fn models(common: &Common) -> Result<u8> {
    prepare(common)?;
    for name in model::NAMES {
        let m = model::load(name)?;
        let line = if common.json {
            json!({"name": name, "family": m.facts.family, "resolution": m.facts.resolution, "directions": m.facts.directions})
                .to_string()
        } else {
            crate::value::display::describe(&crate::value::Value::Model(m))
        };
        out(format!("{line}\n").as_bytes())?;
    }
    Ok(0)
}
