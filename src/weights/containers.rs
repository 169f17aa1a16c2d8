//! All containers, and which of them a file is.

use super::container::{Container, Draft, Network, Probe};
use super::pickle::{self, Work};
use super::source::Source;
use super::zip::{self, Archive};
use super::{hdf5, numpy, nvidia, openvino, other, safetensors, tar, tensorflow, torch};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// All of them; the first that holds a file reads it.
pub(super) const CONTAINERS: &[&Container] = &[
    &safetensors::CONTAINER,
    &nvidia::CONTAINER,
    &tensorflow::CONTAINER,
    &torch::ZIP,
    &torch::LEGACY,
    &torch::PICKLE,
    &numpy::OBJECTS,
    &hdf5::CONTAINER,
    &hdf5::ARCHIVE,
    &openvino::ZIP,
    &openvino::FILES,
    &numpy::NPY,
    &numpy::NPZ,
    #[cfg(test)]
    &super::dummy_container::CONTAINER,
];

impl<'a> Probe<'a> {
    /// Looks at a file.
    ///
    /// Refused: a zip or a pickle that breaks its rules, and bytes that are known to be no model.
    fn new(source: &'a Source, limits: &'a Limits, network: Network) -> Result<Self> {
        let head = source.read(0, source.len().min(16))?;
        let mut probe = Self { source, limits, network, head, archive: None, pickle: None };
        match &probe.head[..] {
            // Before the pickles: a header of 640 bytes begins like one (0x80 0x02).
            h if safetensors::begins(h) => {}
            h if zip::begins(h) => {
                let archive = Archive::open(source, limits)?;
                probe.pickle = torch::zipped(source, &archive, limits)?;
                probe.archive = Some(archive);
            }
            h if h.starts_with(numpy::npy::MAGIC) => {
                if let Some(objects) = numpy::npy::objects(source)? {
                    let mut work = Work::new(limits, source.len());
                    probe.pickle = Some(pickle::load(&objects, &mut work)?);
                }
            }
            h if pickle::begins(h) => {
                let mut work = Work::new(limits, source.len());
                probe.pickle = Some(pickle::load(source, &mut work)?);
            }
            _ => {}
        }
        Ok(probe)
    }

    /// Bytes of the file, and of a zip's entries.
    fn bytes(&self) -> u64 {
        self.source.len().saturating_add(self.archive.as_ref().map_or(0, |a| a.unpacked))
    }
}

/// Tells a file's container and reads all but the numbers; with the bytes that it unfolds to.
///
/// A tar that holds one such file is read as that file.
pub(super) fn read(
    source: &Source,
    limits: &Limits,
    network: Network,
) -> Result<(&'static str, Draft, u64)> {
    if let Some(inner) = tar::only_model(source, limits, begins)? {
        return read_one(&inner, limits, network);
    }
    read_one(source, limits, network)
}

fn read_one(
    source: &Source,
    limits: &Limits,
    network: Network,
) -> Result<(&'static str, Draft, u64)> {
    let probe = Probe::new(source, limits, network)?;
    match CONTAINERS.iter().find(|c| (c.begins)(&probe.head) && (c.holds)(&probe)) {
        Some(container) => {
            let draft = (container.read)(&probe)?;
            let bytes = draft.whole.as_ref().map_or(0, Source::len).max(probe.bytes());
            Ok((container.name, draft, bytes))
        }
        None => Err(unknown(source, limits)),
    }
}

/// Whether bytes begin like a file of some container.
pub(super) fn begins(head: &[u8]) -> bool {
    CONTAINERS.iter().any(|c| (c.begins)(head))
}

/// The error for bytes of an unknown format; it names the format where it recognises one.
fn unknown(source: &Source, limits: &Limits) -> Error {
    match other::other(source, limits) {
        Ok(Some(other)) => {
            source.fail(0, format_args!("this is {}", other.what)).hint(other.repair)
        }
        Ok(None) => {
            let names: Vec<&str> = CONTAINERS.iter().map(|c| c.name).collect();
            let error = source.fail(0, format_args!("this is none of {}", names.join(", ")));
            error.hint("give a checkpoint of a generator")
        }
        Err(e) => e,
    }
}
