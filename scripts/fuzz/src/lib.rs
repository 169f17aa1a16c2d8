//! What the fuzz targets share: reading bytes as gannet reads a file, containers around bytes, and
//! the seeds.
#![allow(clippy::unwrap_used, reason = "a fuzzer stops at what is wrong")]

pub mod support;

use gannet::limits::{LIMITS, Limits};
use gannet::weights;
use std::path::PathBuf;

/// Budgets that a fuzzer reaches within its memory limit.
pub const SMALL: Limits = Limits {
    tensor_bytes: 64 << 20,
    pickle_bytes: 16 << 20,
    pickle_ops: 100_000,
    model_bytes: 256 << 20,
    ..LIMITS
};

/// Opens the bytes and reads every tensor. An error is one line.
pub fn read(bytes: &[u8]) {
    match weights::open_bytes("fuzz", bytes.to_vec(), &SMALL).and_then(|c| c.weights.arrays()) {
        Ok(_) => {}
        Err(e) => {
            let line = e.to_string();
            assert!(!line.contains('\n') && line.contains("at byte "), "{line:?}");
        }
    }
}

/// Writes the inputs that a target begins with to the folder that `run` names.
pub fn seeds(all: impl IntoIterator<Item = Vec<u8>>) {
    let Some(folder) = std::env::var_os("GANNET_FUZZ_SEEDS").map(PathBuf::from) else { return };
    for (i, bytes) in all.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{i}")), bytes).unwrap();
    }
}

/// An empty folder of this process, for readers that want a file.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("gannet-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The bytes behind a fixed beginning.
pub fn behind(head: &[u8], data: &[u8]) -> Vec<u8> {
    [head, data].concat()
}

/// What makes `whole` of [`behind`]; `None` when it begins otherwise.
pub fn after(head: &[u8], whole: &[u8]) -> Option<Vec<u8>> {
    whole.strip_prefix(head).map(<[u8]>::to_vec)
}

/// The bodies of the good pickles of the tests.
pub fn pickle_bodies() -> impl Iterator<Item = Vec<u8>> {
    let small = support::pickles::good().into_iter().filter(|(_, bytes)| bytes.len() < 4000);
    small.filter_map(|(_, bytes)| after(b"\x80\x04", &bytes))
}

/// A zip of these entries, stored.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    weights::write_zip(entries.iter().map(|(name, bytes)| (*name, bytes.to_vec()))).unwrap()
}

/// The bytes in two: the first two are the length of the first part.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((len, rest)) = data.split_first_chunk() else { return (data, &[]) };
    rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()))
}

/// What makes these two of [`halves`].
pub fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    [&u16::try_from(first.len()).unwrap().to_le_bytes(), first, second].concat()
}

/// The pickles in front of the object of a legacy torch file.
pub const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A tar archive of one file.
pub fn tar(size: &[u8; 11], bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..9].copy_from_slice(b"model.pth");
    out[124..135].copy_from_slice(size);
    out[156] = b'0';
    out[257..262].copy_from_slice(b"ustar");
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}
