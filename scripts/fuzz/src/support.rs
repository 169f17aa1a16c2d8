//! The files that the tests make in code: seeds of the targets.
#![allow(dead_code, reason = "the tests use the rest")]

#[path = "../../../tests/weights_support/files.rs"]
pub mod files;
#[path = "../../../tests/weights_support/hdf5.rs"]
pub mod hdf5;
#[path = "../../../tests/weights_support/mutants.rs"]
pub mod mutants;
#[path = "../../../tests/weights_support/pickles.rs"]
pub mod pickles;

use std::path::{Path, PathBuf};

/// The reference files of the tests.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference")
}

/// A file of the reference folder.
pub fn reference(path: &str) -> Vec<u8> {
    std::fs::read(folder().join(path)).unwrap()
}

/// The small files of the reference folder, at any depth, whose names end so.
pub fn references(ending: &str) -> Vec<Vec<u8>> {
    const SMALL: u64 = 100 << 10;
    let (mut folders, mut found) = (vec![folder()], Vec::new());
    while let Some(at) = folders.pop() {
        let mut entries: Vec<_> = at.read_dir().unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending)
                && path.metadata().unwrap().len() <= SMALL
            {
                found.push(std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The first `n` bytes for each n up to the whole, `step` apart.
pub fn cuts(what: &str, bytes: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    let cut = |n: usize| (format!("{what} cut at {n}"), bytes[..n].to_vec());
    (0..bytes.len()).step_by(step).map(cut).collect()
}
