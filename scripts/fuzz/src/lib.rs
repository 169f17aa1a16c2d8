//! What the fuzz targets share: reading bytes as gannet reads a file, and containers around bytes.

use gannet::limits::{LIMITS, Limits};
use gannet::weights;

/// Budgets that a fuzzer reaches within its memory limit.
const SMALL: Limits = Limits {
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

/// The bytes behind a fixed beginning.
pub fn behind(head: &[u8], data: &[u8]) -> Vec<u8> {
    [head, data].concat()
}

/// A zip of these entries, stored.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    weights::write_zip(entries.iter().map(|(name, bytes)| (*name, bytes.to_vec())))
        .unwrap_or_default()
}

/// The bytes in two, at a place that their first byte chooses.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&at, rest)) = data.split_first() else { return (data, data) };
    rest.split_at((usize::from(at) * rest.len()).div_ceil(256).min(rest.len()))
}

/// A legacy torch file of one pickled object and the bytes of its storages.
pub fn legacy(object: &[u8], rest: &[u8]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    [MAGIC, object, rest].concat()
}

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
