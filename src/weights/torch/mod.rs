//! Files of `torch.save` (a zip since 1.6, five pickles in a row before) and plain pickles: all
//! their tensors, under dotted names.

mod flatten;
mod module;
mod tree;
pub(super) mod write;

pub(super) use module::{class, module};
pub(super) use tree::{Tree, check_name};

use super::container::{Container, Draft, Probe};
use super::pickle::{self, Loaded, Work};
use super::source::Source;
use super::zip::{self, Archive};
use crate::error::Result;
use crate::limits::Limits;
use std::collections::HashMap;
use std::rc::Rc;

/// `torch.save` since 1.6: a zip with `data.pkl`, and each storage as an entry `data/KEY` beside
/// it.
pub(super) const ZIP: Container = Container {
    name: "torch-zip",
    begins: zip::begins,
    holds: |probe| probe.archive.is_some() && probe.pickle.is_some(),
    read,
};

/// `torch.save` before 1.6.
pub(super) const LEGACY: Container = Container {
    name: "torch-legacy",
    begins: pickle::begins,
    holds: |probe| probe.pickle.as_ref().is_some_and(|p| p.torch),
    read,
};

/// Another pickle that holds arrays.
pub(super) const PICKLE: Container = Container {
    name: "pickle",
    begins: pickle::begins,
    holds: |probe| probe.pickle.is_some(),
    read,
};

/// The value of a torch zip, its storages found in the archive; `None` for another zip.
pub(super) fn zipped(
    source: &Source,
    archive: &Archive,
    limits: &Limits,
) -> Result<Option<Loaded>> {
    let is_main = |n: &&String| *n == "data.pkl" || n.ends_with("/data.pkl");
    let mains: Vec<&String> = archive.entries.keys().filter(is_main).collect();
    let main = match mains[..] {
        [main] => main,
        [] => return Ok(None),
        _ => return Err(source.fail(0, "zip: a torch file has one data.pkl")),
    };
    let prefix = main.trim_end_matches("data.pkl");
    if let Some(order) = archive.entries.get(&format!("{prefix}byteorder"))
        && order.read(0, order.len().min(16))? != b"little"
    {
        return Err(order.fail(0, "big-endian torch files are not read"));
    }
    let pickled = &archive.entries[main];
    let mut work = Work::new(limits, pickled.len() + archive.unpacked);
    let mut loaded = pickle::load(pickled, &mut work)?;
    let data = format!("{prefix}data/");
    let places = archive
        .entries
        .iter()
        .filter_map(|(n, s)| Some((Rc::from(n.strip_prefix(&data)?), s.clone())));
    loaded.places = places.collect::<HashMap<_, _>>();
    Ok(Some(loaded))
}

pub(super) fn read(probe: &Probe<'_>) -> Result<Draft> {
    match &probe.pickle {
        Some(loaded) => flatten::read(probe, loaded),
        None => Err(probe.source.fail(0, "the file does not contain a pickle")),
    }
}
