//! OpenVINO's intermediate representation: a network as an XML file and a file of its numbers
//! beside it. Several networks that lie together, in a folder or a zip, are read as one model.
//!
//! A tensor is called after its network and its layer: `SynthesisNetwork.m.conv1.bias`. An export
//! loses some names. A tensor without one is called after the last named one before it, the type of
//! the layer that reads it, and its number among those:
//! `SynthesisNetwork.m.input.input+Convolution.0`.

mod graph;

use super::array::Layout;
use super::container::{Container, Draft, Probe};
use super::lazy::Lazy;
use super::source::{Source, quoted};
use super::zip;
use crate::error::{Error, Result};
use crate::limits::{LIMITS, Limits};
use graph::Graph;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Networks of one model at most.
const NETWORKS: usize = 16;
/// Ending of a description's name.
const DESCRIPTION: &str = "xml";
/// Ending of the name of the file with its numbers.
const NUMBERS: &str = "bin";

/// Networks in a zip, such as a Python wheel.
pub(super) const ZIP: Container = Container {
    name: "openvino-zip",
    begins: zip::begins,
    holds: |probe| !in_archive(probe).is_empty(),
    read: |probe| model(probe.source.name(), in_archive(probe), probe.limits),
};

/// A network's description, with what lies beside it.
pub(super) const FILES: Container = Container {
    name: "openvino",
    begins: |head| head.starts_with(b"<?xml") || head.starts_with(b"<net "),
    holds: |probe| graph::describes(probe.source).unwrap_or(false),
    read: |probe| model(probe.source.name(), in_folder(probe)?, probe.limits),
};

/// A description and its numbers.
type Pair = (Source, Source);

/// The networks of an archive, in the order of their names.
fn in_archive(probe: &Probe<'_>) -> Vec<Pair> {
    let Some(archive) = &probe.archive else { return Vec::new() };
    let pair = |(name, entry): (&String, &Source)| {
        let stem = name.strip_suffix(DESCRIPTION)?;
        let numbers = archive.entries.get(&format!("{stem}{NUMBERS}"))?;
        graph::describes(entry).unwrap_or(false).then(|| (entry.clone(), numbers.clone()))
    };
    archive.entries.iter().filter_map(pair).collect()
}

/// The network of a file, and the others in its folder, in the order of their names.
fn in_folder(probe: &Probe<'_>) -> Result<Vec<Pair>> {
    let Some(path) = probe.source.path() else {
        return Err(probe
            .source
            .fail(0, "its numbers are in a file beside it")
            .hint("give the path of the .xml; the .bin of the same name lies beside it"));
    };
    let mut found = Vec::new();
    for place in descriptions(path.parent().unwrap_or(Path::new("")))? {
        let own = place.file_name() == path.file_name();
        let numbers = place.with_extension(NUMBERS);
        if own && !numbers.is_file() {
            return Err(probe.source.fail(0, "its numbers are missing").hint(format!(
                "put {} beside it",
                quoted(&numbers.file_name().unwrap_or_default().to_string_lossy())
            )));
        }
        if !numbers.is_file() {
            continue;
        }
        let description = Source::open(&place, probe.limits)?;
        if own || graph::describes(&description)? {
            found.push((description, Source::open(&numbers, probe.limits)?));
        }
    }
    Ok(found)
}

/// The files of a folder that may be descriptions, sorted.
fn descriptions(folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).map_err(|e| {
        Error::io(format!("cannot read the folder {}", quoted(&folder.to_string_lossy())), &e)
    })?;
    let paths = entries.filter_map(|e| Some(e.ok()?.path()));
    let mut all: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == DESCRIPTION)).collect();
    all.sort();
    all.truncate(4 * NETWORKS);
    Ok(all)
}

/// The description of a network in a folder that holds some; `None` when it holds none.
pub(super) fn in_this(folder: &Path) -> Result<Option<PathBuf>> {
    for place in descriptions(folder)? {
        if place.with_extension(NUMBERS).is_file()
            && graph::describes(&Source::open(&place, &LIMITS)?)?
        {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// The tensors of some networks.
fn model(name: &str, pairs: Vec<Pair>, limits: &Limits) -> Result<Draft> {
    let mut draft = Draft::default();
    if pairs.len() > NETWORKS {
        let rule = format!("at most {NETWORKS} networks lie together, not {}", pairs.len());
        return Err(Error::format(name, 0, rule));
    }
    let mut tools = serde_json::Map::new();
    for (description, numbers) in &pairs {
        let graph = graph::read(description)?;
        if let Some(tool) = &graph.tool {
            tools.insert(graph.name.clone(), json!(tool));
        }
        for (name, lazy) in tensors(&graph, numbers, limits)? {
            if draft.tensors.len() >= limits.tensors {
                let rule = format!("at most {} tensors", limits.tensors);
                return Err(description.fail(0, rule));
            }
            if draft.tensors.insert(name.clone(), lazy).is_some() {
                let rule = format!("two tensors are called {}", quoted(&name));
                return Err(description.fail(0, rule));
            }
        }
    }
    if !tools.is_empty() {
        draft.provenance = json!({"model_optimizer": tools});
    }
    draft.whole = Some(Source::joined(name, pairs.into_iter().flat_map(|(a, b)| [a, b])));
    Ok(draft)
}

/// The tensors of one network.
fn tensors(graph: &Graph, numbers: &Source, limits: &Limits) -> Result<Vec<(String, Lazy)>> {
    let mut all = Vec::new();
    let (mut last, mut counts) = ("", BTreeMap::new());
    for constant in &graph.constants {
        let name = if has_name(&constant.name) {
            last = &constant.name;
            format!("{}.{last}", graph.name)
        } else {
            let count = counts.entry((last, &constant.reader)).or_insert(0);
            let name = format!("{}.{last}+{}.{count}", graph.name, constant.reader);
            *count += 1;
            name
        };
        let (offset, size) = constant.place;
        let layout = Layout::rows(&constant.shape);
        let bytes = layout.elements().and_then(|n| n.checked_mul(constant.dtype.size() as u64));
        if bytes != Some(size) {
            let rule = format!("{} has {size} bytes, its shape needs others", quoted(&name));
            return Err(numbers.fail(offset, rule));
        }
        let part = numbers.window(offset, size)?;
        all.push((name, Lazy::new(part, constant.dtype, layout, 0, limits)?));
    }
    Ok(all)
}

/// Whether a layer has the name of a parameter, as `m.conv1.bias`: identifiers with dots between.
/// Other names were made up by the export.
fn has_name(name: &str) -> bool {
    let identifier = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.contains('.')
        && name.split('.').all(identifier)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
