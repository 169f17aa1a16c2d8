//! HDF5, of which Keras and h5py write a small part: groups with a table or with links in their
//! headers, datasets in one piece or in packed chunks, attributes that are text.
//!
//! After the "HDF5 File Format Specification Version 3.0". A tensor is called after its path, with
//! dots for slashes: `model_weights.dense.dense.kernel:0`. What Keras writes beside its tensors
//! becomes [`KEY`] of the settings. A Keras archive (`.keras`) is a zip around such a file.
//!
//! Every address and size is held against the file, and all structure that is read against one
//! budget. An object is read once, so groups cannot lead in circles.

mod attributes;
mod block;
mod dataset;
mod file;
mod group;
mod header;
#[cfg(test)]
mod tests;
mod types;

use super::container::{Container, Draft, Probe};
use super::source::{Source, quoted};
use super::zip;
use crate::error::Result;
use crate::limits::Limits;
use attributes::Attribute;
use dataset::Dataset;
use file::File;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Key of a file's settings under which is what Keras said: `keras_version`, `backend`, `layers`
/// (the names of the model's layers) and `model` (its configuration).
pub(super) const KEY: &str = "keras";
/// Groups in groups.
const DEPTH: usize = 32;
/// Bytes of a model's configuration; that of a network of 1000 layers is 1 MB.
const CONFIGURATION: usize = 4 << 20;
/// Names of an archive's parts.
const WEIGHTS: &str = "model.weights.h5";

/// A file by itself.
pub(super) const CONTAINER: Container = Container {
    name: "hdf5",
    begins: |head| head.starts_with(file::MAGIC),
    holds: |_| true,
    read: |probe| read(probe.source, probe.limits),
};

/// A Keras archive.
pub(super) const ARCHIVE: Container = Container {
    name: "keras-zip",
    begins: zip::begins,
    holds: |probe| entry(probe, WEIGHTS).is_some(),
    read: archive,
};

/// A part of an archive; Keras keeps them at the top.
fn entry<'a>(probe: &'a Probe<'_>, name: &str) -> Option<&'a Source> {
    probe.archive.as_ref()?.entries.get(name)
}

fn archive(probe: &Probe<'_>) -> Result<Draft> {
    let Some(weights) = entry(probe, WEIGHTS) else { return Ok(Draft::default()) };
    let mut draft = read(weights, probe.limits)?;
    let mut said = said_by(&mut draft.config);
    for (name, is_model) in [("config.json", true), ("metadata.json", false)] {
        let Some(part) = entry(probe, name) else { continue };
        let text = part.read(0, part.len().min(CONFIGURATION as u64 + 1))?;
        let json = parsed(part, 0, &String::from_utf8_lossy(&text))?;
        if is_model {
            said.insert("model".into(), json);
        } else if let Some(version) = json.get("keras_version").filter(|v| v.is_string()) {
            said.insert("keras_version".into(), version.clone());
        }
    }
    finish(&mut draft, said);
    Ok(draft)
}

/// What Keras said so far, taken out of the settings.
fn said_by(config: &mut Json) -> Map<String, Json> {
    match config.get_mut(KEY).map(Json::take) {
        Some(Json::Object(said)) => said,
        _ => Map::new(),
    }
}

fn finish(draft: &mut Draft, said: Map<String, Json>) {
    let about: Map<String, Json> = ["keras_version", "backend"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), said.get(key)?.clone())))
        .collect();
    if !about.is_empty() {
        draft.provenance = Json::Object(about);
    }
    draft.config = json!({ KEY: said });
}

fn parsed(source: &Source, at: u64, text: &str) -> Result<Json> {
    if text.len() > CONFIGURATION {
        return Err(source
            .fail(at, format_args!("a model's configuration has at most {CONFIGURATION} bytes")));
    }
    serde_json::from_str(text)
        .map_err(|e| source.fail(at, format_args!("the model's configuration is no JSON: {e}")))
}

/// Reads a file's structure.
fn read(source: &Source, limits: &Limits) -> Result<Draft> {
    let file = File::open(source)?;
    let mut walk = Walk {
        file: &file,
        limits,
        seen: BTreeSet::new(),
        chunks: dataset::CHUNKS,
        draft: Draft::default(),
        said: Map::new(),
        layers: Vec::new(),
        links: 0,
        other: Vec::new(),
    };
    walk.object(String::new(), file.root, 0)?;
    Ok(walk.end())
}

