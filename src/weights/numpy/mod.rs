//! NumPy's files: one array (`.npy`), and a zip of arrays (`.npz`).

pub mod npy;

use super::container::{Container, Draft, Probe};
use super::{torch, zip};
use crate::error::Result;

/// An array of Python objects: a pickle behind the header.
pub(super) const OBJECTS: Container = Container {
    name: "npy-objects",
    begins: |head| head.starts_with(npy::MAGIC),
    holds: |probe| probe.pickle.is_some(),
    read: torch::read,
};

/// One array.
pub(super) const NPY: Container = Container {
    name: "npy",
    begins: |head| head.starts_with(npy::MAGIC),
    holds: |_| true,
    read: |probe| {
        let mut draft = Draft::default();
        draft.tensors.insert(String::new(), npy::read(probe.source, probe.limits)?);
        Ok(draft)
    },
};

/// A zip of arrays.
pub(super) const NPZ: Container = Container {
    name: "npz",
    begins: zip::begins,
    holds: |probe| {
        let arrays = |n: &String| n.ends_with(".npy");
        probe.archive.as_ref().is_some_and(|a| a.entries.is_empty() || a.entries.keys().any(arrays))
    },
    read: npz,
};

fn npz(probe: &Probe<'_>) -> Result<Draft> {
    let mut draft = Draft::default();
    for (name, entry) in probe.archive.iter().flat_map(|a| &a.entries) {
        let Some(name) = name.strip_suffix(".npy") else {
            return Err(entry.fail(0, "zip: the entries of an npz are .npy files"));
        };
        if !entry.read(0, entry.len().min(6))?.starts_with(npy::MAGIC) {
            return Err(entry.fail(0, "the entry is not a NumPy array"));
        }
        draft.tensors.insert(name.to_string(), npy::read(entry, probe.limits)?);
    }
    if draft.tensors.is_empty() {
        return Err(probe.source.fail(0, "at least one tensor is needed, the archive is empty"));
    }
    Ok(draft)
}
