//! Hostile and boundary model files, made in code.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod files;
pub mod hdf5;
pub mod mutants;
pub mod pickles;

use std::path::Path;

/// A file of the reference folder.
pub fn reference(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(path)).unwrap()
}

/// The first `n` bytes for each n up to the whole, `step` apart.
pub fn cuts(what: &str, bytes: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    (0..bytes.len())
        .step_by(step)
        .map(|n| (format!("{what} cut at {n}"), bytes[..n].to_vec()))
        .collect()
}