/// A walk through all objects of a file.
struct Walk<'a> {
    file: &'a File<'a>,
    limits: &'a Limits,
    /// Objects that were read.
    seen: BTreeSet<u64>,
    /// Chunks that datasets may still have.
    chunks: u64,
    draft: Draft,
    said: Map<String, Json>,
    /// Layers that Keras 3 keeps a group for, those without weights too.
    layers: Vec<String>,
    /// Links that are not followed.
    links: usize,
    /// Datasets that are not read: name, and what they hold.
    other: Vec<(String, &'static str)>,
}

impl Walk<'_> {
    fn object(&mut self, name: String, at: u64, depth: usize) -> Result<()> {
        let source = self.file.source;
        if !self.seen.insert(at) || depth > DEPTH {
            return Err(source
                .fail(at, format_args!("HDF5: {} is reached twice, or too deep", quoted(&name))));
        }
        let messages = header::messages(self.file, at)?;
        if group::is_group(&messages) {
            // The root, and the group that a whole model keeps its weights in.
            if depth == 0 || (depth == 1 && name == "model_weights") {
                for attribute in attributes::texts(self.file, header::messages(self.file, at)?)? {
                    self.say(attribute)?;
                }
            }
            if let Some((_, layer)) = name.strip_suffix(".vars").and_then(|n| n.rsplit_once('.')) {
                self.layers.push(layer.to_owned());
            }
            let (links, others) = group::links(self.file, messages)?;
            self.links += others;
            for (link, at) in links {
                let inner = if name.is_empty() { link } else { format!("{name}.{link}") };
                // Names of groups in groups add up.
                self.file.charge(at, inner.len() as u64)?;
                self.object(inner, at, depth + 1)?;
            }
            return Ok(());
        }
        match dataset::dataset(self.file, &name, messages, &mut self.chunks, self.limits)? {
            Some(Dataset::Tensor(lazy)) => {
                if self.draft.tensors.len() >= self.limits.tensors {
                    let rule = format_args!("HDF5: at most {} datasets", self.limits.tensors);
                    return Err(source.fail(at, rule));
                }
                if self.draft.tensors.contains_key(&name) {
                    let rule = format_args!("HDF5: two datasets are called {}", quoted(&name));
                    return Err(source.fail(at, rule));
                }
                self.draft.tensors.insert(name, lazy);
            }
            Some(Dataset::Other(what)) => self.other.push((name, what)),
            None => {}
        }
        Ok(())
    }

    /// Keeps what Keras writes into an attribute.
    fn say(&mut self, attribute: Attribute) -> Result<()> {
        let Attribute { name, at, mut texts } = attribute;
        let value = match name.as_str() {
            "keras_version" | "backend" => texts.pop().map(Json::String),
            "model_config" => {
                texts.pop().map(|text| parsed(self.file.source, at, &text)).transpose()?
            }
            // Keras divides a long list: `layer_names0`, `layer_names1`, ….
            "layer_names" | "layer_names0" => Some(json!(texts)),
            list if list.starts_with("layer_names") => {
                if let Some(Json::Array(all)) = self.said.get_mut("layers") {
                    all.extend(texts.into_iter().map(Json::String));
                }
                None
            }
            _ => None,
        };
        let key = match name.as_str() {
            "model_config" => "model",
            list if list.starts_with("layer_names") => "layers",
            other => other,
        };
        if let Some(value) = value {
            self.said.insert(key.to_owned(), value);
        }
        Ok(())
    }

    fn end(mut self) -> Draft {
        let mut draft = self.draft;
        if !self.layers.is_empty() {
            self.said.entry("layers").or_insert_with(|| json!(self.layers));
        }
        if let Some((name, what)) = self.other.first() {
            let count = self.other.len();
            draft.notes.push(format!(
                "datasets that are not read: {count}, {} for one ({what})",
                quoted(name)
            ));
        }
        if self.links > 0 {
            draft.notes.push(format!("links that are not followed: {}", self.links));
        }
        let keras = !self.said.is_empty() || draft.tensors.keys().any(|name| name.ends_with(":0"));
        if keras {
            finish(&mut draft, self.said);
        }
        draft
    }
}
